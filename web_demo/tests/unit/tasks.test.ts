/** From an image and the outputs of a model to a result, for every task. */
import { describe, expect, test } from 'vitest';

import type { Contract, Task } from '../../src/detector/contract';
import type { Output } from '../../src/detector/decode';
import { checkOutputs } from '../../src/detector/engines/runner';
import { TASK_STEPS } from '../../src/detector/engines/tasks';
import type { ClassificationResult, DetectionResult } from '../../src/detector/types';

const [WIDTH, HEIGHT] = [32, 16];
const IMAGE = { data: new Uint8Array(WIDTH * HEIGHT * 3).fill(9), width: WIDTH, height: HEIGHT, step: 3 } as const;

function contractOf(task: Task): Contract {
  return {
    task,
    classNames: ['ant', 'bee', 'cat'],
    imageSize: [32, 32],
    anchorsPx: [[8, 8]],
    strides: [16],
    version: '',
    modelName: '',
    nms: 'builtin',
    precision: 'float32',
    embeddedNms: null,
  };
}

function run(task: Task, outputs: Record<string, Output>, options = {}) {
  const input = new Uint8Array(32 * 32 * 3);
  const result = TASK_STEPS[task](IMAGE, contractOf(task), input)(outputs, options);
  return { input, result: result as DetectionResult & ClassificationResult };
}

const floats = (shape: number[], ...values: number[]): Output => ({ data: Float32Array.from(values), shape });

test('a classifier gets the center of the image, and returns its most probable classes', () => {
  const { input, result } = run('classify', { probabilities: floats([1, 3], 0.2, 0.7, 0.1) }, { top: 2 });
  expect(input.every((value) => value === 9)).toBe(true);
  expect(result.crop).toEqual({ x: 8, y: 0, width: 16, height: 16 });
  expect(result.classes.map(({ label, classId }) => [label, classId])).toEqual([['bee', 1], ['ant', 0]]);
});

describe('a segmentation model', () => {
  // The image is 32 x 16, so that the letterbox adds 8 rows above and below.
  const boxes = floats([1, 3, 4], 0.25, 0, 0.75, 0.5, 0.25, 0.5, 0.75, 1, 0, 0, 0, 0);
  const detections = {
    detection_boxes: boxes,
    detection_classes: floats([1, 3], 2, 0, 0),
    detection_scores: floats([1, 3], 0.9, 0.6, 0),
    num_detections: floats([1], 2),
  };
  /** Masks of 8 x 8 cells that fill the left or the right half of the image. */
  const cells = (inside: number) =>
    [0, 4, 8].flatMap((start) => Array.from({ length: 64 }, (_, i) => ((i % 8) - start < 4 && i % 8 >= start && i >= 16 && i < 48 ? inside : 0)));

  test.each([
    ['float32', Float32Array.from(cells(0.9))],
    ['uint8', Uint8Array.from(cells(230))],
  ])('with %s masks in the graph', (_, data) => {
    const { result } = run('segment', { ...detections, detection_masks: { data, shape: [1, 3, 8, 8] } });
    const [left, right] = result.detections;
    expect(left).toMatchObject({ label: 'cat', box: { x: 0, y: 0, width: 16, height: 16 } });
    expect(right).toMatchObject({ label: 'ant', box: { x: 16, y: 0, width: 16, height: 16 } });
    // The border between the masks is interpolated: each reaches into half a cell of its neighbor, less the threshold.
    expect(left!.mask).toMatchObject({ x: 0, y: 0, height: 16 });
    expect(right!.mask!.x).toBe(12);
    for (const { mask } of result.detections) expect(Math.abs(mask!.area - 256)).toBeLessThanOrEqual(16);
  });

  test('masks follow their boxes when detections are filtered', () => {
    const outputs = { ...detections, detection_masks: { data: Float32Array.from(cells(0.9)), shape: [1, 3, 8, 8] } };
    const { result } = run('segment', outputs, { classIds: [0] });
    expect(result.detections.map(({ label, mask }) => [label, mask!.x])).toEqual([['ant', 12]]);
  });

  test('with prototypes, and NMS on the page', () => {
    const outputs = {
      boxes: floats([1, 3, 4], 0.25, 0, 0.75, 0.5, 0.25, 0, 0.75, 0.52, 0.25, 0.5, 0.75, 1),
      scores: floats([1, 3, 3], 0.3, 0, 0, 0.8, 0, 0, 0, 0.6, 0),
      coefficients: floats([1, 3, 2], -9, 0, 5, 0, 0, 5),
      // The first prototype is positive on the left, the second one on the right.
      prototypes: floats([1, 8, 8, 2], ...Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? [1, -1] : [-1, 1])).flat()),
    };
    const { result } = run('segment', outputs);
    expect(result.detections.map(({ label }) => label)).toEqual(['ant', 'bee']);
    for (const { mask } of result.detections) expect(Math.abs(mask!.area - 256)).toBeLessThanOrEqual(32);
  });

  test('a detector has no masks', () => {
    expect(run('detect', detections).result.detections.map((one) => 'mask' in one)).toEqual([false, false]);
  });

  test.each([
    ['of another number of detections', [1, 2, 8, 8]],
    ['without rows', [1, 3, 64]],
  ])('masks %s', (_, shape) => {
    const outputs = { ...detections, detection_masks: { data: new Float32Array(192), shape } };
    expect(() => run('segment', outputs)).toThrow(expect.objectContaining({ code: 'model-shape' }));
  });
});

test.each([
  ['classify', ['detection_boxes', 'num_detections']],
  ['detect', ['probabilities']],
  ['segment', ['boxes', 'scores']],
] as const)('outputs of another task than `%s`', (task, names) => {
  expect(() => checkOutputs(names, contractOf(task))).toThrow(/its task is .* but its outputs are/);
});
