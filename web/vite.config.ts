import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

/** The running server that `npm run dev` talks to. */
const server = process.env.CHANCERY_HTTP ?? 'http://127.0.0.1:5280';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // The pages' policy allows nothing inline, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { chat: 'index.html' } },
  },
  server: {
    proxy: {
      '/api': server,
      '/upload': server,
      '/xmpp-websocket': { target: server, ws: true },
    },
  },
  test: { environment: 'happy-dom', setupFiles: ['fake-indexeddb/auto'] },
});
