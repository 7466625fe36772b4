// Keeps the page and what it loads, so that it opens without a connection. Talks to nobody but its own server, and keeps
// no messages and no files: those are the page's business.

const SHELL = 'shell-1';

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(keepShell());
});

/** The page and everything that it names. */
async function keepShell() {
  const cache = await caches.open(SHELL);
  const answer = await fetch('/');
  const assets = (await answer.clone().text()).match(/\/assets\/[\w.-]+/g) ?? [];
  await Promise.all([cache.put('/', answer), cache.addAll([...new Set(assets)])]);
}

self.addEventListener('activate', (event) => {
  const outdated = caches.keys().then((names) => names.filter((name) => name !== SHELL));
  event.waitUntil(outdated.then((names) => Promise.all(names.map((name) => caches.delete(name)))));
  event.waitUntil(self.clients.claim());
});

self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== 'GET' || url.origin !== location.origin) return;
  if (url.pathname.startsWith('/assets/')) event.respondWith(keptFirst(event.request));
  else if (['/', '/icon.svg', '/manifest.webmanifest'].includes(url.pathname)) {
    event.respondWith(freshFirst(event.request, url.pathname));
  }
});

/** What never changes under its name. */
async function keptFirst(request) {
  const cache = await caches.open(SHELL);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

/** The newest that can be had. */
async function freshFirst(request, name) {
  const cache = await caches.open(SHELL);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(name, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(name);
    if (kept) return kept;
    throw error;
  }
}
