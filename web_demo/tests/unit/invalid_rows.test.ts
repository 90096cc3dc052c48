/** Rows of a model's outputs that are not valid boxes are dropped, by the rules of export/runtime/outputs.py. */
import { describe, expect, test } from 'vitest';

import type { Contract } from '../../src/detector/contract';
import { type Output, readOutputs } from '../../src/detector/decode';
import { placeLabels, type Rectangle } from '../../src/page/view/labels';

const CONTRACT = { task: 'detect', classNames: ['ant', 'bee'], imageSize: [16, 32], anchorsPx: [[8, 8]], strides: [16] } as unknown as Contract;
const floats = (shape: number[], ...values: number[]): Output => ({ data: Float32Array.from(values), shape });
const VALID = [0.25, 0.25, 0.75, 0.75];

/** ymin, xmin, ymax, xmax in 0..1. */
const INVALID_BOXES: [string, number[]][] = [
  ['is not a number', [0.25, NaN, 0.75, 0.75]],
  ['is infinite', [0.25, 0.25, 0.75, Infinity]],
  ['has a negative width', [0.25, 0.75, 0.75, 0.25]],
  ['has a negative height', [0.75, 0.25, 0.25, 0.75]],
  ['is far outside of the image', [-2e4, 0.25, 0.75, 0.75]],
];

describe('detections of a graph with NMS', () => {
  const read = (boxes: number[], scores: number[], classIds: number[], masks?: Output) => {
    const rows = scores.length;
    const prediction = readOutputs(
      {
        num_detections: floats([1], rows),
        detection_boxes: floats([1, rows, 4], ...boxes),
        detection_scores: floats([1, rows], ...scores),
        detection_classes: floats([1, rows], ...classIds),
        ...(masks ? { detection_masks: masks } : {}),
      },
      CONTRACT,
      0.25,
    );
    if (!('detections' in prediction)) throw new Error('NMS is in the graph');
    return prediction;
  };

  test.each(INVALID_BOXES)('whose box %s', (_, box) => {
    const masks = { data: Float32Array.from([...Array(4).fill(0), ...Array(4).fill(1)]), shape: [1, 2, 2, 2] };
    const { detections, masks: kept } = read([...box, ...VALID], [0.9, 0.8], [0, 1], masks);
    expect(Array.from(detections.boxesXyxyPx)).toEqual([8, 4, 24, 12]);
    expect([...detections.scores, ...detections.classIds]).toEqual([Math.fround(0.8), 1]);
    expect(kept!.at(0, 0, 0)).toBe(1);
  });

  test.each([
    ['score is not a number', NaN, 0],
    ['score exceeds 1', 1.1, 0],
    ['class is not a number', 0.9, NaN],
    ['class is not a whole number', 0.9, 0.5],
    ['class is unknown', 0.9, 2],
    ['class is negative', 0.9, -1],
  ])('whose %s', (_, score, classId) => {
    const { detections } = read([...VALID, ...VALID], [score, 0.8], [classId, 1]);
    expect(Array.from(detections.scores)).toEqual([Math.fround(0.8)]);
  });

  test('a float16 score just above 1 is valid', () => {
    expect(read(VALID, [1.0005], [1]).detections.scores.length).toBe(1);
  });
});

describe('candidates of a graph without NMS', () => {
  const read = (boxes: number[], scores: number[]) => {
    const rows = boxes.length / 4;
    const outputs = {
      boxes: floats([1, rows, 4], ...boxes),
      scores: floats([1, rows, 2], ...scores),
      coefficients: floats([1, rows, 1], ...Array.from({ length: rows }, (_, i) => 10 * i)),
      prototypes: floats([1, 1, 2, 1], 1, 1),
    };
    const prediction = readOutputs(outputs, CONTRACT, 0.25);
    if (!('candidates' in prediction)) throw new Error('the candidates need NMS');
    return prediction;
  };

  test.each(INVALID_BOXES)('whose box %s', (_, box) => {
    const { candidates, masks } = read([...box, ...VALID], [0.9, 0, 0, 0.8]);
    expect(Array.from(candidates.boxesXyxyPx)).toEqual([8, 4, 24, 12]);
    expect(Array.from(candidates.scores)).toEqual([0, Math.fround(0.8)]);
    expect(masks!.at(0, 0, 0)).toBeGreaterThan(0.99);
  });

  test.each([NaN, -0.1, 1.1])('one of whose scores is %d', (score) => {
    expect(read([...VALID, ...VALID], [0.9, score, 0, 0.8]).candidates.boxesXyxyPx.length).toBe(4);
  });
});

test('raw heads whose logits are not numbers', () => {
  const read = (box: number, objectness: number) => {
    const outputs = {
      box_0: floats([1, 1, 2, 4], box, 0, 0, 0, 0, 0, 0, 0),
      objectness_0: floats([1, 1, 2, 1], objectness, 5),
      classes_0: floats([1, 1, 2, 2], 5, 0, 5, 0),
    };
    const prediction = readOutputs(outputs, CONTRACT, 0.25);
    return 'candidates' in prediction && prediction.candidates.boxesXyxyPx.length / 4;
  };
  expect([read(0, 5), read(NaN, 5), read(0, NaN)]).toEqual([2, 1, 1]);
});

test('a box that is not finite gets a label position, as do the boxes after it', () => {
  const boxes: Rectangle[] = [[NaN, 0, 9, 9], [0, 20, 40, 40], [Infinity, -Infinity, 0, 0]];
  const places = placeLabels(boxes, [20, 20, 20], 10, [100, 100]);
  expect(places).toHaveLength(3);
  expect(places[1]).toEqual([0, 10, 20, 20]);
});
