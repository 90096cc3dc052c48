/** Serves the built page, and beside it the test's models, the built library and the clients of snippets.test.ts. */

import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { ISOLATION } from '../../vite.config';

export const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
export const PAGE = path.join(REPOSITORY, 'tfyolo/web_page');
export const MODELS = path.join(REPOSITORY, 'build/demo-models');
export const LIBRARY = path.join(REPOSITORY, 'web_demo/dist-lib');
export const SNIPPETS = path.join(REPOSITORY, 'build/snippets');
const MODELS_PREFIX = '/models-of-tests/';
/** Longest first. */
const ROOTS = [
  [MODELS_PREFIX, MODELS],
  ['/library/', LIBRARY],
  ['/snippets/', SNIPPETS],
  ['/litert-wasm/', path.join(REPOSITORY, 'web_demo/node_modules/@litertjs/core/wasm')],
  ['/', PAGE],
] as const;
/** A page of somebody else's that has nothing but the library in it. */
const BARE = `<!doctype html><title>library</title><script type="module">
  import { createDetector } from '/library/index.js';
  globalThis.createDetector = createDetector;
  document.documentElement.dataset.state = 'ready';
</script>`;
/** A page with a client that `tfyolo inspect --snippet js` printed. */
const CLIENT = `<!doctype html><title>client</title><script type="module">
  globalThis.client = await import('/snippets/' + new URLSearchParams(location.search).get('file') + '.js');
  document.documentElement.dataset.state = 'ready';
</script>`;
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
};

export interface TestServer {
  readonly url: string;
  /** Address of a file in MODELS, relative to the page. */
  model(name: string): string;
  close(): Promise<void>;
}

/** @param isolated send COOP and COEP, which plain static hosts do not. */
export async function serve(isolated = true): Promise<TestServer> {
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    const [prefix, root] = ROOTS.find(([prefix]) => name.startsWith(prefix))!;
    const rest = name.slice(prefix.length);
    const file = path.join(root, rest === '' ? 'index.html' : rest);
    if (isolated) for (const [header, value] of Object.entries(ISOLATION)) response.setHeader(header, value);
    if (name === '/bare.html') return response.writeHead(200, { 'Content-Type': 'text/html' }).end(BARE);
    if (name === '/client.html') return response.writeHead(200, { 'Content-Type': 'text/html' }).end(CLIENT);
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    const body = fs.readFileSync(file);
    response.setHeader('Content-Length', body.length);
    response.setHeader('Content-Type', TYPES[path.extname(file)] ?? 'application/octet-stream');
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    model: (name) => `${MODELS_PREFIX.slice(1)}${name}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
