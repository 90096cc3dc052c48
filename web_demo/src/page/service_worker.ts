/** Registers the service worker public/sw.js, with which the page works offline after the first visit. */

/** The page starts after this time even if the service worker is not ready. */
const MAX_WAIT_MS = 3000;

/**
 * Register the service worker and wait until it controls this page, so that it caches everything that is loaded from
 * then on: the model, the samples and WebAssembly.
 */
export async function registerServiceWorker(): Promise<void> {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  // The file name of this script contains a hash of the build, so each build registers its own service worker.
  const build = new URL(import.meta.url).pathname.split('/').at(-1)!;
  const address = new URL(`sw.js?build=${encodeURIComponent(build)}`, document.baseURI).href;
  const isActive = () => serviceWorker.controller?.scriptURL === address;
  try {
    await serviceWorker.register(address);
    if (isActive()) return;
    await new Promise<void>((resolve) => {
      serviceWorker.addEventListener('controllerchange', () => isActive() && resolve());
      setTimeout(resolve, MAX_WAIT_MS);
    });
  } catch {
    // Not allowed in private windows and by some policies; the page then needs a network connection.
  }
}
