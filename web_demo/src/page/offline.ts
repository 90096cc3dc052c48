/** The service worker, public/sw.js: after the first visit the page works without a network. */

/** A slow one must not keep the page from starting. */
const MOST_WAIT_MS = 3000;

/**
 * Start it and wait until it serves this page, so that it sees and keeps all that is loaded from then on:
 * model, samples, and the workers' WebAssembly.
 */
export async function goOffline(): Promise<void> {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  // The name of this script has a hash of the build in it: another build is another service worker.
  const build = new URL(import.meta.url).pathname.split('/').at(-1)!;
  const address = new URL(`sw.js?build=${encodeURIComponent(build)}`, document.baseURI).href;
  const serves = () => serviceWorker.controller?.scriptURL === address;
  try {
    await serviceWorker.register(address);
    if (serves()) return;
    await new Promise<void>((resolve) => {
      serviceWorker.addEventListener('controllerchange', () => serves() && resolve());
      setTimeout(resolve, MOST_WAIT_MS);
    });
  } catch {
    // Private windows and some policies forbid it; the page works, with a network.
  }
}
