/** Signing in and out. The session is a cookie that no script can read; the stream then needs no password. */

import type { Key } from '../i18n/en';

export interface Session {
  /** The account's address. */
  address: string;
  name: string | null;
  roles: string[];
  rights: string[];
  /** Goes along with every change that is asked for. */
  csrf_token: string;
}

/** Why a sign-in did not work: a text for people, or `code`, when the second factor is missing. */
export class Refused extends Error {
  readonly why: Key | 'code';
  constructor(why: Key | 'code') {
    super(why);
    this.why = why;
  }
}

const SESSION = '/api/v1/session';

/** The session of this browser, if there is one. */
export async function current(): Promise<Session | undefined> {
  const answer = await fetch(SESSION, { headers: { accept: 'application/json' } });
  if (answer.status === 401) return undefined;
  if (!answer.ok) throw new Refused('signin.unreachable');
  return (await answer.json()) as Session;
}

/** Signs in; `code` is that of the second factor, where there is one. */
export async function signIn(user: string, password: string, code: string): Promise<Session> {
  const answer = await fetch(SESSION, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user, password, ...(code ? { code } : {}) }),
  }).catch(() => undefined);
  if (answer?.ok) return (await answer.json()) as Session;
  const problem = (await answer?.json().catch(() => ({}))) as { type?: string } | undefined;
  switch (problem?.type?.split(':').at(-1)) {
    case 'second-factor':
      throw new Refused('code');
    case 'wrong-code':
      throw new Refused('signin.code.wrong');
    case 'credentials':
      throw new Refused('signin.wrong');
    case 'disabled':
      throw new Refused('signin.disabled');
    case 'too-many':
      throw new Refused('signin.slow');
    default:
      throw new Refused('signin.unreachable');
  }
}

export async function signOut(): Promise<void> {
  const session = await current();
  if (!session) return;
  await fetch(SESSION, { method: 'DELETE', headers: { 'x-csrf-token': session.csrf_token } });
}
