/** What a shared link shows as. */

import { safe } from './styling';

export interface Attachment {
  url: string;
  name: string;
  /** Whether it may be shown in place: only pictures that this server serves itself. */
  picture: boolean;
}

const PICTURES = /\.(png|jpe?g|gif|webp|avif)$/i;
const UPLOAD = /^\/upload\/[\w-]+\/[^/]+$/;

/** `domain` is the company's; its files are fetched from where this page came from. */
export function attachment(link: string, domain: string, origin = location.origin): Attachment | undefined {
  if (!safe(link)) return undefined;
  const url = new URL(link);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined;
  let name = url.pathname.split('/').at(-1) ?? '';
  try {
    name = decodeURIComponent(name);
  } catch {
    // A name that does not decode is shown as it is.
  }
  const hosts = [new URL(origin).hostname, domain, 'localhost', '127.0.0.1', '[::1]'];
  const own = hosts.includes(url.hostname) && UPLOAD.test(url.pathname);
  return {
    url: own ? origin + url.pathname : url.href,
    name: name || url.hostname,
    picture: own && PICTURES.test(url.pathname),
  };
}
