/** Reads the outputs of a classifier: probabilities of classes, and the most probable ones. */

import type { Contract } from './contract';
import { type Outputs, tensorData } from './decode';
import { DetectorError } from './errors';

/** Tolerance for probabilities outside of 0..1, which float16 graphs can give. */
const ROUNDING = 1e-3;

/**
 * Read the probabilities of one image.
 *
 * @param outputs - `probabilities`, or the `logits` of a model exported with `--nms raw`, (1, classes).
 * @returns (classes,) in 0..1.
 * @throws DetectorError `model-shape` if the output is missing or has an unexpected shape, or contains no probabilities.
 */
export function readProbabilities(outputs: Outputs, contract: Contract): Float32Array {
  const numClasses = contract.classNames.length;
  const values =
    'logits' in outputs ? softmax(tensorData(outputs, 'logits', [numClasses])) : tensorData(outputs, 'probabilities', [numClasses]);
  // The negation also refuses NaN.
  if (!values.every((value) => value >= -ROUNDING && value <= 1 + ROUNDING))
    throw new DetectorError('model-shape', 'The probabilities of this model are not numbers from 0 to 1.', 'Export the model again.');
  return values.map((value) => Math.min(Math.max(value, 0), 1));
}

/** Class IDs of the highest probabilities, in descending order; equal ones keep the order of the classes. */
export function topClasses(probabilities: Float32Array, count: number): number[] {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  return order.slice(0, count);
}

function softmax(logits: Float32Array): Float32Array {
  const highest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Array.from(logits, (value) => Math.exp(value - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return Float32Array.from(powers, (value) => value / sum);
}
