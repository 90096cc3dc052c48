/** Center crop: the input of a classifier; the same pixels as in Python. */

import { copy, type Pixels, regionOf, resizeArea, resizeBilinear, roundHalfEven, type Target } from './resize';

/** The largest centered region of an image that has the aspect ratio of the model's input. Sizes are [height, width] in pixels. */
export interface CenterCrop {
  readonly inputSize: readonly [number, number];
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Pixels of the image per pixel of the input. */
  readonly scale: number;
}

/** Compute the region for an image size and an input size, both [height, width] in pixels. */
export function fitCenterCrop(imageSize: readonly [number, number], inputSize: readonly [number, number]): CenterCrop {
  const scale = Math.min(imageSize[0] / inputSize[0], imageSize[1] / inputSize[1]);
  const side = (i: 0 | 1) => Math.max(roundHalfEven(inputSize[i] * scale), 1);
  const [height, width] = [side(0), side(1)];
  const before = (i: 0 | 1, size: number) => Math.floor((imageSize[i] - size) / 2);
  return { inputSize, left: before(1, width), top: before(0, height), width, height, scale };
}

/**
 * Crop the image and resize the region to the input: by averaging areas if it shrinks, bilinearly if it grows.
 *
 * @param out - uint8 RGB pixels of the input, (height, width, 3) of `inputSize`; overwritten.
 */
export function applyCenterCrop(crop: CenterCrop, image: Pixels, out: Uint8Array): void {
  const region = regionOf(image, crop.left, crop.top, crop.width, crop.height);
  const [height, width] = crop.inputSize;
  const target: Target = { out, left: 0, top: 0, stride: width * 3 };
  if (crop.height === height && crop.width === width) copy(region, target);
  else if (crop.scale > 1) resizeArea(region, height, width, target);
  else resizeBilinear(region, height, width, target);
}
