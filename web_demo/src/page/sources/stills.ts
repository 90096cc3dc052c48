/** Opens still images: the samples of the page and files of the user. */

import { DetectorError } from '../../detector';
import { requestImage } from '../images/images';
import type { SourceImage, Still } from '../state';

/** Images with more pixels are displayed as a downscaled copy. */
const MAX_DISPLAY_PIXELS = 4_000_000;

/** @throws DetectorError if the samples cannot be downloaded. */
export async function listSamples(): Promise<Omit<Still, 'id'>[]> {
  const list: { file: string; title: string }[] = await (await fetchSample('samples.json')).json();
  return list.map(({ file, title }) => ({ title, source: `samples/${encodeURIComponent(file)}` }));
}

/** @throws DetectorError `image` where it does not decode. */
export async function openImage(still: Pick<Still, 'source' | 'title'>): Promise<SourceImage> {
  const blob = await readStill(still);
  try {
    const opened = await requestImage('open', { blob, maxPixels: MAX_DISPLAY_PIXELS });
    return { name: still.title, blob, ...opened };
  } catch (error) {
    throw undecodable(still, error);
  }
}

/** @throws DetectorError `image` where it does not decode. */
export async function openThumbnail(still: Still, height: number): Promise<ImageBitmap> {
  const blob = await readStill(still);
  try {
    return await requestImage('thumbnail', { blob, height });
  } catch (error) {
    throw undecodable(still, error);
  }
}

async function readStill({ source }: Pick<Still, 'source'>): Promise<Blob> {
  return typeof source === 'string' ? (await fetchSample(source.replace('samples/', ''))).blob() : source;
}

function undecodable({ title }: Pick<Still, 'title'>, error: unknown): Error {
  if (error instanceof RangeError) return error;
  return new DetectorError('image', `“${title}” cannot be decoded as an image.`, 'Use a JPEG, PNG or WebP file.');
}

async function fetchSample(file: string): Promise<Response> {
  const response = await fetch(`samples/${file}`).catch(() => null);
  if (response?.ok) return response;
  throw new DetectorError('image', 'The sample images cannot be downloaded.', 'Open an image of your own, or reload the page.');
}
