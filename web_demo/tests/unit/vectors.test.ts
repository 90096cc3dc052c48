/** Letterbox, decoding, NMS and label placement give the results that Python computed: ../tests/vectors. */
import { describe, expect, test } from 'vitest';

import type { Contract } from '../../src/detector/contract';
import { readOutputs } from '../../src/detector/decode';
import { applyLetterbox, cornerOf, fitLetterbox, toImage } from '../../src/detector/letterbox';
import { type NmsOptions, nonMaxSuppression, refine } from '../../src/detector/nms';
import { placeLabels } from '../../src/page/view/labels';
import { readVectors } from './vectors';

/** Absolute tolerance for values up to 100, and relative tolerance 1e-6 above, because Python computes in float32. */
const TOLERANCE = 1e-4;

function expectClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const tolerance = TOLERANCE * Math.max(1, Math.abs(expected[i]!) / 100);
    expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThanOrEqual(tolerance);
  }
}

describe('letterbox', () => {
  test.each(readVectors('letterbox'))('$name', (item) => {
    const box = fitLetterbox(item.image_hw, item.target_hw);
    expect(box.resizedSize).toEqual(item.resized_hw);
    expect(cornerOf(box)).toEqual({ left: item.left, top: item.top });
    expectClose([box.ratio, ...box.padXy], [item.ratio, ...item.pad_xy]);
    item.boxes_in.forEach((corners: [number, number, number, number], i: number) =>
      expectClose(toImage(box, corners), item.boxes_out[i]),
    );
  });

  test.each(readVectors('resize').map((item) => ({ ...item, name: `${item.image_hw} to ${item.target_hw}` })))(
    'pixels, $name',
    (item) => {
      const [height, width] = item.image_hw;
      const out = new Uint8Array(item.target_hw[0] * item.target_hw[1] * 3);
      const data = Uint8Array.from(item.pixels_in);
      const box = fitLetterbox(item.image_hw, item.target_hw);
      applyLetterbox(box, { data, width, height, step: 3 }, out);
      expect(Array.from(out)).toEqual(item.pixels_out);
      // The alpha channel of canvas pixels is ignored.
      const rgba = new Uint8Array(height * width * 4).fill(77);
      for (let i = 0; i < data.length; i++) rgba[Math.floor(i / 3) * 4 + (i % 3)] = data[i]!;
      const again = new Uint8Array(out.length);
      applyLetterbox(box, { data: rgba, width, height, step: 4 }, again);
      expect(again).toEqual(out);
    },
  );
});

test.each(readVectors('labels'))('label placement, $name', (item) => {
  expect(placeLabels(item.boxes_xyxy_px, item.widths, item.height, item.image_wh)).toEqual(item.places);
});

test.each(readVectors('decode').map((item, i) => [i, item]))('decoding raw heads, case %i', (_, item) => {
  const numAnchors = item.anchors_px[0].length / 2;
  const numClasses = item.heads[0].classes.length / item.heads[0].objectness.length;
  const contract = {
    classNames: Array.from({ length: numClasses }, String),
    imageSize: item.image_hw,
    anchorsPx: item.anchors_px,
    strides: item.strides,
  } as unknown as Contract;
  const outputs: Record<string, { data: Float32Array; shape: number[] }> = {};
  item.heads.forEach((head: any, scale: number) => {
    for (const [part, size] of [['box', 4], ['objectness', 1], ['classes', numClasses]] as const)
      outputs[`${part}_${scale}`] = {
        data: Float32Array.from(head[part]),
        shape: [1, head.height, head.width, numAnchors * size],
      };
  });
  const prediction = readOutputs(outputs, contract, item.confidence);
  if (!('candidates' in prediction)) throw new Error('raw heads need NMS');
  expectClose(prediction.candidates.boxesXyxyPx, item.boxes_xyxy_px.flat());
  expectClose(prediction.candidates.scores, item.scores.flat());
});

const options = (given: any): NmsOptions => ({
  confidence: given.confidence,
  iou: given.iou,
  classIds: given.classes,
  agnostic: given.agnostic,
  multiLabel: given.multi_label,
  maxDetections: given.max_detections,
});

test.each(readVectors('nms'))('NMS, $name', (item) => {
  const scores = Float32Array.from(item.scores.flat());
  const detections = nonMaxSuppression(
    { boxesXyxyPx: Float32Array.from(item.boxes_xyxy_px.flat()), scores, numClasses: item.scores[0]?.length ?? 1 },
    options(item.options),
  );
  expectClose(detections.boxesXyxyPx, item.kept.boxes_xyxy_px.flat());
  expectClose(detections.scores, item.kept.scores);
  expect(Array.from(detections.classIds)).toEqual(item.kept.classes);
});

test.each(readVectors('refine'))('stricter thresholds, $name', (item) => {
  const detections = refine(
    {
      boxesXyxyPx: Float32Array.from(item.boxes_xyxy_px.flat()),
      scores: Float32Array.from(item.scores),
      classIds: Int32Array.from(item.classes),
    },
    options(item.options),
  );
  expectClose(detections.boxesXyxyPx, item.kept.boxes_xyxy_px.flat());
  expectClose(detections.scores, item.kept.scores);
  expect(Array.from(detections.classIds)).toEqual(item.kept.classes);
});
