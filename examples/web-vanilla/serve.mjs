// A static server for development, with the two headers that WebAssembly threads need.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const SITE = fileURLToPath(new URL('site', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.tflite': 'application/octet-stream',
};
const port = Number(process.env.PORT ?? 8000);

createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const file = normalize(join(SITE, decodeURIComponent(pathname === '/' ? '/index.html' : pathname)));
  const size = file.startsWith(SITE + sep) && statSync(file, { throwIfNoEntry: false });
  if (!size || !size.isFile()) return response.writeHead(404).end();
  response.writeHead(200, {
    'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
    'Content-Length': size.size,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  });
  createReadStream(file).pipe(response);
}).listen(port, 'localhost', () => console.log(`http://localhost:${port}/`));
