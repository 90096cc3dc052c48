/** In the built page, every engine gives the same detections as Python, for every kind of exported model. */

import fs from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { type EngineId, ENGINES, type ModelKind } from '../../src/detector/engines/table';
import { browserAndServer, detect, problemsOf, type SavedDetection, open, ready, SLOW_MS } from './browser';
import { MODELS } from './server';

interface Expected {
  readonly path: string;
  readonly kind: ModelKind;
  readonly precision: string;
  readonly nms: string;
  readonly found: Record<string, { box: [number, number, number, number]; score: number; classId: number }[]>;
}

const EXPECTED: Expected[] = JSON.parse(fs.readFileSync(path.join(MODELS, 'expected.json'), 'utf8'));
/** Emulated GPUs take seconds per image, so they run a few models on one image. */
const EMULATED: Partial<Record<EngineId, readonly string[]>> = {
  'litert-webgpu': ['float32-postprocess.tflite'],
  'tfjs-webgpu': ['float32-builtin_web_model/model.json'],
  'tfjs-webgl': ['float32-builtin_web_model/model.json', 'int8-builtin_web_model/model.json'],
  'tfjs-cpu': ['float32-none_web_model/model.json'],
};
/** LiteRT.js does not support int8 outputs. */
const UNSUPPORTED = ['int8-raw.tflite'];
const CASES = ENGINES.flatMap((engine) =>
  EXPECTED.filter(
    (file) => file.kind === engine.kind && !UNSUPPORTED.includes(file.path) && (!EMULATED[engine.id] || EMULATED[engine.id]!.includes(file.path)),
  ).map((file) => ({ engine: engine.id, file, name: `${file.path} on ${engine.id}` })),
);

const fixtures = browserAndServer();

describe('every engine with every model', () => {
  test.each(CASES)('$name', { timeout: SLOW_MS }, async ({ engine, file }) => {
    const page = await open(fixtures.browser, `${fixtures.server.url}?model=${fixtures.server.model(file.path)}&engine=${engine}`);
    await ready(page);
    expect(await page.getAttribute('html', 'data-engine')).toBe(engine);
    const images = EMULATED[engine] ? ['BloodImage_00062.png'] : Object.keys(file.found);
    for (const image of images) compare(await detect(page, image), file, image);
    expect(problemsOf(page)).toEqual([]);
    await page.context().close();
  });
});

/** Compare detections with Python's, within the precision of the saved JSON: 0.1 pixel and 0.0001 score. */
function compare(found: SavedDetection[], file: Expected, image: string): void {
  const expected = file.found[image]!;
  expect(found.length).toBe(expected.length);
  // Integer results of LiteRT are the same on every platform; float results depend on the order of additions.
  const isExact = file.kind === 'tflite' && file.precision === 'int8';
  let ties = 0;
  for (const one of expected) {
    const sameClass = found.filter((other) => other.classId === one.classId).map((other) => ({ other, iou: iou(other, one.box) }));
    const best = sameClass.reduce((a, b) => (b.iou > a.iou ? b : a));
    expect(Math.abs(best.other.score - one.score)).toBeLessThan(isExact ? 6e-5 : 0.01);
    const { x, y, width, height } = best.other.box;
    const moved = [x, y, x + width, y + height].some((side, i) => Math.abs(side - one.box[i]!) > 0.11);
    if (isExact && moved) ties++;
    expect(best.iou).toBeGreaterThan(isExact && moved ? 0.7 : 0.98);
  }
  // Quantized scores can be equal; the top-k operation of such a graph does not define which of two neighbors comes first.
  // How many are equal depends on the calibration, whose sums differ between processors.
  expect(ties).toBeLessThanOrEqual(file.nms === 'builtin' ? Math.ceil(expected.length / 4) : 0);
}

function iou({ box }: SavedDetection, [left, top, right, bottom]: [number, number, number, number]): number {
  const width = Math.min(box.x + box.width, right) - Math.max(box.x, left);
  const height = Math.min(box.y + box.height, bottom) - Math.max(box.y, top);
  const intersection = Math.max(width, 0) * Math.max(height, 0);
  return intersection / (box.width * box.height + (right - left) * (bottom - top) - intersection);
}
