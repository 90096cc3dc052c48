/** Resizes images in OpenCV's arithmetic: the same pixels as in Python. */

/** An image as uint8 RGB or RGBA values, row by row. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** Bytes per pixel; alpha is ignored. */
  readonly step: 3 | 4;
}

/** A rectangle of an image. */
export interface Region extends Pixels {
  /** Index of the first byte in `data`. */
  readonly start: number;
  /** Bytes from one row to the next. */
  readonly stride: number;
}

/** The whole image as a region. */
export function wholeOf(image: Pixels): Region {
  return { ...image, start: 0, stride: image.width * image.step };
}

/** The region of `width` x `height` pixels whose first pixel is (left, top). */
export function regionOf(image: Pixels, left: number, top: number, width: number, height: number): Region {
  const stride = image.width * image.step;
  return { data: image.data, step: image.step, width, height, start: top * stride + left * image.step, stride };
}

/** Where the resized image is written: uint8 RGB rows of `stride` bytes. */
export interface Target {
  readonly out: Uint8Array;
  readonly left: number;
  readonly top: number;
  readonly stride: number;
}

/** Copy the pixels. */
export function copy(image: Region, { out, left, top, stride }: Target): void {
  for (let y = 0; y < image.height; y++) {
    let from = image.start + y * image.stride;
    let to = (top + y) * stride + left * 3;
    for (let x = 0; x < image.width; x++, from += image.step) {
      out[to++] = image.data[from]!;
      out[to++] = image.data[from + 1]!;
      out[to++] = image.data[from + 2]!;
    }
  }
}

/** Average blocks of 2 x 2 pixels, in OpenCV's rounding. */
export function halve(image: Region, height: number, width: number, { out, left, top, stride }: Target): void {
  const { data, step, stride: row } = image;
  for (let y = 0; y < height; y++) {
    let to = (top + y) * stride + left * 3;
    for (let x = 0, from = image.start + 2 * y * row; x < width; x++, from += 2 * step)
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
export function resizeBilinear(image: Region, height: number, width: number, target: Target): void {
  const { data, step } = image;
  const xs = taps(image.width, width, true);
  const ys = taps(image.height, height, false);
  const rows = [new Int32Array(width * 3), new Int32Array(width * 3)] as const;
  const cachedRows = [-1, -1]; // source rows in `rows`; consecutive output rows often share them
  const fill = (slot: 0 | 1, y: number) => {
    if (cachedRows[slot] === y) return;
    cachedRows[slot] = y;
    const row = rows[slot];
    const start = image.start + y * image.stride;
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

/** Resolution of double-precision numbers at 1. */
const EPSILON = 2 ** -52;

/**
 * Resize by averaging the area of each output pixel, in OpenCV's arithmetic (INTER_AREA), so that the model gets the same
 * pixels as in Python. Both sides must not become larger.
 */
export function resizeArea(image: Region, height: number, width: number, target: Target): void {
  // OpenCV computes both scales in this way, and compares them with whole numbers.
  const [scaleX, scaleY] = [1 / (width / image.width), 1 / (height / image.height)];
  const [wholeX, wholeY] = [Math.round(scaleX), Math.round(scaleY)];
  const whole = Math.abs(scaleX - wholeX) < EPSILON && Math.abs(scaleY - wholeY) < EPSILON;
  if (!whole) averageAreas(image, cells(image.width, width, scaleX), cells(image.height, height, scaleY), target);
  else if (wholeX === 2 && wholeY === 2) halve(image, height, width, target);
  else averageBlocks(image, height, width, wholeY, wholeX, target);
}

/** Average blocks of rows x columns pixels. */
function averageBlocks(image: Region, height: number, width: number, rows: number, columns: number, target: Target): void {
  const { data, step, stride, start } = image;
  const share = Math.fround(1 / (rows * columns));
  for (let y = 0; y < height; y++) {
    let to = (target.top + y) * target.stride + target.left * 3;
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) {
          let from = start + (y * rows + row) * stride + x * columns * step + c;
          for (let column = 0; column < columns; column++, from += step) sum += data[from]!;
        }
        target.out[to++] = roundHalfEven(Math.fround(sum * share));
      }
  }
}

/** For each output pixel of one axis, the source pixels that it covers and their weights; `from` has one entry more. */
interface Cells {
  readonly from: Int32Array;
  readonly source: Int32Array;
  readonly weight: Float32Array;
}

function cells(length: number, count: number, scale: number): Cells {
  const from = new Int32Array(count + 1);
  const source: number[] = [];
  const weight: number[] = [];
  const add = (index: number, share: number) => {
    source.push(index);
    weight.push(share);
  };
  for (let i = 0; i < count; i++) {
    const low = i * scale;
    const high = low + scale;
    const size = Math.min(scale, length - low);
    const last = Math.min(Math.floor(high), length - 1);
    const first = Math.min(Math.ceil(low), last);
    if (first - low > 1e-3) add(first - 1, (first - low) / size);
    for (let k = first; k < last; k++) add(k, 1 / size);
    if (high - last > 1e-3) add(last, Math.min(high - last, 1, size) / size);
    from[i + 1] = source.length;
  }
  return { from, source: Int32Array.from(source), weight: Float32Array.from(weight) };
}

function averageAreas(image: Region, xs: Cells, ys: Cells, target: Target): void {
  const { data, step, stride, start } = image;
  const width = xs.from.length - 1;
  const row = new Float32Array(3 * width);
  const sums = new Float32Array(3 * width);
  for (let y = 0; y + 1 < ys.from.length; y++) {
    sums.fill(0);
    for (let j = ys.from[y]!; j < ys.from[y + 1]!; j++) {
      const line = start + ys.source[j]! * stride;
      for (let x = 0; x < width; x++) {
        let r = 0;
        let g = 0;
        let b = 0;
        for (let k = xs.from[x]!; k < xs.from[x + 1]!; k++) {
          const at = line + xs.source[k]! * step;
          const w = xs.weight[k]!;
          // Every operation is rounded to single precision, as in OpenCV.
          r = Math.fround(r + Math.fround(data[at]! * w));
          g = Math.fround(g + Math.fround(data[at + 1]! * w));
          b = Math.fround(b + Math.fround(data[at + 2]! * w));
        }
        row[3 * x] = r;
        row[3 * x + 1] = g;
        row[3 * x + 2] = b;
      }
      const w = ys.weight[j]!;
      for (let i = 0; i < row.length; i++) sums[i] = sums[i]! + Math.fround(row[i]! * w);
    }
    let to = (target.top + y) * target.stride + target.left * 3;
    for (let i = 0; i < sums.length; i++) target.out[to++] = Math.min(roundHalfEven(sums[i]!), 255);
  }
}

/** Round to the nearest integer, ties to even, as Python's round(). */
export function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}
