/** Images: samples of the page and files of the user. */

import { DetectorError } from '../../detector';
import type { Picture, Still } from '../state';

/** Beyond these pixels a smaller copy is shown, and the image itself stays packed. */
const MOST_SHOWN = 4_000_000;

/** @throws DetectorError where the samples are not there. */
export async function listSamples(): Promise<Omit<Still, 'id'>[]> {
  const list: { file: string; title: string }[] = await (await fetchSample('samples.json')).json();
  return list.map(({ file, title }) => ({ title, source: `samples/${encodeURIComponent(file)}` }));
}

export async function readStill({ source }: Pick<Still, 'source'>): Promise<Blob> {
  return typeof source === 'string' ? (await fetchSample(source.replace('samples/', ''))).blob() : source;
}

/** @throws DetectorError `image` where it does not decode. */
export async function openPicture(still: Pick<Still, 'source' | 'title'>): Promise<Picture> {
  const blob = await readStill(still);
  let whole: ImageBitmap;
  try {
    whole = await createImageBitmap(blob);
  } catch {
    throw undecodable(still.title);
  }
  const { width, height } = whole;
  if (width * height <= MOST_SHOWN) return { name: still.title, width, height, shown: whole, full: whole };
  whole.close();
  const resizeWidth = Math.max(Math.round(width * Math.sqrt(MOST_SHOWN / (width * height))), 1);
  const shown = await createImageBitmap(blob, { resizeWidth, resizeQuality: 'high' });
  return { name: still.title, width, height, shown, full: blob };
}

export function undecodable(name: string): DetectorError {
  return new DetectorError('image', `“${name}” does not decode as an image.`, 'Use a JPEG, PNG or WebP file.');
}

async function fetchSample(file: string): Promise<Response> {
  const response = await fetch(`samples/${file}`).catch(() => null);
  if (response?.ok) return response;
  throw new DetectorError('image', 'The sample images cannot be fetched.', 'Drop an image of your own, or load the page again.');
}
