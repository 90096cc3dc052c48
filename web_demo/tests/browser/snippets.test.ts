/** Clients that `tfyolo inspect --snippet js` prints, bundled as in an application, find what Python finds. */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';
import { build } from 'vite';

import { browserAndServer, open, ready, SLOW_MS } from './browser';
import { MODELS, REPOSITORY, SNIPPETS } from './server';

interface Expected {
  readonly path: string;
  readonly found: Record<string, { box: [number, number, number, number]; score: number; classId: number }[]>;
}

const NAMES = ['Platelets', 'RBC', 'WBC'];
const EXPECTED: Expected[] = JSON.parse(fs.readFileSync(path.join(MODELS, 'expected.json'), 'utf8'));
const FILES = ['int8-postprocess.tflite', 'float32-none.tflite', 'float32-builtin_web_model', 'float32-none_web_model'];
const CLASSIFIER = 'classifier.tflite';
/** The parts of @tensorflow/tfjs that this page has, with the backend that needs no GPU. */
const TFJS = `
  import { env } from '@tensorflow/tfjs-core';
  import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
  setWasmPaths('/tfjs/');
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  export * from '@tensorflow/tfjs-core';
  export { loadGraphModel } from '@tensorflow/tfjs-converter';
`;

const fixtures = browserAndServer();

/** The clients in one bundle each. */
beforeAll(async () => {
  const folder = fs.mkdtempSync(path.join(REPOSITORY, 'web_demo', '.snippets-'));
  try {
    fs.writeFileSync(path.join(folder, 'tfjs.js'), TFJS);
    for (const file of [...FILES, CLASSIFIER]) {
      const command = path.join(REPOSITORY, process.env.VENV ?? '.venv', 'bin', 'tfyolo');
      const code = execFileSync(command, ['inspect', path.join(MODELS, file), '--snippet', 'js'], { encoding: 'utf8' });
      const source = path.join(folder, `${file}.js`);
      fs.writeFileSync(source, code);
      await build({
        configFile: false,
        publicDir: false,
        logLevel: 'error',
        resolve: { alias: { '@tensorflow/tfjs': path.join(folder, 'tfjs.js') } },
        build: { outDir: SNIPPETS, emptyOutDir: false, minify: false, lib: { entry: source, formats: ['es'], fileName: () => `${file}.js` } },
      });
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}, SLOW_MS);
afterAll(() => fs.rmSync(SNIPPETS, { recursive: true, force: true }));

test.each(FILES)('%s', { timeout: SLOW_MS }, async (file) => {
  const page = await open(fixtures.browser, `${fixtures.server.url}client.html?file=${file}`);
  await ready(page);
  const images = Object.keys(EXPECTED[0]!.found);
  const all = await page.evaluate(
    async ([file, images]) => {
      const { load, detect } = (globalThis as any).client;
      const model = await load(`/models-of-tests/${file.endsWith('.tflite') ? file : `${file}/model.json`}`, '/litert-wasm/');
      const found: Record<string, { name: string; score: number; box: number[] }[]> = {};
      for (const image of images) found[image] = await detect(model, await (await fetch(`/models-of-tests/${image}`)).blob());
      return found;
    },
    [file, images] as const,
  );
  const expected = EXPECTED.find((one) => one.path.startsWith(file))!;
  for (const image of images) {
    const found = all[image]!.filter((one) => one.score > 0.25);
    const wanted = expected.found[image]!;
    expect(wanted.length).toBeGreaterThan(5);
    // Python suppresses with an IoU of 0.45; files that suppress themselves were exported with 0.6.
    if (file.includes('none')) expect(found.length).toBe(wanted.length);
    else expect(found.length - wanted.length).toBeLessThan(4);
    for (const one of wanted) {
      const same = found.filter((other) => other.name === NAMES[one.classId] && Math.abs(other.score - one.score) < 0.003);
      const far = same.map((other) => Math.max(...other.box.map((side, i) => Math.abs(side - one.box[i]!))));
      expect(Math.min(...far)).toBeLessThan(0.2);
    }
  }
  await page.context().close();
});

test('a classifier', async () => {
  const wanted: Record<string, Record<string, number>> = JSON.parse(fs.readFileSync(path.join(MODELS, 'classifier.json'), 'utf8'));
  const page = await open(fixtures.browser, `${fixtures.server.url}client.html?file=${CLASSIFIER}`);
  await ready(page);
  const found = await page.evaluate(
    async ([file, images]) => {
      const { load, classify } = (globalThis as any).client;
      const model = await load(`/models-of-tests/${file}`, '/litert-wasm/');
      const all: Record<string, { name: string; probability: number }[]> = {};
      for (const image of images) all[image] = await classify(model, await (await fetch(`/models-of-tests/${image}`)).blob());
      return all;
    },
    [CLASSIFIER, Object.keys(wanted)] as const,
  );
  for (const [image, probabilities] of Object.entries(wanted)) {
    expect(found[image]!.map((one) => one.name)).toEqual(Object.keys(probabilities));
    // A canvas averages in its own way, and this network tells images apart by little.
    for (const { name, probability } of found[image]!) expect(Math.abs(probability - probabilities[name]!)).toBeLessThan(0.1);
  }
  await page.context().close();
});
