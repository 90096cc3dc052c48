/** Decodes, resizes and encodes images in a worker, so that the page stays responsive. */

import type { ImageRequestTypes, ImageKind, ImageResponse, ImageRequest } from './images';
import { drawBoxes } from '../view/boxes';
import { drawClasses } from '../view/classification';
import { drawMasks } from '../view/masks';

/** Labels in saved images are scaled as if the image were displayed this wide; MIN_UNIT keeps them readable on small images. */
const SCREEN_PX = 900;
const MIN_UNIT = 0.75;

type Handlers = { [K in ImageKind]: (payload: ImageRequestTypes[K]['payload']) => Promise<ImageRequestTypes[K]['response']> };

const handlers: Handlers = {
  async open({ blob, maxPixels }) {
    const original = await createImageBitmap(blob);
    const { width, height } = original;
    if (width * height <= maxPixels) return { width, height, bitmap: original };
    const scale = Math.sqrt(maxPixels / (width * height));
    const [canvas, context] = makeCanvas(width * scale, height * scale);
    context.imageSmoothingQuality = 'high';
    context.drawImage(original, 0, 0, canvas.width, canvas.height);
    original.close();
    return { width, height, bitmap: canvas.transferToImageBitmap() };
  },

  thumbnail: ({ blob, height }) => createImageBitmap(blob, { resizeHeight: height, resizeQuality: 'medium' }),

  async png({ image, detections, classes, masks }) {
    const bitmap = image instanceof Blob ? await createImageBitmap(image) : image;
    const [canvas, context] = makeCanvas(bitmap.width, bitmap.height);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    const unit = Math.max(Math.max(canvas.width, canvas.height) / SCREEN_PX, MIN_UNIT);
    if (masks) drawMasks(context, detections, 1);
    drawBoxes(context, detections, 1, unit);
    if (classes.length) drawClasses(context, classes, unit);
    return canvas.convertToBlob({ type: 'image/png' });
  },
};

self.onmessage = async ({ data }: MessageEvent<ImageRequest>) => {
  const { id, kind, payload } = data;
  let reply: ImageResponse;
  try {
    reply = { id, response: await handlers[kind](payload as never) };
  } catch (error) {
    const { name, message } = error as Error;
    reply = { id, error: { name, message } };
  }
  self.postMessage(reply, { transfer: bitmapsOf(reply) });
};

function makeCanvas(width: number, height: number): [OffscreenCanvas, OffscreenCanvasRenderingContext2D] {
  const canvas = new OffscreenCanvas(Math.max(Math.round(width), 1), Math.max(Math.round(height), 1));
  const context = canvas.getContext('2d');
  if (!context) throw new RangeError('no canvas of this size');
  return [canvas, context];
}

function bitmapsOf(reply: ImageResponse): ImageBitmap[] {
  if (!('response' in reply)) return [];
  const { response } = reply;
  if (response instanceof ImageBitmap) return [response];
  return 'bitmap' in response ? [response.bitmap] : [];
}
