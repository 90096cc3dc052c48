/** Converts a source image to an object that can be sent to a worker. */

import { undecodable } from './errors';
import type { Frame } from './engines/serve';
import type { Source } from './types';

/**
 * Convert a source to a frame.
 *
 * @returns the frame, and the objects to transfer (move) to the worker.
 * @throws DetectorError `image` if the source cannot be decoded, or is empty.
 */
export async function toFrame(source: Source): Promise<{ frame: Frame; transfer: Transferable[] }> {
  // ImageData is copied, not transferred, because it belongs to the caller, and not converted to a bitmap, because
  // premultiplied alpha would change semi-transparent pixels. Files are decoded in the worker.
  if (source instanceof ImageData || source instanceof Blob) return { frame: source, transfer: [] };
  try {
    const frame = await createImageBitmap(source);
    return { frame, transfer: [frame] };
  } catch {
    throw undecodable();
  }
}
