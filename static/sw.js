// Keeps the shell, so that the page opens without a connection and can say so. Nothing that belongs to a guest is ever kept.

const worker = /** @type {any} */ (self);
const SHELL = 'shell';

worker.addEventListener('install', (/** @type {any} */ event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(['/', '/theme.css', '/manifest.webmanifest'])));
  worker.skipWaiting();
});

worker.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  const url = new URL(request.url);
  const ours = url.origin === worker.location.origin && request.method === 'GET';
  const shell =
    request.mode === 'navigate'
      ? !/^\/(docs|openapi\.json|documents)/.test(url.pathname)
      : /\.(js|css|svg|png|webmanifest)$/.test(url.pathname);
  if (ours && shell && !/^\/(api|partner|docs)\//.test(url.pathname)) event.respondWith(freshOrKept(request));
});

/** The network first: a kept shell is for when there is none. @param {globalThis.Request} request */
async function freshOrKept(request) {
  const cache = await caches.open(SHELL);
  const name = request.mode === 'navigate' ? '/' : request;
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(name, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(name);
    if (kept) return kept;
    throw error;
  }
}
