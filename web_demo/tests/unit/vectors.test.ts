/** The formulas on vectors that Python computed: ../tests/vectors. */
import fs from 'node:fs';

import { describe, expect, test } from 'vitest';

import type { Contract } from '../../src/detector/contract';
import { readOutputs } from '../../src/detector/decode';
import { applyLetterbox, cornerOf, fitLetterbox, toImage } from '../../src/detector/letterbox';
import { type NmsOptions, nonMaxSuppression, refine } from '../../src/detector/nms';
import { placeLabels } from '../../src/page/view/labels';

const read = (name: string): any[] => JSON.parse(fs.readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8'));
/** Of numbers up to a hundred; of larger ones their millionth, since Python computes in float32. */
const LARGEST = 1e-4;

function near(found: ArrayLike<number>, expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const most = LARGEST * Math.max(1, Math.abs(expected[i]!) / 100);
    expect(Math.abs(found[i]! - expected[i]!)).toBeLessThanOrEqual(most);
  }
}

describe('letterbox', () => {
  test.each(read('letterbox'))('$name', (item) => {
    const box = fitLetterbox(item.image_hw, item.target_hw);
    expect(box.resizedHw).toEqual(item.resized_hw);
    expect(cornerOf(box)).toEqual({ left: item.left, top: item.top });
    near([box.ratio, ...box.padXy], [item.ratio, ...item.pad_xy]);
    item.boxes_in.forEach((corners: [number, number, number, number], i: number) =>
      near(toImage(box, corners), item.boxes_out[i]),
    );
  });

  test.each(read('resize').map((item) => ({ ...item, name: `${item.image_hw} to ${item.target_hw}` })))(
    'pixels, $name',
    (item) => {
      const [height, width] = item.image_hw;
      const out = new Uint8Array(item.target_hw[0] * item.target_hw[1] * 3);
      const data = Uint8Array.from(item.pixels_in);
      const box = fitLetterbox(item.image_hw, item.target_hw);
      applyLetterbox(box, { data, width, height, step: 3 }, out);
      expect(Array.from(out)).toEqual(item.pixels_out);
      // A canvas gives a fourth byte, of which nothing may come through.
      const rgba = new Uint8Array(height * width * 4).fill(77);
      for (let i = 0; i < data.length; i++) rgba[Math.floor(i / 3) * 4 + (i % 3)] = data[i]!;
      const again = new Uint8Array(out.length);
      applyLetterbox(box, { data: rgba, width, height, step: 4 }, again);
      expect(again).toEqual(out);
    },
  );
});

test.each(read('labels'))('places of labels, $name', (item) => {
  const places = placeLabels(item.boxes_xyxy_px, item.widths, item.height, item.image_wh);
  expect(places).toEqual(item.places);
});

test.each(read('decode').map((item, i) => [i, item]))('decoding raw heads, case %i', (_, item) => {
  const anchors = item.anchors_px[0].length / 2;
  const classes = item.heads[0].classes.length / item.heads[0].objectness.length;
  const contract = {
    names: Array.from({ length: classes }, String),
    imageHw: item.image_hw,
    anchorsPx: item.anchors_px,
    strides: item.strides,
  } as unknown as Contract;
  const outputs: Record<string, { data: Float32Array; shape: number[] }> = {};
  item.heads.forEach((head: any, scale: number) => {
    for (const [part, each] of [['box', 4], ['objectness', 1], ['classes', classes]] as const)
      outputs[`${part}_${scale}`] = {
        data: Float32Array.from(head[part]),
        shape: [1, head.height, head.width, anchors * each],
      };
  });
  const prediction = readOutputs(outputs, contract, item.confidence);
  if (!('candidates' in prediction)) throw new Error('raw heads are not suppressed');
  near(prediction.candidates.boxesXyxyPx, item.boxes_xyxy_px.flat());
  near(prediction.candidates.scores, item.scores.flat());
});

const options = (given: any): NmsOptions => ({
  confidence: given.confidence,
  iou: given.iou,
  classes: given.classes,
  agnostic: given.agnostic,
  multiLabel: given.multi_label,
  maxDetections: given.max_detections,
});

test.each(read('nms'))('suppression, $name', (item) => {
  const scores = Float32Array.from(item.scores.flat());
  const found = nonMaxSuppression(
    { boxesXyxyPx: Float32Array.from(item.boxes_xyxy_px.flat()), scores, classes: item.scores[0]?.length ?? 1 },
    options(item.options),
  );
  near(found.boxesXyxyPx, item.kept.boxes_xyxy_px.flat());
  near(found.scores, item.kept.scores);
  expect(Array.from(found.classes)).toEqual(item.kept.classes);
});

test.each(read('refine'))('stricter thresholds, $name', (item) => {
  const found = refine(
    {
      boxesXyxyPx: Float32Array.from(item.boxes_xyxy_px.flat()),
      scores: Float32Array.from(item.scores),
      classes: Int32Array.from(item.classes),
    },
    options(item.options),
  );
  near(found.boxesXyxyPx, item.kept.boxes_xyxy_px.flat());
  near(found.scores, item.kept.scores);
  expect(Array.from(found.classes)).toEqual(item.kept.classes);
});
