/** Which conversations are on the screen, side by side. Kept in the page's address, so that a reload shows the same. */

/** Panes side by side at most. */
const MOST = 4;

export class Layout {
  panes = $state<string[]>([]);
  /** The pane that has the keyboard. */
  focus = $state(0);

  constructor() {
    this.#read();
    addEventListener('hashchange', () => this.#read());
  }

  get current(): string | undefined {
    return this.panes[this.focus];
  }

  /** Shows a conversation in the current pane, or goes to where it is shown already. */
  show(jid: string): void {
    const at = this.panes.indexOf(jid);
    if (at >= 0) this.focus = at;
    else if (this.panes.length === 0) this.panes = [jid];
    else this.panes[this.focus] = jid;
    this.#write();
  }

  /** Shows a conversation beside the others. */
  beside(jid: string): void {
    if (this.panes.includes(jid)) return this.show(jid);
    if (this.panes.length >= MOST) this.panes = this.panes.slice(1);
    this.panes = [...this.panes, jid];
    this.focus = this.panes.length - 1;
    this.#write();
  }

  close(jid: string): void {
    this.panes = this.panes.filter((pane) => pane !== jid);
    this.focus = Math.max(0, Math.min(this.focus, this.panes.length - 1));
    this.#write();
  }

  /** Pops a conversation out into a small window of its own. */
  popOut(jid: string): void {
    const features = 'popup,width=420,height=640';
    open(`${location.pathname}?solo#${encodeURIComponent(jid)}`, `chancery ${jid}`, features);
    this.close(jid);
  }

  #read(): void {
    const parts = location.hash.slice(1).split('&').filter(Boolean);
    this.panes = parts.slice(0, MOST).map((part) => decodeURIComponent(part));
    this.focus = Math.min(this.focus, Math.max(0, this.panes.length - 1));
  }

  #write(): void {
    const hash = this.panes.map((pane) => encodeURIComponent(pane)).join('&');
    history.replaceState(null, '', `${location.pathname}${location.search}#${hash}`);
  }
}
