/** Instance masks: cropped to their boxes and enlarged from the size of the graph's output to the image, as in Python. */

import type { Letterbox } from './letterbox';

/** Probability above which a pixel belongs to the object. */
const THRESHOLD = 0.5;

/** The mask of one object, stored as the patch of the image around it. */
export interface Mask {
  /** Left edge of the patch in pixels of the source image. */
  readonly x: number;
  /** Top edge of the patch. */
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** (height, width), row by row: 1 inside of the object, 0 outside. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** Number of pixels inside of the object. */
  readonly area: number;
}

/** The masks of one image as the model returns them: one value per cell of a few pixels of the input. */
export interface MaskSource {
  /** [height, width] of a mask in cells. */
  readonly size: readonly [number, number];
  /** Probability at a cell of the mask in this row of the output. */
  at(row: number, y: number, x: number): number;
}

/**
 * Masks that the graph has assembled.
 *
 * @param data - (rows, height, width): float32 in 0..1, or uint8 in 0..255.
 */
export function assembledMasks(data: Float32Array | Uint8Array, size: readonly [number, number]): MaskSource {
  const [height, width] = size;
  const divisor = data instanceof Uint8Array ? 255 : 1;
  return { size, at: (row, y, x) => data[(row * height + y) * width + x]! / divisor };
}

/**
 * Masks that follow from prototypes: the sigmoid of their sum, weighted by the coefficients of a box.
 *
 * @param coefficients - (rows, count).
 * @param prototypes - (height, width, count).
 * @see Bolya et al. 2019, YOLACT, section 3.3.
 */
export function masksOfPrototypes(
  coefficients: Float32Array,
  prototypes: Float32Array,
  size: readonly [number, number],
): MaskSource {
  const count = prototypes.length / (size[0] * size[1]);
  return {
    size,
    at(row, y, x) {
      let sum = 0;
      for (let k = row * count, from = (y * size[1] + x) * count, end = from + count; from < end; k++, from++)
        sum += coefficients[k]! * prototypes[from]!;
      return 1 / (1 + Math.exp(-sum));
    },
  };
}

/**
 * Crop a mask to its box, enlarge it to the input, resample it to the image, and compare it with one half.
 *
 * Interpolation is bilinear between centers of cells or pixels; outside of them the nearest value counts. All steps are
 * rounded to single precision in the order of tfyolo/inference/segmentation/masks.py, which gives the same pixels.
 *
 * @param row - row of the mask in the model's output.
 * @param corners - left, top, right, bottom of the box in pixels of the input.
 */
export function enlargeMask(
  masks: MaskSource,
  row: number,
  corners: readonly [number, number, number, number],
  box: Letterbox,
): Mask {
  const [left, top, right, bottom] = corners;
  const scale = Math.floor(box.inputSize[0] / masks.size[0]);
  const rows = fitAxis(top / scale, bottom / scale, masks.size[0], scale);
  const columns = fitAxis(left / scale, right / scale, masks.size[1], scale);
  const cropped = new Float32Array(rows.size * columns.size);
  for (let y = rows.inside[0]; y < rows.inside[1]; y++)
    for (let x = columns.inside[0], to = (y - rows.start) * columns.size + x - columns.start; x < columns.inside[1]; x++)
      cropped[to++] = masks.at(row, y, x);
  const enlarged = resample(cropped, tapsOf(enlargedPositions(rows), rows.size), tapsOf(enlargedPositions(columns), columns.size));
  const vertical = imagePositions(rows, box.ratio, box.padXy[1], box.imageSize[0]);
  const horizontal = imagePositions(columns, box.ratio, box.padXy[0], box.imageSize[1]);
  const values = resample(enlarged, tapsOf(vertical.positions, rows.size * scale), tapsOf(horizontal.positions, columns.size * scale));
  const data = new Uint8Array(values.length);
  let area = 0;
  for (let i = 0; i < values.length; i++) if (values[i]! > THRESHOLD) area += data[i] = 1;
  return { x: horizontal.first, y: vertical.first, width: horizontal.positions.length, height: vertical.positions.length, data, area };
}

/** One axis of a mask that is cropped and then enlarged. */
interface Axis {
  /** First cell inside of the box, and the one after the last. */
  readonly inside: readonly [number, number];
  /** First cell of the cut, which has one cell more on each side, because interpolation reaches it. */
  readonly start: number;
  /** Number of cells of the cut. */
  readonly size: number;
  /** Pixels of the input per cell. */
  readonly scale: number;
}

/** The cells from `low` up to, not including, `high`. */
function fitAxis(low: number, high: number, length: number, scale: number): Axis {
  const [from, until] = [low, high].map((edge) => Math.min(Math.max(Math.ceil(edge), 0), length)) as [number, number];
  const to = Math.max(from, until);
  const start = Math.max(from - 1, 0);
  return { inside: [from, to], start, size: Math.min(to + 1, length) - start, scale };
}

/** Positions of the input's pixels in cells of the cut. */
function enlargedPositions({ size, scale }: Axis): Float64Array {
  return Float64Array.from({ length: size * scale }, (_, i) => (i + 0.5) / scale - 0.5);
}

/** The first pixel of the image in the cut, and the position of each in pixels of the enlarged cut. */
function imagePositions({ start, size, scale }: Axis, ratio: number, pad: number, length: number) {
  const [low, high] = [start * scale - pad, (start + size) * scale - pad];
  const first = Math.min(Math.max(Math.floor(low / ratio), 0), length);
  const last = Math.min(Math.max(Math.ceil(high / ratio), 0), length);
  const positions = Float64Array.from({ length: last - first }, (_, i) => (first + i + 0.5) * ratio + pad - 0.5 - start * scale);
  return { first, positions };
}

/** Per position: the index of the value below, of the value above, and the weight of the latter. */
interface Taps {
  /** Number of values. */
  readonly length: number;
  readonly below: Int32Array;
  readonly above: Int32Array;
  readonly weight: Float32Array;
}

/** Positions beyond the `length` values are moved to the first or last one. */
function tapsOf(positions: Float64Array, length: number): Taps {
  const taps = {
    length,
    below: new Int32Array(positions.length),
    above: new Int32Array(positions.length),
    weight: new Float32Array(positions.length),
  };
  for (let i = 0; i < positions.length; i++) {
    const position = Math.min(Math.max(positions[i]!, 0), length - 1);
    const below = Math.floor(position);
    taps.below[i] = below;
    taps.above[i] = Math.min(below + 1, length - 1);
    taps.weight[i] = position - below;
  }
  return taps;
}

/** Interpolate between rows, then between columns. */
function resample(values: Float32Array, rows: Taps, columns: Taps): Float32Array {
  const f = Math.fround;
  const { length, weight: share, below: left, above: right } = columns;
  const width = left.length;
  const out = new Float32Array(rows.below.length * width);
  const line = new Float32Array(length);
  for (let y = 0, to = 0; y < rows.below.length; y++) {
    const above = rows.below[y]! * length;
    const below = rows.above[y]! * length;
    const weight = rows.weight[y]!;
    for (let x = 0; x < length; x++) {
      const value = values[above + x]!;
      line[x] = value + f(f(values[below + x]! - value) * weight);
    }
    for (let x = 0; x < width; x++) {
      const value = line[left[x]!]!;
      out[to++] = value + f(f(line[right[x]!]! - value) * share[x]!);
    }
  }
  return out;
}
