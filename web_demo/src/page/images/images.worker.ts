/** Decodes, shrinks and encodes images away from the page, which must not stop for it. */

import type { ImageAnswers, ImageKind, ImageReply, ImageRequest } from './images';
import { drawBoxes } from '../view/boxes';

/** Labels as on screen, where an image is about this wide; on small ones they must stay readable. */
const SCREEN_PX = 900;
const LEAST_UNIT = 0.75;

type Work = { [K in ImageKind]: (ask: ImageAnswers[K]['ask']) => Promise<ImageAnswers[K]['answer']> };

const work: Work = {
  async open({ blob, mostPixels }) {
    const whole = await createImageBitmap(blob);
    const { width, height } = whole;
    if (width * height <= mostPixels) return { width, height, shown: whole };
    const scale = Math.sqrt(mostPixels / (width * height));
    const [canvas, context] = makeCanvas(width * scale, height * scale);
    context.imageSmoothingQuality = 'high';
    context.drawImage(whole, 0, 0, canvas.width, canvas.height);
    whole.close();
    return { width, height, shown: canvas.transferToImageBitmap() };
  },

  thumbnail: ({ blob, height }) => createImageBitmap(blob, { resizeHeight: height, resizeQuality: 'medium' }),

  async png({ image, detections }) {
    const bitmap = image instanceof Blob ? await createImageBitmap(image) : image;
    const [canvas, context] = makeCanvas(bitmap.width, bitmap.height);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    drawBoxes(context, detections, 1, Math.max(Math.max(canvas.width, canvas.height) / SCREEN_PX, LEAST_UNIT));
    return canvas.convertToBlob({ type: 'image/png' });
  },
};

self.onmessage = async ({ data }: MessageEvent<ImageRequest>) => {
  const { id, kind, ask } = data;
  let reply: ImageReply;
  try {
    reply = { id, answer: await work[kind](ask as never) };
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

function bitmapsOf(reply: ImageReply): ImageBitmap[] {
  if (!('answer' in reply)) return [];
  const { answer } = reply;
  if (answer instanceof ImageBitmap) return [answer];
  return 'shown' in answer ? [answer.shown] : [];
}
