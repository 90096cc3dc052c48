// Copies into public/ what the page loads at run time: the wasm files of LiteRT.js and TF.js, and sample images.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { minifySync } from 'vite';

const demo = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const modules = path.join(demo, 'node_modules');
const target = path.join(demo, 'public');

function folder(name) {
  const created = path.join(target, name);
  fs.rmSync(created, { recursive: true, force: true });
  fs.mkdirSync(created, { recursive: true });
  return created;
}

// LiteRT.js loads its glue code with importScripts(), which module workers do not support and which a strict
// Content-Security-Policy would only allow through eval. As a module that sets the global variable that
// importScripts() would have set, the glue code needs neither. Threads are started from the unmodified glue code.
const litert = folder('litert');
for (const build of ['wasm', 'wasm_threaded', 'wasm_jspi']) {
  const source = path.join(modules, '@litertjs/core/wasm', `litert_${build}_internal`);
  const glue = fs.readFileSync(`${source}.js`, 'utf8');
  const name = path.join(litert, path.basename(source));
  const write = (file, code) => fs.writeFileSync(file, minifySync(file, code, { module: false }).code);
  write(`${name}.js`, `${glue}\nglobalThis.ModuleFactory = ModuleFactory;`);
  if (build === 'wasm_threaded') write(`${name}.classic.js`, glue);
  fs.copyFileSync(`${source}.wasm`, `${name}.wasm`);
}

const tfjs = folder('tfjs');
for (const file of ['tfjs-backend-wasm.wasm', 'tfjs-backend-wasm-simd.wasm'])
  fs.copyFileSync(path.join(modules, '@tensorflow/tfjs-backend-wasm/dist', file), path.join(tfjs, file));

// Sample images: from the test split of BCCD (MIT, see tfyolo/assets/bccd-mini/LICENSE).
const samples = folder('samples');
const images = path.join(demo, '../tfyolo/assets/bccd-mini/images/test');
const chosen = ['BloodImage_00007', 'BloodImage_00021', 'BloodImage_00062', 'BloodImage_00093', 'BloodImage_00161', 'BloodImage_00226'];

for (const name of chosen) fs.copyFileSync(path.join(images, `${name}.jpg`), path.join(samples, `${name}.jpg`));
fs.copyFileSync(path.join(images, '../../LICENSE'), path.join(samples, 'LICENSE'));
fs.writeFileSync(
  path.join(samples, 'samples.json'),
  JSON.stringify(chosen.map((name, i) => ({ file: `${name}.jpg`, title: `Blood smear ${i + 1}` }))),
);

// Notices for the third-party code in the page (all Apache-2.0) and for the sample images.
const { dependencies } = JSON.parse(fs.readFileSync(path.join(demo, 'package.json'), 'utf8'));
const packages = Object.keys(dependencies).map((name) => {
  const { version, license } = JSON.parse(fs.readFileSync(path.join(modules, name, 'package.json'), 'utf8'));
  if (license !== 'Apache-2.0') throw new Error(`${name} has the license ${license}, not Apache-2.0: add its notice here`);
  return `${name} ${version}`;
});
const notice = `This page contains ${packages.join(', ')}, and images of BCCD (MIT: samples/LICENSE).\n\n`;
fs.writeFileSync(path.join(target, 'licenses.txt'), notice + fs.readFileSync(path.join(demo, '../LICENSE'), 'utf8'));
