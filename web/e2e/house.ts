/** A real server with people in it, and real browsers. */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const BINARY = resolve(import.meta.dirname, process.env.CHANCERY_BIN ?? '../../target/debug/chancery');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const DOMAIN = 'corp.example';
export const PASSWORD = 'correct horse';

/** Ports that nobody uses just now. */
async function free(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(
    servers.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

export class House {
  readonly folder = mkdtempSync(join(tmpdir(), 'chancery-web-'));
  readonly http: number;
  readonly xmpp: number;
  #server: ChildProcess | undefined;
  #browser: Browser | undefined;
  /** What browsers complained about; must stay empty. */
  readonly complaints: string[] = [];

  private constructor(http: number, xmpp: number) {
    this.http = http;
    this.xmpp = xmpp;
  }

  get url(): string {
    return `http://127.0.0.1:${this.http}`;
  }

  /** Starts a server with these people; who is of the same team is on everybody's roster. */
  static async open(people: string[], toml = ''): Promise<House> {
    const [http, xmpp, tls, s2s, component] = await free(5);
    const house = new House(http ?? 0, xmpp ?? 0);
    const listen = `xmpp = ["127.0.0.1:${xmpp}"]\nxmpp_tls = ["127.0.0.1:${tls}"]\ns2s = ["127.0.0.1:${s2s}"]
http = ["127.0.0.1:${http}"]\ncomponent = ["127.0.0.1:${component}"]`;
    const settings = `domain = "${DOMAIN}"\n[listen]\n${listen}\n[limits]\nlogins_per_minute = 0
[development]\ninsecure_login = true\n[directory]\nshared_groups = ["team"]\n${toml}`;
    writeFileSync(join(house.folder, 'chancery.toml'), settings);
    await house.start();
    const rows = people.map((name) => `${name},${PASSWORD},${title(name)},team`);
    const file = join(house.folder, 'people.csv');
    writeFileSync(file, ['username,password,name,groups', ...rows].join('\n'));
    house.command('user', 'import', file);
    return house;
  }

  /** Runs a command of the operator. */
  command(...command: string[]): string {
    return execFileSync(BINARY, [...this.#arguments, ...command], { encoding: 'utf8' });
  }

  get #arguments(): string[] {
    return ['--config', join(this.folder, 'chancery.toml'), '--data', join(this.folder, 'data')];
  }

  async start(): Promise<void> {
    const server = spawn(BINARY, [...this.#arguments, 'serve'], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#server = server;
    let said = '';
    server.stdout.on('data', (data: Buffer) => (said += data.toString()));
    server.stderr.on('data', (data: Buffer) => (said += data.toString()));
    for (let tries = 0; tries < 300; tries++) {
      if (server.exitCode !== null) throw new Error(`the server stopped: ${said}`);
      const answer = await fetch(`${this.url}/healthz`).catch(() => undefined);
      if (answer?.ok) return;
      await new Promise((next) => setTimeout(next, 100));
    }
    throw new Error(`the server does not answer: ${said}`);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server || server.exitCode !== null) return;
    const ended = new Promise((done) => server.once('exit', done));
    server.kill(signal);
    await ended;
  }

  /** A browser of somebody's own, with its own storage. */
  async browser(options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
    this.#browser ??= await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu'],
    });
    const context = await this.#browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: 'en-GB',
      ...options,
    });
    context.on('page', (page) => {
      page.on('pageerror', (error) => this.complaints.push(`${error.name}: ${error.message}`));
      page.on('console', (message) => {
        const text = message.text();
        // A browser reports every refused request; which ones are right is for the scenes to say.
        const refused = /Failed to load resource|WebSocket connection to/.test(text);
        if (message.type() === 'error' && !refused) this.complaints.push(text);
      });
    });
    return context;
  }

  /** Somebody signed in, in a browser of their own. */
  async person(name: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await this.browser(options);
    const page = await context.newPage();
    await page.goto(this.url);
    await signIn(page, name);
    return page;
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function signIn(page: Page, name: string, password = PASSWORD): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: /^Your status: Available/ }).waitFor();
}

/** Opens the conversation with somebody on the list. */
export async function open(page: Page, name: string): Promise<void> {
  await page
    .getByRole('navigation')
    .getByRole('button', { name: new RegExp(name) })
    .first()
    .click();
  await page.getByRole('region', { name }).getByRole('textbox').waitFor();
}

export async function say(page: Page, to: string, text: string): Promise<void> {
  const box = page.getByRole('region', { name: to }).getByRole('textbox');
  await box.fill(text);
  await box.press('Enter');
}

/** A message on the screen. */
export function message(page: Page, text: string | RegExp) {
  return page.getByRole('article').filter({ hasText: text });
}

export function title(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
