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

// Notices for the third-party code in the page, with the text of each license that is not Apache-2.0, and for the images.
const { packages } = JSON.parse(fs.readFileSync(path.join(demo, 'package-lock.json'), 'utf8'));
const shipped = Object.entries(packages)
  .filter(([place, { dev }]) => place && !dev && !/@types\/|@webgpu\/types/.test(place)) // types leave no code
  .map(([place, { version, license }]) => ({ folder: path.join(demo, place), name: place.split('node_modules/').at(-1), version, license }));
const licenses = shipped
  .filter(({ license }) => license !== 'Apache-2.0')
  .map(({ folder, name, version, license }) => `\n\n${name} ${version}, ${license}\n\n${licenseText(folder)}`);
const notice = [
  `This page contains ${shipped.map(({ name, version }) => `${name} ${version}`).join(', ')}, under Apache-2.0 if no other`,
  'license is below. The WebAssembly files of LiteRT.js and TF.js contain TensorFlow Lite, XNNPACK, FlatBuffers, ruy, gemmlowp,',
  'Eigen (MPL 2.0), cpuinfo, pthreadpool and FP16 under their own licenses. The sample images are from BCCD (MIT: samples/LICENSE).',
];
fs.writeFileSync(
  path.join(target, 'licenses.txt'),
  `${notice.join('\n')}\n\n${fs.readFileSync(path.join(demo, '../LICENSE'), 'utf8')}${licenses.join('')}`,
);

/** The license of a package: a file of its own, or the end of its README. */
function licenseText(folder) {
  const file = fs.readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file) return fs.readFileSync(path.join(folder, file), 'utf8');
  const readme = path.join(folder, 'README.md');
  const [, text] = (fs.existsSync(readme) ? fs.readFileSync(readme, 'utf8') : '').split(/^LICENSE.*\n-+\n/m);
  return text?.trim() ?? '(the package has no license file)';
}
