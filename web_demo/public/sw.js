// Service worker: caches what the page has loaded, so that it works offline. One cache per build, named after the URL
// that src/page/service_worker.ts registers: a new build registers a new service worker, which deletes older caches.
const CACHE = `tfyolo-${new URL(location.href).searchParams.get('build') ?? 'page'}`;
const SCOPE = new URL(self.registration.scope);
/** Files that never change within a build: served from the cache. */
const FIXED = /^(assets|litert|tfjs)\//;
/** Files that may change: fetched first. `model/` is where `tfyolo web --weights` serves the user's model. */
const CHANGING = /^(models|samples|model)\/|^(manifest\.webmanifest|theme\.js|icons?[/.].*)$/;
const SHELL = ['./', 'theme.js', 'manifest.webmanifest'];

self.addEventListener('install', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      await cache.addAll(SHELL);
      const page = await (await cache.match('./')).text();
      const parts = [...page.matchAll(/(?:src|href)="\.\/((?:assets|icons)\/[^"]+)"/g)].map((match) => match[1]);
      await cache.addAll(parts);
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys())
        if (name.startsWith('tfyolo-') && name !== CACHE) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  // Partial responses (range requests) cannot be cached.
  if (request.method !== 'GET' || url.origin !== SCOPE.origin || request.headers.has('range')) return;
  if (!url.pathname.startsWith(SCOPE.pathname)) return;
  const path = url.pathname.slice(SCOPE.pathname.length);
  if (request.mode === 'navigate') {
    if (path === '' || path === 'index.html') event.respondWith(answerPage(request, event));
  } else if (FIXED.test(path)) event.respondWith(cacheFirst(request, event));
  else if (CHANGING.test(path)) event.respondWith(networkFirst(request, request, event));
});

// Responses are cached with their COOP and COEP headers, which threads in WebAssembly need.

async function cacheFirst(request, event) {
  const cache = await caches.open(CACHE);
  const cached = await cache.match(request);
  if (cached) return cached;
  const response = await fetch(request);
  event.waitUntil(store(cache, request, response.clone()));
  return response;
}

async function networkFirst(request, key, event) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    event.waitUntil(store(cache, key, response.clone()));
    return response;
  } catch (error) {
    const cached = await cache.match(key, { ignoreVary: true });
    if (cached) return cached;
    throw error;
  }
}

async function answerPage(request, event) {
  const cache = await caches.open(CACHE);
  let response;
  try {
    response = await fetch(request);
  } catch {
    return (await cache.match('./', { ignoreVary: true })) ?? Response.error();
  }
  // Cached without the query, which only holds settings.
  if (response.ok) event.waitUntil(storePage(cache, response.clone()));
  return response;
}

async function storePage(cache, response) {
  const text = await response.clone().text();
  if (text.includes('name="application-name" content="tfyolo"')) return store(cache, './', response);
  // Another site is now served at this address, as happens on localhost: unregister and delete the caches.
  await self.registration.unregister();
  for (const name of await caches.keys()) if (name.startsWith('tfyolo-')) await caches.delete(name);
}

async function store(cache, key, response) {
  if (response.status !== 200 || response.type !== 'basic' || response.redirected) return;
  try {
    await cache.put(key, response);
  } catch {
    // The disk is full; the page then needs a network connection.
  }
}
