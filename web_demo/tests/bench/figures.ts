/** Measures the figures in docs/deploy/web.md: engines at 320 pixels in one run, time to the first detection, and bytes of the first load. */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

import { expect, test } from 'vitest';

import { ENGINES } from '../../src/detector/engines/table';
import { launch, open, ready, SLOW_MS } from '../browser/browser';
import { LIBRARY, PAGE, REPOSITORY, serve } from '../browser/server';

const ROWS = [
  ['litert-wasm-threads', 'int8-builtin.tflite'],
  ['litert-wasm', 'int8-builtin.tflite'],
  ['litert-wasm', 'float32-postprocess.tflite'],
  ['tfjs-wasm', 'int8-builtin_web_model/model.json'],
] as const;
const RUNS = 30;
const VISITS = 5;

test('engines', { timeout: 10 * SLOW_MS }, async () => {
  if (!fs.existsSync(path.join(LIBRARY, 'index.js')))
    execFileSync('npm', ['run', '--silent', 'build:lib'], { cwd: path.join(REPOSITORY, 'web_demo'), stdio: 'ignore' });
  const [browser, server] = await Promise.all([launch(), serve()]);
  const page = await open(browser, `${server.url}bare.html`);
  await ready(page);
  const times = await page.evaluate(
    async ([rows, runs]) => {
      const all: number[][] = [];
      const frame = await createImageBitmap(await (await fetch('models-of-tests/BloodImage_00007.png')).blob());
      for (const [engine, model] of rows) {
        const options = { model: `models-of-tests/${model}`, engine, wasmFolder: '/library/' };
        const detector = await (globalThis as any).createDetector(options);
        const times: number[] = [];
        for (let i = 0; i < runs + 5; i++) times.push((await detector.detect(frame)).timing.inference);
        all.push(times.slice(5));
        detector.dispose();
      }
      return all;
    },
    [ROWS, RUNS] as const,
  );
  const medians = times.map(median);
  const baseline = medians[1]!;
  console.log(`\nmedian of ${RUNS} images at 320, including NMS, in ${browser.version()}:`);
  ROWS.forEach(([engine, model], i) => {
    const label = ENGINES.find(({ id }) => id === engine)!.label;
    console.log(`  ${medians[i]!.toFixed(1).padStart(7)} ms  ${(medians[i]! / baseline).toFixed(2).padStart(5)} x  ${label}, ${model.split('/')[0]}`);
  });
  await browser.close();
  await server.close();
  expect(medians.every((ms) => ms > 0)).toBe(true);
});

test('first detection', { timeout: 10 * SLOW_MS }, async () => {
  const server = await serve();
  const times: number[] = [];
  let files = new Set<string>();
  for (let i = 0; i < VISITS; i++) {
    const browser = await launch(); // a new profile, so that nothing is cached
    const page = await (await browser.newContext()).newPage();
    files = new Set();
    page.context().on('request', (request) => files.add(new URL(request.url()).pathname));
    await page.goto(server.url, { waitUntil: 'commit' });
    await page.waitForFunction(() => Number(document.documentElement.dataset.detections) > 0, null, { polling: 20 });
    times.push(await page.evaluate(() => performance.now()));
    await browser.close();
  }
  console.log(`\nfrom navigation to the first detection, cold cache, ${VISITS} visits: ${times.map((ms) => `${(ms / 1000).toFixed(2)} s`).join(', ')}; median ${(median(times) / 1000).toFixed(2)} s`);
  const bytes = { page: 0, wasm: 0, model: 0, samples: 0 };
  for (const name of files) {
    const file = path.join(PAGE, name === '/' ? 'index.html' : name);
    if (!fs.existsSync(file) || !fs.statSync(file).isFile()) continue;
    const kind = name.startsWith('/models/') ? 'model' : name.startsWith('/samples/') ? 'samples' : name.endsWith('.wasm') ? 'wasm' : 'page';
    bytes[kind] += gzipSync(fs.readFileSync(file), { level: 9 }).length;
  }
  const kilobytes = (n: number) => `${(n / 1000).toFixed(0)} kB`;
  const total = Object.values(bytes).reduce((a, b) => a + b);
  console.log(`bytes of the first load, gzip: ${kilobytes(total)}, of which ${Object.entries(bytes).map(([kind, n]) => `${kind} ${kilobytes(n)}`).join(', ')}`);
  const built = fs.readdirSync(PAGE, { recursive: true, encoding: 'utf8' }).map((name) => path.join(PAGE, name));
  const contents = built.filter((file) => fs.statSync(file).isFile()).map((file) => fs.readFileSync(file));
  const sum = (size: (content: Buffer) => number) => kilobytes(contents.reduce((all, content) => all + size(content), 0));
  console.log(`the built page, all engines: ${sum((content) => content.length)}, compressed ${sum((content) => gzipSync(content).length)}`);
  await server.close();
  expect(bytes.page).toBeLessThan(150_000);
});

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
