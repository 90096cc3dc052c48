// Puts next to the page what it loads at run time: wasm of both engines, and sample images.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { minifySync } from 'vite';

const demo = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const modules = path.join(demo, 'node_modules');
const target = path.join(demo, 'public');

function folder(name) {
  const made = path.join(target, name);
  fs.rmSync(made, { recursive: true, force: true });
  fs.mkdirSync(made, { recursive: true });
  return made;
}

// LiteRT.js wants to load its glue with importScripts(), which module workers lack and a strict
// Content-Security-Policy could only grant through eval. As a module that sets the global which
// importScripts() would have set, it needs neither. Threads are started from the glue as it was.
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

// Photographs of BCCD (MIT, see tfyolo/assets/bccd-mini/LICENSE), from its test split.
const samples = folder('samples');
const images = path.join(demo, '../tfyolo/assets/bccd-mini/images/test');
const chosen = ['BloodImage_00007', 'BloodImage_00021', 'BloodImage_00062', 'BloodImage_00093', 'BloodImage_00161', 'BloodImage_00226'];

for (const name of chosen) fs.copyFileSync(path.join(images, `${name}.jpg`), path.join(samples, `${name}.jpg`));
fs.copyFileSync(path.join(images, '../../LICENSE'), path.join(samples, 'LICENSE'));
fs.writeFileSync(
  path.join(samples, 'samples.json'),
  JSON.stringify(chosen.map((name, i) => ({ file: `${name}.jpg`, title: `Blood smear ${i + 1}` }))),
);

// What the page carries of others, all of it under the Apache license but for the photographs.
const { dependencies } = JSON.parse(fs.readFileSync(path.join(demo, 'package.json'), 'utf8'));
const carried = Object.keys(dependencies).map((name) => {
  const { version, license } = JSON.parse(fs.readFileSync(path.join(modules, name, 'package.json'), 'utf8'));
  if (license !== 'Apache-2.0') throw new Error(`${name} has the license ${license}: see to its notice`);
  return `${name} ${version}`;
});
const notice = `This page contains ${carried.join(', ')}, and photographs of BCCD (MIT: samples/LICENSE).\n\n`;
fs.writeFileSync(path.join(target, 'licenses.txt'), notice + fs.readFileSync(path.join(demo, '../LICENSE'), 'utf8'));
