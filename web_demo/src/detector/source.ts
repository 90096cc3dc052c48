/** Turns a source into what a worker can be given. */

import { undecodable } from './errors';
import type { Frame } from './engines/serve';
import type { Source } from './types';

/** @throws DetectorError `image` where it does not decode, or is empty. */
export async function toFrame(source: Source): Promise<{ frame: Frame; transfer: Transferable[] }> {
  // ImageData goes as it is: a bitmap would change half-transparent pixels. A copy, since it is the caller's.
  // A file is decoded in the worker.
  if (source instanceof ImageData || source instanceof Blob) return { frame: source, transfer: [] };
  try {
    const frame = await createImageBitmap(source);
    return { frame, transfer: [frame] };
  } catch {
    throw undecodable();
  }
}
