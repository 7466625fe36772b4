import { getContext, setContext } from 'svelte';

import type { App } from '../store/app.svelte';

const KEY = Symbol('app');

/** Hands the signed-in person's world to the components below. */
export function provide(app: App): App {
  return setContext(KEY, app);
}

export function useApp(): App {
  return getContext<App>(KEY);
}
