/** Draws translucent masks on a canvas. */

import type { Detection } from '../../detector';
import { classColor } from '../colors';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Weight of the color of a mask; the rest is the image. As in Python. */
const OPACITY = 0.45;

/**
 * Draw the masks of detections over the current content of a canvas. Where masks overlap, the one with the highest score is
 * drawn. The cost grows with the number of canvas pixels in the patches of the masks, not with the size of the image.
 *
 * @param detections - sorted by descending score.
 * @param zoom - canvas pixels per image pixel.
 */
export function drawMasks(context: Context, detections: readonly Detection[], zoom: number): void {
  const area = boundsOf(detections, zoom, context.canvas.width, context.canvas.height);
  if (!area) return;
  const { width, height } = area;
  if (pixels.length < width * height) pixels = new Uint32Array(width * height);
  const used = pixels.subarray(0, width * height).fill(0);
  paintMasks(used, area, detections, zoom);
  // A canvas of its own, because putImageData() replaces pixels instead of blending them.
  if (!layer || layer.width < width || layer.height < height)
    layer = new OffscreenCanvas(Math.max(width, layer?.width ?? 0), Math.max(height, layer?.height ?? 0));
  const bytes = new Uint8ClampedArray(pixels.buffer, 0, 4 * width * height);
  layer.getContext('2d')!.putImageData(new ImageData(bytes, width, height), 0, 0);
  context.drawImage(layer, 0, 0, width, height, area.x, area.y, width, height);
  if (pixels.length > KEPT_PIXELS) [pixels, layer] = [new Uint32Array(0), null];
}

/** Reused from frame to frame, unless they are larger than this: those of a saved photograph. */
const KEPT_PIXELS = 4_000_000;
let pixels = new Uint32Array(0);
let layer: OffscreenCanvas | null = null;

/** A rectangle of the canvas in pixels. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The part of the canvas that the patches of masks cover; null if there are none. */
export function boundsOf(detections: readonly Detection[], zoom: number, width: number, height: number): Area | null {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (const { mask } of detections) {
    if (!mask?.area) continue;
    left = Math.min(left, Math.floor(mask.x * zoom));
    top = Math.min(top, Math.floor(mask.y * zoom));
    right = Math.max(right, Math.ceil((mask.x + mask.width) * zoom));
    bottom = Math.max(bottom, Math.ceil((mask.y + mask.height) * zoom));
  }
  [right, bottom] = [Math.min(right, width), Math.min(bottom, height)];
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

/** Set the pixels of masks to the colors of their classes; each canvas pixel takes the nearest pixel of the image. */
export function paintMasks(pixels: Uint32Array, area: Area, detections: readonly Detection[], zoom: number): void {
  // In reverse order, so that the detection with the highest score is on top.
  for (let i = detections.length - 1; i >= 0; i--) {
    const { mask, classId } = detections[i]!;
    if (!mask?.area) continue;
    const color = translucent(classColor(classId));
    const columns = nearest(area.x, area.width, mask.x, mask.width, zoom);
    const rows = nearest(area.y, area.height, mask.y, mask.height, zoom);
    for (let y = 0; y < rows.source.length; y++) {
      const from = rows.source[y]! * mask.width;
      const to = (rows.first + y) * area.width + columns.first;
      for (let x = 0; x < columns.source.length; x++) if (mask.data[from + columns.source[x]!]) pixels[to + x] = color;
    }
  }
}

/** The first pixel of the area that lies in a patch, and for this and each further one the index of the nearest pixel of the patch. */
function nearest(areaStart: number, areaLength: number, start: number, length: number, zoom: number) {
  const index = (at: number) => Math.floor((areaStart + at + 0.5) / zoom) - start;
  let first = Math.min(Math.max(Math.floor(start * zoom) - areaStart - 1, 0), areaLength);
  while (first < areaLength && index(first) < 0) first++;
  let last = first;
  while (last < areaLength && index(last) < length) last++;
  return { first, source: Int32Array.from({ length: last - first }, (_, i) => index(first + i)) };
}

/** The color `#rrggbb` as the four bytes of a canvas pixel. */
function translucent(color: string): number {
  const bytes = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return new Uint32Array(Uint8Array.of(...bytes, Math.round(255 * OPACITY)).buffer)[0]!;
}
