/** The built page in a browser, operated as a user would. */

import fs from 'node:fs';
import path from 'node:path';

import { chromium, type Page } from 'playwright-core';
import { expect, test } from 'vitest';

import { launchOptions } from '../../../tests/chromium.mjs';
import { axeViolations, browserAndServer, detect, problemsOf, launch, open, ready, saved, SLOW_MS } from './browser';
import { MODELS, REPOSITORY, serve } from './server';

const MODEL = 'int8-builtin.tflite';
const ONE_THREAD = 'engine=litert-wasm';
const SCREENSHOTS = path.join(REPOSITORY, 'web_demo/screenshots');

const fixtures = browserAndServer();

/** Run an action on a loaded page, then check that no errors or requests to other hosts occurred. */
async function withPage(action: (page: Page) => Promise<void>, query = `?${ONE_THREAD}`, options = {}): Promise<void> {
  const page = await open(fixtures.browser, fixtures.server.url + query, options);
  await ready(page);
  await detected(page);
  await action(page);
  expect(problemsOf(page)).toEqual([]);
  await page.context().close();
}

const detected = (page: Page, minimum = 1) =>
  page.waitForFunction((n) => Number(document.documentElement.dataset.detections) >= n, minimum, { timeout: SLOW_MS });
const count = async (page: Page) => Number(await page.getAttribute('html', 'data-detections'));
const alertOf = async (page: Page) => {
  await page.waitForFunction(() => document.querySelector('#alert')!.textContent!.trim() !== '', null, { timeout: SLOW_MS });
  return page.innerText('#alert');
};

test('detects objects in a sample on load', { timeout: SLOW_MS }, async () => {
  const page = await open(fixtures.browser, fixtures.server.url);
  await detected(page, 5);
  expect(await page.innerText('#summary')).toMatch(/\d+ objects/);
  await page.waitForFunction(() => /RBC/.test(document.querySelector('#summary')!.textContent!));
  expect(await page.innerText('#facts')).toMatch(/320 × 320/);
  // The overlay with the boxes is not empty.
  const drawn = await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('#overlay')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value > 0);
  });
  expect(drawn).toBe(true);
  expect(problemsOf(page)).toEqual([]);
  await page.context().close();
});

test('sliders and class filter change the detections, and sliders the URL', () =>
  withPage(async (page) => {
    const before = await count(page);
    await page.fill('#confidence', '0.7');
    await page.waitForFunction((n) => Number(document.documentElement.dataset.detections) < n, before);
    expect((await saved(page)).every((one) => one.score > 0.7)).toBe(true);
    await page.waitForFunction(() => location.search.includes('conf=0.7')); // updated after a delay
    await page.fill('#confidence', '0.25');
    await page.waitForFunction((n) => Number(document.documentElement.dataset.detections) === n, before);
    await page.locator('label:has-text("RBC") input[type=checkbox]').uncheck();
    await page.waitForFunction((n) => Number(document.documentElement.dataset.detections) < n, before);
    expect((await saved(page)).some((one) => one.label === 'RBC')).toBe(false);
  }));

test('saves CSV, PNG and JSON', () =>
  withPage(async (page) => {
    const found = await detect(page, 'BloodImage_00062.png');
    const [csv] = await Promise.all([page.waitForEvent('download'), page.click('#save-csv')]);
    const lines = fs.readFileSync(await csv.path(), 'utf8').trim().split('\n');
    expect(lines.length).toBe(found.length + 1);
    const [image] = await Promise.all([page.waitForEvent('download'), page.click('#save-image')]);
    const png = fs.readFileSync(await image.path());
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([640, 480]);
    expect(png.equals(fs.readFileSync(path.join(MODELS, 'BloodImage_00062.png')))).toBe(false);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.click('#copy-json');
    await page.waitForFunction(async () => (await navigator.clipboard.readText()).includes('detections'));
  }));

test('a model of the user stays in use after broken ones', { timeout: SLOW_MS }, () =>
  withPage(async (page) => {
    await page.setInputFiles('#model-file', path.join(MODELS, 'float32-none.tflite'));
    await page.waitForFunction(() => document.querySelector('#facts')!.textContent!.includes('float32'), null, { timeout: SLOW_MS });
    await ready(page);
    for (const [name, message] of [
      ['cut.tflite', /no tfyolo metadata|damaged/],
      ['spoilt.tflite', /cannot read this model/],
      ['task.tflite', /its task is `classify`, but its outputs are/],
      ['shape.tflite', /its metadata says/],
    ] as const) {
      await page.setInputFiles('#model-file', path.join(MODELS, name));
      await page.waitForFunction(
        (source) => new RegExp(source).test(document.querySelector('#alert')!.textContent!),
        message.source,
        { timeout: SLOW_MS },
      );
    }
    await ready(page);
    expect((await detect(page, 'odd.png')).length).toBeGreaterThan(3);
    expect(await page.innerText('#facts')).toContain('float32');
  }));

test('a TF.js folder of the user', { timeout: SLOW_MS }, () =>
  withPage(async (page) => {
    const folder = path.join(MODELS, 'int8-builtin_web_model');
    await page.setInputFiles('#model-file', fs.readdirSync(folder).map((name) => path.join(folder, name)));
    await page.waitForFunction(() => document.documentElement.dataset.engine === 'tfjs-wasm', null, { timeout: SLOW_MS });
    expect((await detect(page, 'odd.png')).length).toBeGreaterThan(3);
  }));

test('several files, one of which is not an image', () =>
  withPage(async (page) => {
    const files = [
      ['odd.png', 'odd.png'],
      ['broken.png', 'expected.json'],
    ].map(([name, from]) => ({ name: name!, mimeType: 'image/png', buffer: fs.readFileSync(path.join(MODELS, from!)) }));
    await page.setInputFiles('#file', files);
    expect(await alertOf(page)).toMatch(/broken\.png.*cannot be decoded/s);
    await detected(page);
  }));

test('a pasted image', () =>
  withPage(async (page) => {
    const image = fs.readFileSync(path.join(MODELS, 'odd.png')).toString('base64');
    await page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
    }, image);
    await page.waitForFunction(() => document.documentElement.dataset.image === 'pasted.png');
    expect((await saved(page)).length).toBeGreaterThan(3);
  }));

test('camera access is denied', async () => {
  const denying = await launch('--deny-permission-prompts');
  const page = await open(denying, `${fixtures.server.url}?${ONE_THREAD}`);
  await ready(page);
  await page.click('#camera');
  expect(await alertOf(page)).toMatch(/camera/i);
  await page.setInputFiles('#file', path.join(MODELS, 'odd.png'));
  await detected(page);
  expect(problemsOf(page)).toEqual([]);
  await denying.close();
});

test('invalid settings in the URL, without a GPU', { timeout: SLOW_MS }, async () => {
  const plain = await chromium.launch(launchOptions(['--disable-gpu', '--disable-unsafe-webgpu'], ['WebGPU']));
  const page = await open(plain, `${fixtures.server.url}?engine=none-such&conf=7&iou=x&model=https://elsewhere.example/a.tflite`);
  const alert = await alertOf(page);
  expect(alert).toMatch(/engine/i);
  await detected(page);
  expect(problemsOf(page)).toEqual([]);
  await plain.close();
});

test('works offline after the first visit', { timeout: SLOW_MS }, async () => {
  const own = await serve();
  const context = await fixtures.browser.newContext();
  const page = await open(fixtures.browser, `${own.url}?${ONE_THREAD}`, {}, context);
  await ready(page);
  await detected(page);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null, null, { timeout: SLOW_MS });
  // Files loaded before the service worker took control are cached on the second load.
  await page.reload();
  await detected(page);
  await own.close();
  await page.reload();
  await ready(page);
  await detected(page, 5);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  await context.close();
});

test('a failed download shows a message', async () => {
  const context = await fixtures.browser.newContext({ serviceWorkers: 'block' });
  const page = await context.newPage();
  await page.route('**/models/default.tflite', (route) => route.abort());
  await page.goto(fixtures.server.url);
  expect(await alertOf(page)).toMatch(/cannot be reached.*connection/s);
  await page.setInputFiles('#model-file', path.join(MODELS, MODEL));
  await ready(page);
  await detected(page);
  await context.close();
});

test('resizing and themes', () =>
  withPage(async (page) => {
    for (const width of [320, 390, 1000, 1800]) {
      await page.setViewportSize({ width, height: 800 });
      await page.waitForTimeout(100);
      const [scroll, stage] = await page.evaluate(() => [
        document.documentElement.scrollWidth - innerWidth,
        (() => {
          const [a, b] = ['#image-canvas', '#overlay'].map((id) => document.querySelector(id)!.getBoundingClientRect());
          return Math.max(Math.abs(a!.left - b!.left), Math.abs(a!.width - b!.width), Math.abs(a!.height - b!.height));
        })(),
      ]);
      expect(scroll).toBeLessThanOrEqual(0);
      expect(stage).toBeLessThan(1.5);
    }
    const color = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await color();
    await page.locator('#theme input[value=dark]').check({ force: true });
    expect(await color()).not.toBe(light);
    await page.reload();
    await ready(page);
    expect(await color()).not.toBe(light);
  }, `?${ONE_THREAD}`, { colorScheme: 'light' }));

test('can be operated by keyboard', () =>
  withPage(async (page) => {
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      seen.add(await page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim() || ''));
    }
    for (const id of ['file', 'camera', 'confidence', 'iou', 'engine', 'save-image', 'copy-json', 'save-json', 'save-csv', 'model-file'])
      expect([...seen]).toContain(id);
  }));

test.each(['light', 'dark'] as const)('axe finds no serious violations; screenshots: %s', { timeout: SLOW_MS }, async (colorScheme) => {
  fs.mkdirSync(SCREENSHOTS, { recursive: true });
  for (const [device, viewport] of [
    ['desktop', { width: 1280, height: 800 }],
    ['phone', { width: 390, height: 844 }],
  ] as const) {
    const context = await fixtures.browser.newContext({ viewport, colorScheme, bypassCSP: true, reducedMotion: 'reduce' });
    const page = await open(fixtures.browser, `${fixtures.server.url}?${ONE_THREAD}`, {}, context);
    await ready(page);
    await detected(page);
    await page.screenshot({ path: path.join(SCREENSHOTS, `${device}-${colorScheme}.png`), fullPage: device === 'phone' });
    expect(await axeViolations(page)).toEqual([]);
    await context.close();
  }
});
