/** Sending files (XEP-0363). */

import { NS } from '../xmpp/ns';
import type { Stream } from '../xmpp/stream';
import { attr, child, children, el } from '../xmpp/xml';

export interface Upload {
  name: string;
  size: number;
  /** From 0 to 1. */
  progress: number;
  error?: string | undefined;
  cancel(): void;
}

export class Uploads {
  readonly all = $state<Record<string, Upload[]>>({});
  /** Bytes that a file may have; 0 while that is not known. */
  most = $state(0);
  readonly #stream: Stream;
  readonly #service: string;

  constructor(stream: Stream, domain: string) {
    this.#stream = stream;
    this.#service = `upload.${domain}`;
  }

  /** Asks what the service takes. */
  async find(): Promise<void> {
    const answer = await this.#stream
      .ask('get', el('query', NS.discoInfo), this.#service)
      .catch(() => undefined);
    const query = child(answer, 'query', NS.discoInfo);
    for (const form of children(query, 'x', NS.data)) {
      const field = children(form, 'field', NS.data).find((each) => attr(each, 'var') === 'max-file-size');
      this.most = Number(field?.textContent ?? 0);
    }
  }

  /** Uploads a file for a conversation; its address when all of it is there. */
  async send(conversation: string, file: File): Promise<string | undefined> {
    const request = new XMLHttpRequest();
    const upload: Upload = $state({
      name: file.name,
      size: file.size,
      progress: 0,
      cancel: () => request.abort(),
    });
    this.all[conversation] = [...(this.all[conversation] ?? []), upload];
    const done = () => {
      this.all[conversation] = (this.all[conversation] ?? []).filter((each) => each !== upload);
    };
    upload.cancel = () => {
      request.abort();
      done();
    };
    try {
      const type = file.type || 'application/octet-stream';
      const wish = { filename: file.name, size: file.size, 'content-type': type };
      const answer = await this.#stream.ask('get', el('request', NS.upload, wish), this.#service);
      const slot = child(answer, 'slot', NS.upload);
      const put = child(slot, 'put', NS.upload);
      const link = attr(child(slot, 'get', NS.upload), 'url');
      const to = attr(put, 'url');
      if (!to || !link) throw new Error('no slot');
      await new Promise<void>((resolve, reject) => {
        // The server may name itself otherwise than this page's address does.
        request.open('PUT', location.origin + new URL(to).pathname + new URL(to).search);
        request.setRequestHeader('Content-Type', type);
        for (const header of children(put, 'header', NS.upload)) {
          request.setRequestHeader(attr(header, 'name') ?? '', header.textContent ?? '');
        }
        request.upload.onprogress = (event) => (upload.progress = event.loaded / Math.max(1, event.total));
        request.onload = () => (request.status < 300 ? resolve() : reject(new Error(`${request.status}`)));
        request.onerror = () => reject(new Error('network'));
        request.onabort = () => reject(new DOMException('', 'AbortError'));
        request.send(file);
      });
      done();
      return link;
    } catch (error) {
      if (!(error instanceof DOMException)) upload.error = error instanceof Error ? error.message : '';
      return undefined;
    }
  }
}
