/** Light, dark or high contrast: as the system has it, unless somebody chose. */

export const THEMES = ['auto', 'light', 'dark', 'contrast'] as const;
export type Theme = (typeof THEMES)[number];

class Appearance {
  choice = $state<Theme>('auto');
  readonly #dark = matchMedia('(prefers-color-scheme: dark)');
  readonly #contrast = matchMedia('(prefers-contrast: more)');

  constructor() {
    try {
      const kept = localStorage.getItem('theme');
      this.choice = THEMES.find((each) => each === kept) ?? 'auto';
    } catch {
      // No storage, no choice.
    }
    for (const query of [this.#dark, this.#contrast]) query.addEventListener('change', () => this.apply());
    this.apply();
  }

  choose(theme: Theme): void {
    this.choice = theme;
    localStorage.setItem('theme', theme);
    this.apply();
  }

  apply(): void {
    const system = this.#contrast.matches ? 'contrast' : this.#dark.matches ? 'dark' : 'light';
    document.documentElement.dataset.theme = this.choice === 'auto' ? system : this.choice;
  }
}

export const theme = new Appearance();
