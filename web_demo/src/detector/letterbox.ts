/** Letterbox: resizes an image to the model's input with its aspect ratio kept; the same pixels as in Python. */

import { copy, halve, type Pixels, resizeBilinear, roundHalfEven, type Target, wholeOf } from './resize';

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
  const region = wholeOf(image);
  const [height, width] = box.resizedSize;
  if (image.height === height && image.width === width) copy(region, target);
  // OpenCV also switches from bilinear interpolation to averaging if both sides are halved exactly.
  else if (image.height === 2 * height && image.width === 2 * width) halve(region, height, width, target);
  else resizeBilinear(region, height, width, target);
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
