/** The page's language, and texts in it. */

import { de } from './de';
import { en, type Key, type Strings } from './en';

export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;

const ALL: Record<Language, Strings> = { en, de };

class Locale {
  language = $state<Language>(chosen());
  readonly #strings = $derived(ALL[this.language]);
  /** The language with the region that the browser is set to, for dates and numbers. */
  readonly #region = $derived(
    navigator.languages.find((each) => each.startsWith(this.language)) ?? this.language,
  );

  choose(language: Language): void {
    this.language = language;
    localStorage.setItem('language', language);
    document.documentElement.lang = language;
  }

  text(key: Key, values: Record<string, string | number> = {}): string {
    return this.#strings[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  }

  /** The hour and minute. */
  time(at: number): string {
    return new Intl.DateTimeFormat(this.#region, { hour: '2-digit', minute: '2-digit' }).format(at);
  }

  /** A day as people name it. */
  day(at: number): string {
    const days = Math.round((midnight(Date.now()) - midnight(at)) / 86_400_000);
    if (days === 0) return this.text('date.today');
    if (days === 1) return this.text('date.yesterday');
    const recent: Intl.DateTimeFormatOptions = { weekday: 'long', day: 'numeric', month: 'long' };
    const old: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'long', year: 'numeric' };
    return new Intl.DateTimeFormat(this.#region, days < 200 ? recent : old).format(at);
  }

  /** When something was, in as few letters as tell it apart. */
  brief(at: number): string {
    const days = Math.round((midnight(Date.now()) - midnight(at)) / 86_400_000);
    if (days <= 0) return this.time(at);
    if (days < 7) return new Intl.DateTimeFormat(this.#region, { weekday: 'short' }).format(at);
    return new Intl.DateTimeFormat(this.#region, {
      day: 'numeric',
      month: 'numeric',
      year: '2-digit',
    }).format(at);
  }

  /** A size in bytes for people. */
  size(bytes: number): string {
    const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
    const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
    const style = { style: 'unit', unit: units[step], maximumFractionDigits: 1 } as Intl.NumberFormatOptions;
    return new Intl.NumberFormat(this.#region, style).format(bytes / 1000 ** step);
  }
}

function midnight(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

function chosen(): Language {
  const known = (name: string | null | undefined): name is Language => name === 'en' || name === 'de';
  try {
    const kept = localStorage.getItem('language');
    if (known(kept)) return kept;
  } catch {
    // No storage, no choice.
  }
  const wanted = navigator.languages.map((each) => each.slice(0, 2)).find(known);
  return wanted ?? 'en';
}

export const locale = new Locale();
export const t = locale.text.bind(locale);
