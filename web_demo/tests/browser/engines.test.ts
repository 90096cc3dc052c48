/** In the built page, every engine gives the same detections as Python, for every kind of exported model. */

import fs from 'node:fs';
import path from 'node:path';

import type { BrowserContext } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';

import { type EngineId, ENGINES, type ModelKind } from '../../src/detector/engines/table';
import { browserAndServer, detect, problemsOf, type SavedDetection, open, ready, SLOW_MS } from './browser';
import { MODELS } from './server';

interface Row {
  readonly box: [number, number, number, number];
  readonly score: number;
  readonly classId: number;
}

interface Expected {
  readonly path: string;
  readonly kind: ModelKind;
  readonly precision: string;
  readonly nms: string;
  readonly found: Record<string, Row[]>;
  /** All boxes before suppression, of the integer file with top-k. */
  readonly candidates?: Record<string, Row[]>;
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

const fixtures = browserAndServer({ samples: false });

describe('every engine with every model', () => {
  let context: BrowserContext;
  beforeAll(async () => {
    context = await fixtures.browser.newContext();
  });

  test.each(CASES)('$name', { timeout: SLOW_MS }, async ({ engine, file }) => {
    const page = await open(fixtures.browser, `${fixtures.server.url}?model=${fixtures.server.model(file.path)}&engine=${engine}`, {}, context);
    await ready(page);
    expect(await page.getAttribute('html', 'data-engine')).toBe(engine);
    const images = EMULATED[engine] ? ['BloodImage_00062.png'] : Object.keys(file.found);
    for (const image of images) compare(await detect(page, image), file, image);
    expect(problemsOf(page)).toEqual([]);
    await page.close();
  });
});

/** Compare detections with Python's, within the precision of the saved JSON: 0.1 pixel and 0.0001 score. */
function compare(found: SavedDetection[], file: Expected, image: string): void {
  const expected = file.found[image]!;
  expect(found.length).toBe(expected.length);
  // Integer results of LiteRT are the same on every platform; float results depend on the order of additions.
  const isExact = file.kind === 'tflite' && file.precision === 'int8';
  for (const one of expected) {
    const sameClass = found.filter((other) => other.classId === one.classId).map((other) => ({ other, iou: iou(other, one.box) }));
    const best = sameClass.reduce((a, b) => (b.iou > a.iou ? b : a));
    expect(Math.abs(best.other.score - one.score)).toBeLessThan(isExact ? 6e-5 : 0.01);
    const moved = isExact && !isSame(best.other, one);
    // Quantized scores can be equal, and top-k does not define which of two neighbors comes first: then the box is
    // another of Python's candidates, to the pixel and with the same score.
    if (moved) expect(file.candidates?.[image]?.some((candidate) => isSame(best.other, candidate))).toBe(true);
    expect(best.iou).toBeGreaterThan(moved ? 0.7 : 0.98);
  }
}

/** Whether class and score are equal, and no side differs by more than 0.11 pixels. */
function isSame(found: SavedDetection, row: Row): boolean {
  const { x, y, width, height } = found.box;
  const sides = [x, y, x + width, y + height].every((side, i) => Math.abs(side - row.box[i]!) <= 0.11);
  return sides && found.classId === row.classId && Math.abs(found.score - row.score) < 6e-5;
}

function iou({ box }: SavedDetection, [left, top, right, bottom]: [number, number, number, number]): number {
  const width = Math.min(box.x + box.width, right) - Math.max(box.x, left);
  const height = Math.min(box.y + box.height, bottom) - Math.max(box.y, top);
  const intersection = Math.max(width, 0) * Math.max(height, 0);
  return intersection / (box.width * box.height + (right - left) * (bottom - top) - intersection);
}
