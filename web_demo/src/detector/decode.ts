/** Decodes a model's outputs, identified by signature name, into boxes in pixels of the input (docs/architecture.md). */

import type { Contract } from './contract';
import { DetectorError } from './errors';
import { assembledMasks, type MaskSource, masksOfPrototypes } from './masks';
import type { Candidates, DetectionArrays } from './nms';
import { validCandidates, validDetections } from './valid_rows';

/** One output tensor. */
export interface Output {
  readonly data: Float32Array | Uint8Array;
  /** Dimensions, with a leading batch dimension of 1. */
  readonly shape: readonly number[];
}
/** Output tensors by signature name. */
export type Outputs = Readonly<Record<string, Output>>;

/** Final detections if the graph contains NMS, otherwise candidates that still need it; and the masks of a segmentation model. */
export type Prediction = ({ readonly detections: DetectionArrays } | { readonly candidates: Candidates }) & {
  /** By row of the detections or candidates; null for a detector. */
  readonly masks: MaskSource | null;
};

/**
 * Decode the outputs for one image; rows that are not valid boxes are dropped.
 *
 * @param outputs - tensors of one of the three kinds of exported graphs: with NMS, `--nms none`, or raw heads.
 * @param confidence - candidates without a higher score may be skipped; of raw heads, grid cells without a higher objectness,
 *   which no class score can exceed.
 * @throws DetectorError `model-shape` if an output is missing or has an unexpected shape.
 */
export function readOutputs(outputs: Outputs, contract: Contract, confidence: number): Prediction {
  const [height, width] = contract.imageSize;
  if ('num_detections' in outputs) {
    const scores = tensorData(outputs, 'detection_scores', [-1]);
    const boxes = tensorData(outputs, 'detection_boxes', [-1, 4]);
    const classIds = tensorData(outputs, 'detection_classes', [-1]);
    const count = Math.min(Math.max(Math.trunc(outputs.num_detections!.data[0] ?? 0), 0), scores.length);
    if (boxes.length !== 4 * scores.length || classIds.length !== scores.length) throw wrongShape('detection_boxes');
    const rows = { boxesXyxyPx: toPixels(boxes.subarray(0, 4 * count), width, height), scores: scores.subarray(0, count) };
    const found = 'detection_masks' in outputs ? readMasks(outputs, scores.length) : null;
    const { arrays, masks } = validDetections(rows, classIds.subarray(0, count), found, contract.classNames.length, contract.imageSize);
    return { detections: arrays, masks };
  }
  if ('boxes' in outputs) {
    const numClasses = contract.classNames.length;
    const boxes = tensorData(outputs, 'boxes', [-1, 4]);
    const scores = tensorData(outputs, 'scores', [boxes.length / 4, numClasses]);
    const found = 'coefficients' in outputs ? readPrototypes(outputs, tensorData(outputs, 'coefficients', [boxes.length / 4, -1])) : null;
    const { arrays, masks } = validCandidates({ boxesXyxyPx: toPixels(boxes, width, height), scores, numClasses }, found, contract.imageSize, confidence);
    return { candidates: arrays, masks };
  }
  const { coefficients, ...candidates } = decodeHeads(outputs, contract, confidence);
  const { arrays, masks } = validCandidates(candidates, coefficients && readPrototypes(outputs, coefficients), contract.imageSize);
  return { candidates: arrays, masks };
}

/** Masks that the graph has assembled: uint8 of integer models, otherwise float32. */
function readMasks(outputs: Outputs, rows: number): MaskSource {
  const { data, shape } = tensor(outputs, 'detection_masks', [rows, -1, -1]);
  return assembledMasks(data, [shape[2]!, shape[3]!]);
}

/** @param coefficients - (rows, count) */
function readPrototypes(outputs: Outputs, coefficients: Float32Array): MaskSource {
  const { shape } = tensor(outputs, 'prototypes', [-1, -1, -1]);
  const count = shape[3]!;
  if (!count || coefficients.length % count) throw wrongShape('prototypes', shape);
  return masksOfPrototypes(coefficients, tensorData(outputs, 'prototypes', [-1, -1, -1]), [shape[1]!, shape[2]!]);
}

/** Convert boxes from (ymin, xmin, ymax, xmax) in 0..1 to (left, top, right, bottom) in pixels. */
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

/**
 * Decode raw heads: xy = (2 sigmoid(t) - 0.5 + cell) * stride, wh = (2 sigmoid(t))^2 * anchor.
 *
 * Source: the YOLOv5 detection head, since release v2.0.
 */
function decodeHeads(outputs: Outputs, contract: Contract, confidence: number): Candidates & { coefficients: Float32Array | null } {
  const numClasses = contract.classNames.length;
  const boxes: number[] = [];
  const scores: number[] = [];
  const coefficients: number[] = [];
  const segments = contract.task === 'segment';
  const [inputHeight, inputWidth] = contract.imageSize;
  contract.strides.forEach((stride, scale) => {
    const anchors = contract.anchorsPx[scale]!;
    const numAnchors = anchors.length / 2;
    const height = Math.ceil(inputHeight / stride);
    const width = Math.ceil(inputWidth / stride);
    const boxLogits = tensorData(outputs, `box_${scale}`, [height, width, numAnchors * 4]);
    const objectnessLogits = tensorData(outputs, `objectness_${scale}`, [height, width, numAnchors]);
    const classLogits = tensorData(outputs, `classes_${scale}`, [height, width, numAnchors * numClasses]);
    const masks = segments ? tensorData(outputs, `coefficients_${scale}`, [height, width, -1]) : null;
    const perBox = masks ? masks.length / objectnessLogits.length : 0;
    for (let i = 0; i < objectnessLogits.length; i++) {
      const objectness = sigmoid(objectnessLogits[i]!);
      if (objectness <= confidence) continue;
      const cell = Math.floor(i / numAnchors);
      const value = (k: number) => sigmoid(boxLogits[4 * i + k]!);
      const x = (2 * value(0) - 0.5 + (cell % width)) * stride;
      const y = (2 * value(1) - 0.5 + Math.floor(cell / width)) * stride;
      const halfWidth = 2 * value(2) ** 2 * anchors[2 * (i % numAnchors)]!;
      const halfHeight = 2 * value(3) ** 2 * anchors[2 * (i % numAnchors) + 1]!;
      boxes.push(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight);
      for (let c = 0; c < numClasses; c++) scores.push(objectness * sigmoid(classLogits[i * numClasses + c]!));
      // YOLOv5 weights them by objectness, which softens the borders of uncertain masks.
      if (masks) for (let k = i * perBox; k < (i + 1) * perBox; k++) coefficients.push(objectness * masks[k]!);
    }
  });
  return {
    boxesXyxyPx: Float32Array.from(boxes),
    scores: Float32Array.from(scores),
    numClasses,
    coefficients: segments ? Float32Array.from(coefficients) : null,
  };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** The output `name`, whose shape must be (1, ...shape); -1 matches any size. */
function tensor(outputs: Outputs, name: string, shape: readonly number[]): Output {
  const output = outputs[name];
  const matches =
    output &&
    output.shape.length === shape.length + 1 &&
    output.shape[0] === 1 &&
    shape.every((size, i) => size === -1 || size === output.shape[i + 1]);
  if (!matches) throw wrongShape(name, output?.shape);
  return output;
}

/** Data of the output `name`, as floats. */
export function tensorData(outputs: Outputs, name: string, shape: readonly number[]): Float32Array {
  const { data } = tensor(outputs, name, shape);
  return data instanceof Float32Array ? data : Float32Array.from(data);
}

function wrongShape(name: string, shape?: readonly number[]): DetectorError {
  const actual = shape ? `has shape (${shape.join(', ')})` : 'is missing';
  return new DetectorError(
    'model-shape',
    `The model's output \`${name}\` ${actual}, which does not match the model's metadata.`,
    'Export the model again.',
  );
}
