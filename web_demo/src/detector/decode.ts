/** What a network gives, by signature name, as boxes in pixels of the input (docs/architecture.md). */

import type { Contract } from './contract';
import { DetectorError } from './errors';
import type { Candidates, Found } from './nms';

export interface Output {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}
export type Outputs = Readonly<Record<string, Output>>;

/** Suppressed in the graph, or not. */
export type Prediction = { readonly found: Found } | { readonly candidates: Candidates };

/**
 * Read the outputs of one image.
 *
 * @param confidence raw heads' cells of lower objectness are left out.
 * @throws DetectorError `model-shape`.
 */
export function readOutputs(outputs: Outputs, contract: Contract, confidence: number): Prediction {
  const [height, width] = contract.imageHw;
  if ('num_detections' in outputs) {
    const scores = rowsOf(outputs, 'detection_scores', [-1]);
    const boxes = rowsOf(outputs, 'detection_boxes', [-1, 4]);
    const classes = rowsOf(outputs, 'detection_classes', [-1]);
    const count = Math.min(Math.max(Math.trunc(outputs.num_detections!.data[0] ?? 0), 0), scores.length);
    if (boxes.length !== 4 * scores.length || classes.length !== scores.length) throw wrong('detection_boxes');
    return {
      found: {
        boxesXyxyPx: toPixels(boxes.subarray(0, 4 * count), width, height),
        scores: scores.slice(0, count),
        classes: Int32Array.from(classes.subarray(0, count)),
      },
    };
  }
  if ('boxes' in outputs) {
    const boxes = rowsOf(outputs, 'boxes', [-1, 4]);
    const scores = rowsOf(outputs, 'scores', [boxes.length / 4, contract.names.length]);
    return { candidates: { boxesXyxyPx: toPixels(boxes, width, height), scores, classes: contract.names.length } };
  }
  return { candidates: decodeHeads(outputs, contract, confidence) };
}

/** ymin, xmin, ymax, xmax in 0..1 as left, top, right, bottom in pixels. */
function toPixels(boxes: Float32Array, width: number, height: number): Float32Array {
  const out = new Float32Array(boxes.length);
  for (let i = 0; i < boxes.length; i += 4) {
    out[i] = boxes[i + 1]! * width;
    out[i + 1] = boxes[i]! * height;
    out[i + 2] = boxes[i + 3]! * width;
    out[i + 3] = boxes[i + 2]! * height;
  }
  return out;
}

/** xy = (2 sigmoid(t) - 0.5 + cell) * stride, wh = (2 sigmoid(t))^2 * anchor (YOLOv5 v2.0 and later). */
function decodeHeads(outputs: Outputs, contract: Contract, confidence: number): Candidates {
  const kinds = contract.names.length;
  const boxes: number[] = [];
  const scores: number[] = [];
  const [inputHeight, inputWidth] = contract.imageHw;
  contract.strides.forEach((stride, scale) => {
    const anchors = contract.anchorsPx[scale]!;
    const count = anchors.length / 2;
    const height = Math.ceil(inputHeight / stride);
    const width = Math.ceil(inputWidth / stride);
    const box = rowsOf(outputs, `box_${scale}`, [height, width, count * 4]);
    const objectness = rowsOf(outputs, `objectness_${scale}`, [height, width, count]);
    const classes = rowsOf(outputs, `classes_${scale}`, [height, width, count * kinds]);
    for (let i = 0; i < objectness.length; i++) {
      const there = sigmoid(objectness[i]!);
      if (there <= confidence) continue;
      const cell = Math.floor(i / count);
      const value = (k: number) => sigmoid(box[4 * i + k]!);
      const x = (2 * value(0) - 0.5 + (cell % width)) * stride;
      const y = (2 * value(1) - 0.5 + Math.floor(cell / width)) * stride;
      const halfWidth = 2 * value(2) ** 2 * anchors[2 * (i % count)]!;
      const halfHeight = 2 * value(3) ** 2 * anchors[2 * (i % count) + 1]!;
      boxes.push(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight);
      for (let c = 0; c < kinds; c++) scores.push(there * sigmoid(classes[i * kinds + c]!));
    }
  });
  return { boxesXyxyPx: Float32Array.from(boxes), scores: Float32Array.from(scores), classes: kinds };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** An output of one image, checked against (1, ...shape); -1 is any. */
function rowsOf(outputs: Outputs, name: string, shape: readonly number[]): Float32Array {
  const output = outputs[name];
  const fits =
    output &&
    output.shape.length === shape.length + 1 &&
    output.shape[0] === 1 &&
    shape.every((size, i) => size === -1 || size === output.shape[i + 1]);
  if (!fits) throw wrong(name, output?.shape);
  return output.data;
}

function wrong(name: string, shape?: readonly number[]): DetectorError {
  const found = shape ? `is (${shape.join(', ')})` : 'is missing';
  return new DetectorError(
    'model-shape',
    `The model's output \`${name}\` ${found}, which is not what its description says.`,
    'Export it again.',
  );
}
