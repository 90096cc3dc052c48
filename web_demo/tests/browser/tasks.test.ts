/** Classifiers and segmentation models in the built page, operated as a user would. */

import fs from 'node:fs';
import path from 'node:path';

import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import type { EngineId } from '../../src/detector/engines/table';
import { axeViolations, browserAndServer, detect, open, openImage, problemsOf, ready, savedJson, SLOW_MS } from './browser';
import { MODELS, REPOSITORY } from './server';

/** Per model and image: the probability of each class, the most probable first. */
const CLASSIFIERS: Record<string, Record<string, Record<string, number>>> = JSON.parse(
  fs.readFileSync(path.join(MODELS, 'classifiers.json'), 'utf8'),
);
const SCREENSHOTS = path.join(REPOSITORY, 'web_demo/screenshots');
const IMAGE = 'BloodImage_00062.png';

const fixtures = browserAndServer({ samples: false });

async function openModel(file: string, engine: EngineId, options = {}): Promise<Page> {
  const page = await open(fixtures.browser, `${fixtures.server.url}?model=${fixtures.server.model(file)}&engine=${engine}`, options);
  await ready(page);
  return page;
}

async function close(page: Page): Promise<void> {
  expect(problemsOf(page)).toEqual([]);
  await page.context().close();
}

/** Largest difference from Python: integer results are the same on every platform, and TF.js rounds nothing but weights. */
const CASES: [file: string, engine: EngineId, model: string, tolerance: number][] = [
  ['classifier.tflite', 'litert-wasm', 'classifier', 1e-4],
  ['classifier.tflite', 'litert-wasm-threads', 'classifier', 1e-4],
  ['classifier_raw.tflite', 'litert-wasm', 'classifier_raw', 1e-4],
  ['classifier_int8.tflite', 'litert-wasm', 'classifier_int8', 1e-4],
  ['classifier_web_model/model.json', 'tfjs-wasm', 'classifier', 1e-4],
  ['classifier_raw_web_model/model.json', 'tfjs-wasm', 'classifier_raw', 1e-4],
  ['classifier_int8_web_model/model.json', 'tfjs-wasm', 'classifier_int8', 0.1],
  ['classifier_web_model/model.json', 'tfjs-webgl', 'classifier', 0.01],
];

describe('classifiers give the probabilities of Python', () => {
  test.each(CASES)('%s on %s', { timeout: SLOW_MS }, async (file, engine, model, tolerance) => {
    const page = await openModel(file, engine);
    for (const [image, probabilities] of Object.entries(CLASSIFIERS[model]!)) {
      await openImage(page, image);
      const { classes } = await savedJson(page);
      expect(classes.map(({ label }: { label: string }) => label)).toEqual(Object.keys(probabilities));
      for (const { label, probability } of classes) expect(Math.abs(probability - probabilities[label]!)).toBeLessThan(tolerance);
    }
    await close(page);
  });
});

test('a classifier shows its classes with bars, and no thresholds', { timeout: SLOW_MS }, async () => {
  const page = await openModel('classifier.tflite', 'litert-wasm');
  await openImage(page, IMAGE);
  expect(await page.title()).toBe('tfyolo: image classification in your browser');
  expect(await page.innerText('#title')).toBe('Image classification in your browser');
  expect(await page.innerText('#count')).toBe('cat');
  expect(await page.locator('#top-classes li').allInnerTexts()).toEqual([
    expect.stringMatching(/cat\s+83\.7%/),
    expect.stringMatching(/ant\s+12\.4%/),
    expect.stringMatching(/bee\s+3\.9%/),
  ]);
  await page.waitForFunction(() => document.querySelector('#summary')!.textContent === 'cat 83.7%, ant 12.4%, bee 3.9%');
  expect(await page.getAttribute('#image-canvas', 'aria-label')).toBe(`${IMAGE}. cat 83.7%, ant 12.4%, bee 3.9%`);
  for (const id of ['#thresholds', '#all-or-none', '#masks']) expect(await page.isVisible(id)).toBe(false);
  expect(await page.locator('#classes li').count()).toBe(0);
  const [csv] = await Promise.all([page.waitForEvent('download'), page.click('#save-csv')]);
  expect(csv.suggestedFilename()).toBe('BloodImage_00062-classified.csv');
  expect(fs.readFileSync(await csv.path(), 'utf8').trim().split('\r\n').length).toBe(4);
  const [image] = await Promise.all([page.waitForEvent('download'), page.click('#save-image')]);
  const png = fs.readFileSync(await image.path());
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([640, 480]);
  expect(png.equals(fs.readFileSync(path.join(MODELS, IMAGE)))).toBe(false);
  // A detector afterwards: its controls come back, and the classes go.
  await page.setInputFiles('#model-file', path.join(MODELS, 'int8-builtin.tflite'));
  await page.waitForFunction(() => Number(document.documentElement.dataset.detections) > 3, null, { timeout: SLOW_MS });
  expect(await page.isVisible('#thresholds')).toBe(true);
  expect(await page.isVisible('#top-classes')).toBe(false);
  expect(await page.innerText('#title')).toBe('Object detection in your browser');
  await close(page);
});

test('a model whose outputs are of another task is refused', { timeout: SLOW_MS }, async () => {
  const page = await openModel('classifier.tflite', 'litert-wasm');
  await page.setInputFiles('#model-file', path.join(MODELS, 'task.tflite'));
  await page.waitForFunction(() => /its task is `classify`, but its outputs are/.test(document.querySelector('#alert')!.textContent!), null, {
    timeout: SLOW_MS,
  });
  await openImage(page, IMAGE);
  expect(await page.innerText('#count')).toBe('cat');
  await close(page);
});

/** Number of pixels of the overlay that are translucent, as masks are and boxes are not. */
const translucentPixels = (page: Page) =>
  page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('#overlay')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 3; i < data.length; i += 4) if (Math.abs(data[i]! - 115) <= 1) count++;
    return count;
  });

test('a segmentation model shows masks, which can be hidden', { timeout: SLOW_MS }, async () => {
  const page = await openModel('segmenter.tflite', 'litert-wasm');
  const detections = await detect(page, IMAGE);
  expect(await page.innerText('#title')).toBe('Instance segmentation in your browser');
  expect(detections.every(({ maskArea }) => Number.isInteger(maskArea))).toBe(true);
  const shown = await translucentPixels(page);
  expect(shown).toBeGreaterThan(5000);
  const sizeOfPng = async () => {
    const [image] = await Promise.all([page.waitForEvent('download'), page.click('#save-image')]);
    return fs.readFileSync(await image.path());
  };
  const withMasks = await sizeOfPng();
  await page.locator('#show-masks').uncheck();
  expect(await translucentPixels(page)).toBeLessThan(shown / 10);
  expect((await sizeOfPng()).equals(withMasks)).toBe(false);
  await page.locator('#show-masks').check();
  expect(await translucentPixels(page)).toBe(shown);
  // Masks of hidden classes are hidden, too.
  await page.click('#no-classes');
  expect(await translucentPixels(page)).toBe(0);
  await close(page);
});

describe.each([
  ['classifier', 'classifier_int8.tflite'],
  ['segmenter', 'segmenter_int8.tflite'],
])('%s: axe finds no serious violations, nothing overflows; screenshots', (name, file) => {
  test.each([
    ['desktop', { width: 1280, height: 800 }, 'light'],
    ['phone', { width: 390, height: 844 }, 'dark'],
    ['small phone', { width: 320, height: 640 }, 'light'],
  ] as const)('%s', { timeout: SLOW_MS }, async (device, viewport, colorScheme) => {
    fs.mkdirSync(SCREENSHOTS, { recursive: true });
    const page = await openModel(file, 'litert-wasm', { viewport, colorScheme, bypassCSP: true, reducedMotion: 'reduce' });
    await openImage(page, IMAGE);
    await page.screenshot({ path: path.join(SCREENSHOTS, `${name}-${device.replace(' ', '-')}.png`), fullPage: device !== 'desktop' });
    expect(await axeViolations(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await page.context().close();
  });
});
