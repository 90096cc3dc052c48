/** Drops the rows of a model's outputs that are not valid boxes: such a row cannot be drawn, and its IoU is meaningless. */

import type { MaskSource } from './masks';
import type { Candidates, DetectionArrays } from './nms';

/** Maximum coordinate of a valid box, in sizes of the input; decoded boxes have at most four anchor sizes. */
const FAR = 1e4;
/** Tolerance for scores outside of 0..1, which float16 graphs can give. */
const ROUNDING = 1e-3;

/** Rows of the outputs and their masks; null for a detector. */
interface Rows<T> {
  readonly arrays: T;
  readonly masks: MaskSource | null;
}

/**
 * Drop candidates whose box or scores are invalid, by the rules of export/runtime/outputs.py.
 *
 * @param imageSize - [height, width] of the input in pixels.
 * @param confidence - candidates without a higher score are dropped, too: only a few of thousands have one, and only these
 *   have to be checked.
 */
export function validCandidates(
  candidates: Candidates,
  masks: MaskSource | null,
  imageSize: readonly [number, number],
  confidence = -Infinity,
): Rows<Candidates> {
  const { boxesXyxyPx, scores, numClasses } = candidates;
  const count = boxesXyxyPx.length / 4;
  const rows = rowsWhere(count, (row) => {
    const [start, end] = [row * numClasses, (row + 1) * numClasses];
    let first = start;
    while (first < end && !(scores[first]! > confidence)) first++;
    if (first === end) return false;
    for (let i = start; i < end; i++) if (!isScore(scores[i]!)) return false;
    return isBox(boxesXyxyPx, row, imageSize);
  });
  if (rows.length === count) return { arrays: candidates, masks };
  const arrays = { boxesXyxyPx: picked(boxesXyxyPx, rows, 4), scores: picked(scores, rows, numClasses), numClasses };
  return { arrays, masks: pickedMasks(masks, rows) };
}

/**
 * Drop detections whose box, score or class is invalid, by the rules of export/runtime/outputs.py.
 *
 * @param classIds - (n,) as the graph returns them: floats that should be whole numbers.
 * @param imageSize - [height, width] of the input in pixels.
 */
export function validDetections(
  { boxesXyxyPx, scores }: Omit<DetectionArrays, 'classIds'>,
  classIds: Float32Array,
  masks: MaskSource | null,
  numClasses: number,
  imageSize: readonly [number, number],
): Rows<DetectionArrays> {
  const isClass = (id: number) => Number.isInteger(id) && id >= 0 && id < numClasses;
  const rows = rowsWhere(scores.length, (row) => isScore(scores[row]!) && isClass(classIds[row]!) && isBox(boxesXyxyPx, row, imageSize));
  const arrays = {
    boxesXyxyPx: picked(boxesXyxyPx, rows, 4),
    scores: picked(scores, rows, 1),
    classIds: Int32Array.from(picked(classIds, rows, 1)),
  };
  return { arrays, masks: rows.length === scores.length ? masks : pickedMasks(masks, rows) };
}

function rowsWhere(count: number, isValid: (row: number) => boolean): number[] {
  const rows: number[] = [];
  for (let row = 0; row < count; row++) if (isValid(row)) rows.push(row);
  return rows;
}

/** True if the corners are finite, ordered, and not far outside of the image. Comparisons with NaN are false. */
function isBox(boxes: Float32Array, row: number, [height, width]: readonly [number, number]): boolean {
  const left = boxes[4 * row]!;
  const top = boxes[4 * row + 1]!;
  const right = boxes[4 * row + 2]!;
  const bottom = boxes[4 * row + 3]!;
  return left >= -FAR * width && right <= FAR * width && top >= -FAR * height && bottom <= FAR * height && left <= right && top <= bottom;
}

function isScore(score: number): boolean {
  return score >= -ROUNDING && score <= 1 + ROUNDING;
}

/** The given rows of `values`, which has `size` values per row. */
function picked(values: Float32Array, rows: readonly number[], size: number): Float32Array {
  const out = new Float32Array(rows.length * size);
  rows.forEach((row, i) => out.set(values.subarray(row * size, (row + 1) * size), i * size));
  return out;
}

function pickedMasks(masks: MaskSource | null, rows: readonly number[]): MaskSource | null {
  return masks && { size: masks.size, at: (row, y, x) => masks.at(rows[row]!, y, x) };
}
