/** The annotated image in the resolution of its source. */

import type { Detection } from '../../detector';
import type { Picture } from '../state';
import { drawBoxes } from '../view/boxes';

/** @throws RangeError where the image is larger than this browser's canvases. */
export async function toPng(picture: Picture, detections: readonly Detection[]): Promise<Blob> {
  const bitmap = picture.full instanceof Blob ? await createImageBitmap(picture.full) : picture.full;
  try {
    const canvas = document.createElement('canvas');
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    const context = canvas.getContext('2d');
    if (!context) throw new RangeError('no canvas of this size');
    context.drawImage(bitmap, 0, 0);
    // Lines and letters as on screen, where a picture is about 900 wide; small ones must stay readable.
    drawBoxes(context, detections, 1, Math.max(Math.max(bitmap.width, bitmap.height) / 900, 0.75));
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (!blob) throw new RangeError('no canvas of this size');
    return blob;
  } finally {
    if (bitmap !== picture.full) bitmap.close();
  }
}
