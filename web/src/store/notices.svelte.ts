/** What asks for attention: notifications of the system, a sound, the number in the page's title. */

export interface Notice {
  title: string;
  body: string;
  /** Later ones of the same tag replace earlier ones. */
  tag: string;
  open(): void;
}

export class Notices {
  sound = $state(read('sound') !== 'off');
  /** Whether the browser lets the page notify: `default` means that nobody has asked yet. */
  permission = $state<NotificationPermission>(
    'Notification' in globalThis ? Notification.permission : 'denied',
  );
  #audio: AudioContext | undefined;

  async ask(): Promise<void> {
    if ('Notification' in globalThis) this.permission = await Notification.requestPermission();
  }

  setSound(on: boolean): void {
    this.sound = on;
    localStorage.setItem('sound', on ? 'on' : 'off');
  }

  announce({ title, body, tag, open }: Notice): void {
    if (this.sound) this.#chime();
    if (this.permission !== 'granted' || document.hasFocus()) return;
    const shown = new Notification(title, { body: body.slice(0, 200), tag, icon: '/icon.svg', silent: true });
    shown.onclick = () => {
      focus();
      open();
      shown.close();
    };
  }

  /** Two soft tones, made here so that nothing must be fetched. */
  #chime(): void {
    try {
      this.#audio ??= new AudioContext();
      const audio = this.#audio;
      for (const [at, pitch] of [
        [0, 660],
        [0.09, 880],
      ] as const) {
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        tone.frequency.value = pitch;
        volume.gain.setValueAtTime(0.05, audio.currentTime + at);
        volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + at + 0.25);
        tone.connect(volume).connect(audio.destination);
        tone.start(audio.currentTime + at);
        tone.stop(audio.currentTime + at + 0.3);
      }
    } catch {
      // A browser that nobody has touched yet plays nothing.
    }
  }
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
