/** Turns a source into what a worker can be given. */

import { DetectorError } from './errors';
import type { Frame } from './engines/serve';
import type { Source } from './types';

/** @throws DetectorError `image` where it does not decode, or is empty. */
export async function toFrame(source: Source): Promise<{ frame: Frame; transfer: Transferable[] }> {
  // ImageData goes as it is: a bitmap would change half-transparent pixels. A copy, since it is the caller's.
  if (source instanceof ImageData) return { frame: source, transfer: [] };
  try {
    const frame = await createImageBitmap(source);
    return { frame, transfer: [frame] };
  } catch {
    throw new DetectorError(
      'image',
      'This image does not decode, or is empty.',
      'Use a JPEG, PNG or WebP file, or wait until it has loaded.',
    );
  }
}
