// Copies the page and the detector library to site/, which any web server can serve.
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const library = path('../../web_demo/dist-lib');

if (!existsSync(`${library}/index.js`)) throw new Error('the library is not built: npm run build:lib');
rmSync(path('site/tfyolo'), { recursive: true, force: true });
mkdirSync(path('site'), { recursive: true });
cpSync(library, path('site/tfyolo'), { recursive: true });
for (const file of ['index.html', 'main.js']) cpSync(path(file), path(`site/${file}`));
if (!existsSync(path('site/best.tflite'))) console.warn('site/best.tflite is missing: see README.md for the command that writes it');
