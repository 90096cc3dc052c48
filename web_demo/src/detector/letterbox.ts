/** Letterbox: resizes an image to the model's input with its aspect ratio kept; the same pixels as in Python. */

/** Gray value of the padding that YOLOv5 is trained with. */
export const PAD_VALUE = 114;

/**
 * Geometry of a letterboxed image: a point (x, y) of the image is at `ratio * (x, y) + padXy` in the input.
 *
 * Sizes are [height, width] in pixels.
 */
export interface Letterbox {
  readonly imageSize: readonly [number, number];
  readonly resizedSize: readonly [number, number];
  readonly inputSize: readonly [number, number];
  readonly ratio: number;
  /** Padding on the left and at the top in pixels; ends in .5 if the total padding is odd. */
  readonly padXy: readonly [number, number];
}

/** An image as uint8 RGB or RGBA values, row by row. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** Bytes per pixel; alpha is ignored. */
  readonly step: 3 | 4;
}

/** Compute the geometry for an image size and an input size, both [height, width] in pixels. */
export function fitLetterbox(imageSize: readonly [number, number], inputSize: readonly [number, number]): Letterbox {
  const ratio = Math.min(inputSize[0] / imageSize[0], inputSize[1] / imageSize[1]);
  const side = (i: 0 | 1) => Math.max(roundHalfEven(imageSize[i] * ratio), 1);
  const resizedSize = [side(0), side(1)] as const;
  return {
    imageSize,
    resizedSize,
    inputSize,
    ratio,
    padXy: [(inputSize[1] - resizedSize[1]) / 2, (inputSize[0] - resizedSize[0]) / 2],
  };
}

/** Position of the image in the input in whole pixels; odd padding puts the extra pixel at the right and bottom. */
export function cornerOf(box: Letterbox): { left: number; top: number } {
  return { left: Math.floor(box.padXy[0]), top: Math.floor(box.padXy[1]) };
}

/**
 * Resize the image with bilinear interpolation into the center of the input.
 *
 * @param out - uint8 RGB pixels of the input, (height, width, 3) of `inputSize`; overwritten.
 */
export function applyLetterbox(box: Letterbox, image: Pixels, out: Uint8Array): void {
  out.fill(PAD_VALUE);
  const { left, top } = cornerOf(box);
  const target: Target = { out, left, top, stride: box.inputSize[1] * 3 };
  const [height, width] = box.resizedSize;
  if (image.height === height && image.width === width) copy(image, target);
  // OpenCV also switches from bilinear interpolation to averaging if both sides are halved exactly.
  else if (image.height === 2 * height && image.width === 2 * width) halve(image, height, width, target);
  else resizeBilinear(image, height, width, target);
}

/** Convert a box (left, top, right, bottom) from pixels of the input to pixels of the image, clipped to the image. */
export function toImage(box: Letterbox, corners: readonly [number, number, number, number]) {
  const [height, width] = box.imageSize;
  const scale = (x: number, pad: number, limit: number) => Math.min(Math.max((x - pad) / box.ratio, 0), limit);
  const [left, top, right, bottom] = corners;
  return [
    scale(left, box.padXy[0], width),
    scale(top, box.padXy[1], height),
    scale(right, box.padXy[0], width),
    scale(bottom, box.padXy[1], height),
  ] as const;
}

/** Where the resized image is written. */
interface Target {
  readonly out: Uint8Array;
  readonly left: number;
  readonly top: number;
  readonly stride: number;
}

function copy(image: Pixels, { out, left, top, stride }: Target): void {
  for (let y = 0, from = 0; y < image.height; y++) {
    let to = (top + y) * stride + left * 3;
    for (let x = 0; x < image.width; x++, from += image.step) {
      out[to++] = image.data[from]!;
      out[to++] = image.data[from + 1]!;
      out[to++] = image.data[from + 2]!;
    }
  }
}

function halve(image: Pixels, height: number, width: number, { out, left, top, stride }: Target): void {
  const { data, step } = image;
  const row = image.width * step;
  for (let y = 0; y < height; y++) {
    let to = (top + y) * stride + left * 3;
    for (let x = 0, from = 2 * y * row; x < width; x++, from += 2 * step)
      for (let c = from; c < from + 3; c++)
        out[to++] = (data[c]! + data[c + step]! + data[c + row]! + data[c + row + step]! + 2) >> 2;
  }
}

/**
 * Source indices and weights of linear interpolation from a side of `from` pixels to a side of `to` pixels.
 *
 * @param clampWeights - beyond the border, give the border pixel the weight 1; otherwise both taps read the border pixel.
 *   OpenCV does the former for columns and the latter for rows, and the two round differently.
 * @returns per output pixel: two source indices, and two weights in units of 1/2048.
 */
function taps(from: number, to: number, clampWeights: boolean) {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const weight = new Int32Array(2 * to);
  const scale = 1 / (to / from);
  for (let i = 0; i < to; i++) {
    const position = Math.fround((i + 0.5) * scale - 0.5);
    const start = Math.floor(position);
    let fraction = Math.fround(position - start);
    if (clampWeights && (start < 0 || start >= from - 1)) fraction = 0;
    first[i] = Math.min(Math.max(start, 0), from - 1);
    second[i] = Math.min(start + 1, from - 1);
    weight[2 * i] = roundHalfEven(Math.fround(1 - fraction) * 2048);
    weight[2 * i + 1] = roundHalfEven(fraction * 2048);
  }
  return { first, second, weight };
}

/** Bilinear resize in OpenCV's fixed-point arithmetic, so that the model gets the same pixels as in Python. */
function resizeBilinear(image: Pixels, height: number, width: number, target: Target): void {
  const { data, step } = image;
  const xs = taps(image.width, width, true);
  const ys = taps(image.height, height, false);
  const rows = [new Int32Array(width * 3), new Int32Array(width * 3)] as const;
  const cachedRows = [-1, -1]; // source rows in `rows`; consecutive output rows often share them
  const fill = (slot: 0 | 1, y: number) => {
    if (cachedRows[slot] === y) return;
    cachedRows[slot] = y;
    const row = rows[slot];
    const start = y * image.width * step;
    for (let x = 0, to = 0; x < width; x++) {
      const a = start + xs.first[x]! * step;
      const b = start + xs.second[x]! * step;
      const wa = xs.weight[2 * x]!;
      const wb = xs.weight[2 * x + 1]!;
      row[to++] = data[a]! * wa + data[b]! * wb;
      row[to++] = data[a + 1]! * wa + data[b + 1]! * wb;
      row[to++] = data[a + 2]! * wa + data[b + 2]! * wb;
    }
  };
  for (let y = 0; y < height; y++) {
    fill(0, ys.first[y]!);
    fill(1, ys.second[y]!);
    const wa = ys.weight[2 * y]!;
    const wb = ys.weight[2 * y + 1]!;
    const [above, below] = rows;
    let to = (target.top + y) * target.stride + target.left * 3;
    for (let i = 0; i < width * 3; i++)
      target.out[to++] = (((wa * (above[i]! >> 4)) >> 16) + ((wb * (below[i]! >> 4)) >> 16) + 2) >> 2;
  }
}

/** Round to the nearest integer, ties to even, as Python's round(). */
export function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}
