// Keeps what the page has loaded, so that it works without a network. One cache per build, named by the address
// that src/page/offline.ts registers: a new build brings a new service worker, which drops the caches before it.
const CACHE = `tfyolo-${new URL(location.href).searchParams.get('build') ?? 'page'}`;
const SCOPE = new URL(self.registration.scope);
/** Names with a hash, and what only changes with the build. */
const FIXED = /^(assets|litert|tfjs)\//;
/** What may be another file tomorrow. `model/` is where `tfyolo web --weights` serves the user's own. */
const CHANGING = /^(models|samples|model)\/|^(manifest\.webmanifest|theme\.js|icons?[/.].*)$/;
const SHELL = ['./', 'theme.js', 'manifest.webmanifest'];

self.addEventListener('install', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      await cache.addAll(SHELL);
      const page = await (await cache.match('./')).text();
      const parts = [...page.matchAll(/(?:src|href)="\.\/((?:assets|icons)\/[^"]+)"/g)].map((found) => found[1]);
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
  // Parts of a file are no file: they cannot be kept.
  if (request.method !== 'GET' || url.origin !== SCOPE.origin || request.headers.has('range')) return;
  if (!url.pathname.startsWith(SCOPE.pathname)) return;
  const path = url.pathname.slice(SCOPE.pathname.length);
  if (request.mode === 'navigate') {
    if (path === '' || path === 'index.html') event.respondWith(answerPage(request, event));
  } else if (FIXED.test(path)) event.respondWith(cacheFirst(request, event));
  else if (CHANGING.test(path)) event.respondWith(networkFirst(request, request, event));
});

// Responses are kept and given as they came: their headers COOP and COEP are what threads depend on.

async function cacheFirst(request, event) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  event.waitUntil(keep(cache, request, response.clone()));
  return response;
}

async function networkFirst(request, key, event) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    event.waitUntil(keep(cache, key, response.clone()));
    return response;
  } catch (error) {
    const kept = await cache.match(key, { ignoreVary: true });
    if (kept) return kept;
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
  // The query holds settings: it is one page.
  if (response.ok) event.waitUntil(keepPage(cache, response.clone()));
  return response;
}

async function keepPage(cache, response) {
  const text = await response.clone().text();
  if (text.includes('name="application-name" content="tfyolo"')) return keep(cache, './', response);
  // Another server has this address now, as happens on localhost: leave it alone.
  await self.registration.unregister();
  for (const name of await caches.keys()) if (name.startsWith('tfyolo-')) await caches.delete(name);
}

async function keep(cache, key, response) {
  if (response.status !== 200 || response.type !== 'basic' || response.redirected) return;
  try {
    await cache.put(key, response);
  } catch {
    // The disk is full: the page works, with a network.
  }
}
