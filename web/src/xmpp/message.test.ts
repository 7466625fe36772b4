import { describe, expect, it } from 'vitest';

import { read } from './message';

const me = 'anna@corp.example';

function parse(xml: string): Element {
  return new DOMParser().parseFromString(xml, 'application/xml').documentElement;
}

const message = (attributes: string, content: string) =>
  parse(`<message xmlns='jabber:client' ${attributes}>${content}</message>`);

describe('read', () => {
  it('tells who said something to whom', () => {
    const incoming = read(
      message(
        `from='ben@corp.example/desk' to='anna@corp.example/web' type='chat' id='m1'`,
        `<body>hello</body><stanza-id xmlns='urn:xmpp:sid:0' id='a1' by='anna@corp.example'/>
         <stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='evil.example'/><request xmlns='urn:xmpp:receipts'/>`,
      ),
      { me },
    );
    expect(incoming).toMatchObject({
      kind: 'chat',
      with: 'ben@corp.example',
      from: 'ben@corp.example',
      mine: false,
      id: 'm1',
      archive: 'a1',
      body: 'hello',
      wantsReceipt: true,
    });
    const own = read(message(`from='${me}/phone' to='ben@corp.example' type='chat'`, '<body>x</body>'), {
      me,
    });
    expect(own).toMatchObject({ with: 'ben@corp.example', mine: true });
  });

  it('knows rooms and private words in them', () => {
    const said = read(message(`from='team@conference.corp.example/Ben' type='groupchat'`, '<body>x</body>'), {
      me,
    });
    expect(said).toMatchObject({ kind: 'room', with: 'team@conference.corp.example', mine: false });
    const whispered = read(
      message(
        `from='team@conference.corp.example/Ben' to='${me}' type='chat'`,
        `<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>`,
      ),
      { me },
    );
    expect(whispered).toMatchObject({ kind: 'private', with: 'team@conference.corp.example/Ben' });
  });

  it('reads corrections, reactions, retractions and tombstones', () => {
    const change = (content: string) => read(message(`from='ben@corp.example/x'`, content), { me })?.change;
    expect(change(`<replace xmlns='urn:xmpp:message-correct:0' id='m1'/><body>b</body>`)).toEqual({
      kind: 'replace',
      id: 'm1',
    });
    const reactions = `<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👍</reaction></reactions>`;
    expect(change(reactions)).toEqual({ kind: 'react', id: 'm1', emojis: ['👍'] });
    expect(change(`<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>`)).toMatchObject({
      kind: 'retract',
      id: 'm1',
    });
    expect(change(`<retracted xmlns='urn:xmpp:message-retract:1' stamp='x'/>`)).toMatchObject({
      kind: 'gone',
    });
  });

  it('takes the fallback out of a reply, counting code points', () => {
    const said = read(
      message(
        `from='ben@corp.example/x'`,
        `<body>&gt; 😀 you\nyes</body><reply xmlns='urn:xmpp:reply:0' id='m0' to='${me}'/>
         <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='8'/></fallback>`,
      ),
      { me },
    );
    expect(said).toMatchObject({ body: 'yes', reply: { id: 'm0', to: me } });
  });

  it('gives the words of an error', () => {
    const said = read(
      message(
        `from='ben@corp.example' type='error' id='m1'`,
        `<body>x</body><error type='cancel'><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>No cards here.</text></error>`,
      ),
      { me },
    );
    expect(said?.error).toBe('No cards here.');
  });
});
