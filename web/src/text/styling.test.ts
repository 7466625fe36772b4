import { describe, expect, it } from 'vitest';

import { attachment } from './attachment';
import { blocks, inline, safe } from './styling';

describe('styling', () => {
  it('reads the spans of XEP-0393', () => {
    expect(inline('a *strong* _soft_ ~gone~ `code *x*` end')).toEqual([
      { kind: 'text', text: 'a ' },
      { kind: 'strong', parts: [{ kind: 'text', text: 'strong' }] },
      { kind: 'text', text: ' ' },
      { kind: 'emphasis', parts: [{ kind: 'text', text: 'soft' }] },
      { kind: 'text', text: ' ' },
      { kind: 'strike', parts: [{ kind: 'text', text: 'gone' }] },
      { kind: 'text', text: ' ' },
      { kind: 'code', text: 'code *x*' },
      { kind: 'text', text: ' end' },
    ]);
  });

  it('leaves arithmetic, names and lone marks alone', () => {
    for (const text of ['2 * 3 * 4', 'snake_case_name', 'a*b*c', '**', '_', '* item']) {
      expect(inline(text)).toEqual([{ kind: 'text', text }]);
    }
  });

  it('finds links without the punctuation of the sentence', () => {
    expect(inline('see https://corp.example/a_(b), or (http://x.example/).')).toEqual([
      { kind: 'text', text: 'see ' },
      { kind: 'link', url: 'https://corp.example/a_(b)', text: 'https://corp.example/a_(b)' },
      { kind: 'text', text: ', or (' },
      { kind: 'link', url: 'http://x.example/', text: 'http://x.example/' },
      { kind: 'text', text: ').' },
    ]);
  });

  it('makes no link of what could run something', () => {
    for (const url of ['javascript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd']) {
      expect(safe(url)).toBe(false);
      expect(inline(url).every((part) => part.kind === 'text')).toBe(true);
    }
  });

  it('reads quotes and preformatted blocks, also unfinished ones', () => {
    expect(blocks('> one\n> > two\nthree')).toEqual([
      {
        kind: 'quote',
        blocks: [
          { kind: 'line', parts: [{ kind: 'text', text: 'one' }] },
          { kind: 'quote', blocks: [{ kind: 'line', parts: [{ kind: 'text', text: 'two' }] }] },
        ],
      },
      { kind: 'line', parts: [{ kind: 'text', text: 'three' }] },
    ]);
    expect(blocks('```rust\nlet *x*;\n```')).toEqual([{ kind: 'pre', text: 'let *x*;' }]);
    expect(blocks('```\nopen')).toEqual([{ kind: 'pre', text: 'open' }]);
  });

  it('survives hostile depth and length', () => {
    expect(blocks('>'.repeat(10_000)).length).toBe(1);
    expect(inline('*'.repeat(5_000)).length).toBeGreaterThan(0);
    expect(inline('_a '.repeat(2_000)).length).toBeGreaterThan(0);
  });
});

describe('attachment', () => {
  const page = 'https://chat.corp.example';

  it('shows pictures in place only when this server keeps them', () => {
    const own = attachment('https://corp.example/upload/abc-1/cat%20one.png', 'corp.example', page);
    expect(own).toEqual({ url: `${page}/upload/abc-1/cat%20one.png`, name: 'cat one.png', picture: true });
    expect(attachment('https://evil.example/upload/abc/cat.png', 'corp.example', page)?.picture).toBe(false);
    expect(attachment('https://corp.example/other/cat.png', 'corp.example', page)?.picture).toBe(false);
  });

  it('is nothing for what is no web address', () => {
    expect(attachment('javascript:alert(1)//cat.png', 'corp.example', page)).toBeUndefined();
    expect(attachment('not an address', 'corp.example', page)).toBeUndefined();
  });
});
