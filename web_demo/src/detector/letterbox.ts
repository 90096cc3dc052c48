/** Fitting an image into the network's input without changing its proportions, pixel for pixel as in Python. */

/** Gray that YOLOv5 trains with. */
export const PAD_VALUE = 114;

/** Where an image lies in the input: a point (x, y) of the image is at `ratio * (x, y) + padXy` of the input. */
export interface Letterbox {
  readonly imageHw: readonly [number, number];
  readonly resizedHw: readonly [number, number];
  readonly targetHw: readonly [number, number];
  readonly ratio: number;
  /** Half of the padding, left and top; a half pixel where the padding is odd. */
  readonly padXy: readonly [number, number];
}

/** RGB or RGBA bytes, row by row. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** Bytes of a pixel; those after the third are not read. */
  readonly step: 3 | 4;
}

export function fitLetterbox(imageHw: readonly [number, number], targetHw: readonly [number, number]): Letterbox {
  const ratio = Math.min(targetHw[0] / imageHw[0], targetHw[1] / imageHw[1]);
  const side = (i: 0 | 1) => Math.max(roundHalfEven(imageHw[i] * ratio), 1);
  const resizedHw = [side(0), side(1)] as const;
  return {
    imageHw,
    resizedHw,
    targetHw,
    ratio,
    padXy: [(targetHw[1] - resizedHw[1]) / 2, (targetHw[0] - resizedHw[0]) / 2],
  };
}

/** Left and top of the image in the input, in whole pixels: the smaller half of an odd padding. */
export function cornerOf(box: Letterbox): { left: number; top: number } {
  return { left: Math.floor(box.padXy[0]), top: Math.floor(box.padXy[1]) };
}

/**
 * Resize into the middle of the input.
 *
 * @param out RGB bytes of the input, `targetHw` large; written anew.
 */
export function applyLetterbox(box: Letterbox, image: Pixels, out: Uint8Array): void {
  out.fill(PAD_VALUE);
  const { left, top } = cornerOf(box);
  const target: Target = { out, left, top, stride: box.targetHw[1] * 3 };
  const [height, width] = box.resizedHw;
  if (image.height === height && image.width === width) copy(image, target);
  // OpenCV, too, averages where both sides are halved exactly.
  else if (image.height === 2 * height && image.width === 2 * width) halve(image, height, width, target);
  else resizeBilinear(image, height, width, target);
}

/** Corners (left, top, right, bottom) of the input, relative to its size, in pixels of the image, clipped to it. */
export function toImage(box: Letterbox, corners: readonly [number, number, number, number]) {
  const [height, width] = box.imageHw;
  const along = (x: number, pad: number, most: number) => Math.min(Math.max((x - pad) / box.ratio, 0), most);
  const [left, top, right, bottom] = corners;
  return [
    along(left, box.padXy[0], width),
    along(top, box.padXy[1], height),
    along(right, box.padXy[0], width),
    along(bottom, box.padXy[1], height),
  ] as const;
}

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
 * Where each output pixel reads, and the weights of the two it reads, in 1/2048.
 *
 * @param whole beyond the border one pixel has all the weight; otherwise it is read twice. The same, but for rounding.
 */
function taps(from: number, to: number, whole: boolean) {
  const first = new Int32Array(to);
  const second = new Int32Array(to);
  const weight = new Int32Array(2 * to);
  const scale = 1 / (to / from);
  for (let i = 0; i < to; i++) {
    let at = Math.fround((i + 0.5) * scale - 0.5);
    const start = Math.floor(at);
    at = Math.fround(at - start);
    if (whole && (start < 0 || start >= from - 1)) at = 0;
    first[i] = Math.min(Math.max(start, 0), from - 1);
    second[i] = Math.min(start + 1, from - 1);
    weight[2 * i] = roundHalfEven(Math.fround(1 - at) * 2048);
    weight[2 * i + 1] = roundHalfEven(at * 2048);
  }
  return { first, second, weight };
}

/** In OpenCV's whole numbers, so that a browser sees what Python sees. */
function resizeBilinear(image: Pixels, height: number, width: number, target: Target): void {
  const { data, step } = image;
  const xs = taps(image.width, width, true);
  const ys = taps(image.height, height, false);
  const rows = [new Int32Array(width * 3), new Int32Array(width * 3)] as const;
  const held = [-1, -1];
  const fill = (slot: 0 | 1, y: number) => {
    if (held[slot] === y) return;
    held[slot] = y;
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

export function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}
