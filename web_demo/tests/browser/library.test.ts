/** The built library in a minimal page: README.md's example, all kinds of sources, and errors. */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { launch, open, ready, SLOW_MS } from './browser';
import { MODELS, REPOSITORY, serve, type TestServer } from './server';

let browser: Browser;
let server: TestServer;
let page: Page;

beforeAll(async () => {
  execFileSync('npm', ['run', '--silent', 'build:lib'], { cwd: path.join(REPOSITORY, 'web_demo'), stdio: 'inherit' });
  [browser, server] = await Promise.all([launch(), serve()]);
  page = await open(browser, `${server.url}bare.html`);
  await ready(page);
  await page.evaluate(() => {
    // Browsers on iOS have no asynchronous iteration of streams: models load without it.
    delete (ReadableStream.prototype as any)[Symbol.asyncIterator];
    delete (ReadableStream.prototype as any).values;
    const workers: Worker[] = ((globalThis as any).workers = []);
    (globalThis as any).Worker = class extends Worker {
      constructor(...given: ConstructorParameters<typeof Worker>) {
        super(...given);
        workers.push(this);
      }
      override terminate(): void {
        (this as any).ended = true;
        super.terminate();
      }
    };
    (globalThis as any).load = (model: string, options: object, create = 'createDetector') =>
      (globalThis as any)[create]({ model: `models-of-tests/${model}`, wasmFolder: '/library/', ...options });
    (globalThis as any).fetchImage = async () => (await fetch('models-of-tests/BloodImage_00007.png')).blob();
  });
}, SLOW_MS);
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('the library comes with the notices of what it contains', () => {
  const licenses = fs.readFileSync(path.join(REPOSITORY, 'web_demo/dist-lib/licenses.txt'), 'utf8');
  for (const text of ['Apache License', 'Copyright 2019 David Bau', 'seedrandom 3', 'XNNPACK']) expect(licenses).toContain(text);
});

test('all kinds of sources give the same detections', async () => {
  const results = await page.evaluate(async () => {
    const { load, fetchImage } = globalThis as any;
    const detector = await load('int8-builtin.tflite', { engine: 'litert-wasm' });
    const blob: Blob = await fetchImage();
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext('2d')!;
    context.drawImage(image, 0, 0);
    const offscreen = new OffscreenCanvas(image.width, image.height);
    offscreen.getContext('2d')!.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height);
    const sources = { blob, image, canvas, offscreen, pixels, bitmap: await createImageBitmap(blob), frame: new VideoFrame(canvas, { timestamp: 0 }) };
    const results: Record<string, string> = {};
    for (const [name, source] of Object.entries(sources)) {
      const { detections, width, height } = await detector.detect(source);
      results[name] = JSON.stringify([detections, width, height]);
    }
    sources.frame.close();
    detector.dispose();
    return results;
  });
  const { blob, ...others } = results;
  expect(JSON.parse(blob!)[0].length).toBeGreaterThan(5);
  for (const [name, result] of Object.entries(others)) expect(result, name).toBe(blob);
});

test('createClassifier loads classifiers only; createModel loads every task', async () => {
  const { classes, crop, all, run, code } = await page.evaluate(async () => {
    const { load, fetchImage } = globalThis as any;
    const blob = await fetchImage();
    const classifier = await load('classifier.tflite', { engine: 'litert-wasm' }, 'createClassifier');
    const { classes, crop } = await classifier.classify(blob, { top: 2 });
    const all = (await classifier.classify(blob)).classes;
    classifier.dispose();
    const run: string[][] = [];
    for (const file of ['classifier.tflite', 'int8-none.tflite']) {
      const model = await load(file, { engine: 'litert-wasm' }, 'createModel');
      run.push([model.contract.task, ...Object.keys(await model.run(blob))]);
      model.dispose();
    }
    const code = await load('int8-none.tflite', {}, 'createClassifier').catch((error: any) => [error.code, error.fix]);
    return { classes, crop, all, run, code };
  });
  expect(classes).toEqual(all.slice(0, 2));
  expect(all.length).toBe(3);
  expect(crop).toEqual({ x: 0, y: 26, width: 640, height: 427 });
  expect(run).toEqual([
    ['classify', 'classes', 'crop', 'timing', 'width', 'height'],
    ['detect', 'detections', 'timing', 'width', 'height'],
  ]);
  expect(code).toEqual(['model-task', 'Load it with createDetector.']);
});

interface Segmented {
  readonly classId: number;
  readonly score: number;
  readonly corner_xy: [number, number];
  readonly patch_hw: [number, number];
  readonly bits: string;
}

describe('segmentation models give the masks of Python', () => {
  const expected: Record<string, Record<string, Segmented[]>> = JSON.parse(fs.readFileSync(path.join(MODELS, 'segmenters.json'), 'utf8'));
  const cases = Object.keys(expected).flatMap((name) => [
    [`${name}.tflite`, 'litert-wasm', name] as const,
    // TF.js computes in float, so that it is compared with the float file only.
    ...(name.endsWith('int8') ? [] : [[`${name}_web_model/model.json`, 'tfjs-wasm', name] as const]),
  ]);

  test.each(cases)('%s on %s', { timeout: SLOW_MS }, async (file, engine, name) => {
    const images = Object.keys(expected[name]!);
    const found = await page.evaluate(
      async ([file, engine, images]) => {
        const detector = await (globalThis as any).load(file, { engine });
        const all: any[] = [];
        for (const image of images) {
          const { detections } = await detector.detect(await (await fetch(`models-of-tests/${image}`)).blob());
          all.push(detections.map(({ mask, ...rest }: any) => ({ ...rest, mask: { ...mask, data: new TextDecoder('latin1').decode(mask.data) } })));
        }
        detector.dispose();
        return all;
      },
      [file, engine, images] as const,
    );
    for (const [i, image] of images.entries()) {
      const rows = expected[name]![image]!;
      expect(found[i].map((one: any) => one.classId)).toEqual(rows.map((row) => row.classId));
      for (const [j, row] of rows.entries()) {
        const { mask, score } = found[i][j];
        expect(Math.abs(score - row.score)).toBeLessThan(1e-4);
        expect([mask.y, mask.x, mask.height, mask.width]).toEqual([row.corner_xy[1], row.corner_xy[0], ...row.patch_hw]);
        const reference = unpacked(row);
        const same = Buffer.from(mask.data, 'latin1').filter((value, at) => value === reference[at]).length;
        expect(same).toBeGreaterThanOrEqual(0.995 * reference.length);
      }
    }
  });
});

/** The mask as one number per pixel; each row of bits begins with a new byte. */
function unpacked({ bits, patch_hw: [height, width] }: Segmented): number[] {
  const bytes = Buffer.from(bits, 'base64');
  const stride = Math.ceil(width / 8);
  return Array.from({ length: height * width }, (_, i) => {
    const [y, x] = [Math.floor(i / width), i % width];
    return (bytes[y * stride + (x >> 3)]! >> (7 - (x & 7))) & 1;
  });
}

test('options filter detections', async () => {
  const [all, confident, oneClass, few] = await page.evaluate(async () => {
    const { load, fetchImage } = globalThis as any;
    const detector = await load('int8-none.tflite', { engine: 'litert-wasm' });
    const blob = await fetchImage();
    const results = [];
    for (const options of [{}, { confidence: 0.7 }, { classIds: [2] }, { maxDetections: 3 }])
      results.push((await detector.detect(blob, options)).detections);
    detector.dispose();
    return results;
  });
  expect(confident).toEqual(all.filter((detection: any) => detection.score > 0.7));
  expect(oneClass).toEqual(all.filter((detection: any) => detection.classId === 2));
  expect(few).toEqual(all.slice(0, 3));
  expect(all[0]).toMatchObject({ label: expect.stringMatching(/RBC|WBC|Platelets/), classId: expect.any(Number) });
});

test('auto times the engines, gives a reason, and remembers the fastest', async () => {
  const [first, second, again] = await page.evaluate(async () => {
    const { load } = globalThis as any;
    const choices = [];
    for (const options of [{}, {}, { retime: true }]) {
      const detector = await load('int8-none.tflite', options);
      await detector.settled;
      choices.push(detector.choice);
      detector.dispose();
    }
    return choices;
  });
  const timed = first.trials.filter((trial: any) => trial.milliseconds !== null);
  expect(timed.length).toBeGreaterThanOrEqual(2);
  expect(Math.min(...timed.map((trial: any) => trial.milliseconds))).toBe(
    timed.find((trial: any) => trial.engine === first.engine).milliseconds,
  );
  expect(first.reason).toMatch(/the fastest of \d/);
  expect(first.trials.find((trial: any) => trial.engine === 'litert-webgpu').reason).toMatch(/emulated|not support WebGPU|no GPU/);
  expect(second).toMatchObject({ engine: first.engine, trials: [], reason: expect.stringContaining('earlier visit') });
  expect(again.trials.length).toBeGreaterThanOrEqual(2);
});

test('detection starts with the first engine, and switches to the fastest', async () => {
  const { early, late, first, settled } = await page.evaluate(async () => {
    const { load, fetchImage } = globalThis as any;
    const detector = await load('int8-none.tflite', { retime: true });
    const blob = await fetchImage();
    const first = detector.choice;
    const early = (await detector.detect(blob)).detections;
    await detector.settled;
    const late = (await detector.detect(blob)).detections;
    const settled = detector.choice;
    detector.dispose();
    return { early, late, first, settled };
  });
  expect(first.trials.filter((trial: any) => trial.milliseconds !== null).length).toBe(1);
  expect(first.reason).toContain('while the others are timed');
  expect(settled.trials.length).toBe(3);
  expect(early.length).toBeGreaterThan(5);
  expect(late).toEqual(early);
});

test.each(['at once', 'while the next engine starts'])('disposing %s during the benchmark ends all workers', async (moment) => {
  const alive = await page.evaluate(async (moment) => {
    const { load, workers } = globalThis as any;
    const before = workers.length;
    const detector = await load('int8-none.tflite', { retime: true });
    while (moment !== 'at once' && workers.length < before + 2) await new Promise((resolve) => setTimeout(resolve));
    detector.dispose();
    await detector.settled;
    return workers.slice(before).filter((worker: any) => !worker.ended).length;
  }, moment);
  expect(alive).toBe(0);
});

test('calls that wait share the recovery of an engine', async () => {
  const found = await page.evaluate(async () => {
    const { load, fetchImage, workers } = globalThis as any;
    const detector = await load('int8-none.tflite', { engine: 'litert-wasm' });
    const blob = await fetchImage();
    const worker = workers.at(-1);
    const waiting: number[] = [];
    worker.postMessage = ({ id }: { id: number }) => waiting.push(id); // which never answers
    const calls = [1, 2, 3].map(() => detector.detect(blob));
    while (waiting.length < 3) await new Promise((resolve) => setTimeout(resolve));
    const error = { code: 'engine-failed', message: 'The GPU was lost.', fix: 'Reload the page.' };
    worker.dispatchEvent(new MessageEvent('message', { data: { id: waiting[0], error } }));
    const results = await Promise.allSettled(calls);
    detector.dispose();
    return results.map((result: any) => result.value?.detections.length ?? result.reason.message);
  });
  expect(found[0]).toBeGreaterThan(5);
  expect(found).toEqual([found[0], found[0], found[0]]);
});

test('transparent pixels are white, whatever image came before', async () => {
  const [photo, transparent, white] = await page.evaluate(async () => {
    const { load, fetchImage } = globalThis as any;
    const detector = await load('int8-none.tflite', { engine: 'litert-wasm' });
    const canvas = new OffscreenCanvas(640, 480);
    const context = canvas.getContext('2d')!;
    const found = async (source: unknown) => JSON.stringify((await detector.detect(source, { confidence: 0.01 })).detections);
    const results = [await found(await fetchImage()), await found(canvas)];
    context.fillStyle = '#fff';
    context.fillRect(0, 0, 640, 480);
    results.push(await found(canvas));
    detector.dispose();
    return results;
  });
  expect(transparent).toBe(white);
  expect(transparent).not.toBe(photo);
});

test('another engine takes over when one stops', async () => {
  const { found, before, after, changed } = await page.evaluate(async () => {
    const { load, fetchImage, workers } = globalThis as any;
    let changed: any = null;
    const detector = await load('int8-none.tflite', { engine: 'litert-wasm', onEngineChange: (choice: any) => (changed = choice) });
    const blob = await fetchImage();
    const before = detector.choice.engine;
    const lost = detector.detect(blob);
    workers.at(-1).dispatchEvent(new ErrorEvent('error', { message: 'the GPU is gone' }));
    const found = (await lost).detections.length;
    const after = detector.choice;
    detector.dispose();
    return { found, before, after, changed };
  });
  expect(found).toBeGreaterThan(5);
  expect(before).toBe('litert-wasm');
  expect(after.engine).not.toBe(before);
  expect(changed).toEqual(after);
  expect(after.reason).toContain('stopped');
});

test.each([
  ['does not exist', 'nothing.tflite', {}, 'model-download'],
  ['is truncated', 'cut.tflite', {}, 'model-without-contract'],
  ['is damaged', 'spoilt.tflite', { engine: 'litert-wasm' }, 'model-corrupt'],
  ['has another task', 'classifier.tflite', {}, 'model-task'],
  ['has another input shape than its metadata', 'shape.tflite', {}, 'model-shape'],
  ['is an image', 'odd.png', {}, 'model-unknown'],
  ['has no contract', 'bare_web_model/model.json', {}, 'model-without-contract'],
  ['needs other engines', 'int8-none.tflite', { engine: 'tfjs-wasm' }, 'engine-unavailable'],
  ['gets an unknown engine', 'int8-none.tflite', { engine: 'none such' }, 'engine-unavailable'],
])('a model that %s', async (_, model, options, code) => {
  const error = await page.evaluate(
    async ([model, options]) => {
      try {
        await (globalThis as any).load(model, options);
        return null;
      } catch (error: any) {
        return { name: error.name, code: error.code, message: error.message, fix: error.fix };
      }
    },
    [model, options] as const,
  );
  expect(error).toMatchObject({ name: 'DetectorError', code });
  expect(error!.message).toMatch(/^[A-Z`].*\.$/s);
  expect(error!.fix).toMatch(/\.$/);
});

test('errors of undecodable sources and of a disposed detector', async () => {
  const codes = await page.evaluate(async () => {
    const { load } = globalThis as any;
    const detector = await load('int8-none.tflite', { engine: 'litert-wasm' });
    const codes: string[] = [];
    const note = (error: any) => codes.push(error.code);
    await detector.detect(new Blob(['not an image'])).catch(note);
    await detector.detect(new Image()).catch(note);
    detector.dispose();
    await detector.detect(new ImageData(8, 8)).catch(note);
    return codes;
  });
  expect(codes).toEqual(['image', 'image', 'disposed']);
});

test.each([
  ['int8-builtin.tflite', 'litert-wasm'],
  ['int8-builtin_web_model/model.json', 'tfjs-wasm'],
])('memory use does not grow during a hundred frames of %s', { timeout: SLOW_MS }, async (model, engine) => {
  const [before, after] = await page.evaluate(
    async ([model, engine]) => {
      const detector = await (globalThis as any).load(model, { engine });
      const canvas = new OffscreenCanvas(320, 240);
      const context = canvas.getContext('2d')!;
      const uses = [];
      for (let i = 0; i <= 110; i++) {
        context.fillStyle = `hsl(${i} 50% 50%)`;
        context.fillRect(i, i, 100, 80);
        const frame = new VideoFrame(canvas, { timestamp: i });
        await detector.detect(frame);
        frame.close();
        if (i === 10 || i === 110) uses.push(await detector.memory());
      }
      detector.dispose();
      return uses;
    },
    [model, engine] as const,
  );
  expect(after).toEqual(before);
  expect(before.bytes).toBeGreaterThan(1e6);
});

test('without COOP and COEP headers a single thread is used', async () => {
  const plain = await serve({ isolated: false });
  const other = await open(browser, `${plain.url}bare.html`);
  await ready(other);
  const choice = await other.evaluate(async () => {
    const detector = await (globalThis as any).createDetector({ model: 'models-of-tests/int8-none.tflite', wasmFolder: '/library/' });
    await detector.settled;
    return detector.choice;
  });
  expect(choice.engine).toBe('litert-wasm');
  expect(choice.trials[0].reason).toContain('COOP');
  await other.context().close();
  await plain.close();
});
