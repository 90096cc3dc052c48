/** Images: samples of the page and files of the user. */

import { DetectorError } from '../../detector';
import { askImages } from '../images/images';
import type { SourceImage, Still } from '../state';

/** Of a larger image a smaller copy is shown. */
const MOST_SHOWN = 4_000_000;

/** @throws DetectorError where the samples are not there. */
export async function listSamples(): Promise<Omit<Still, 'id'>[]> {
  const list: { file: string; title: string }[] = await (await fetchSample('samples.json')).json();
  return list.map(({ file, title }) => ({ title, source: `samples/${encodeURIComponent(file)}` }));
}

/** @throws DetectorError `image` where it does not decode. */
export async function openImage(still: Pick<Still, 'source' | 'title'>): Promise<SourceImage> {
  const blob = await readStill(still);
  try {
    const opened = await askImages('open', { blob, mostPixels: MOST_SHOWN });
    return { name: still.title, blob, ...opened };
  } catch (error) {
    throw undecodable(still, error);
  }
}

/** @throws DetectorError `image` where it does not decode. */
export async function openThumbnail(still: Still, height: number): Promise<ImageBitmap> {
  const blob = await readStill(still);
  try {
    return await askImages('thumbnail', { blob, height });
  } catch (error) {
    throw undecodable(still, error);
  }
}

async function readStill({ source }: Pick<Still, 'source'>): Promise<Blob> {
  return typeof source === 'string' ? (await fetchSample(source.replace('samples/', ''))).blob() : source;
}

function undecodable({ title }: Pick<Still, 'title'>, error: unknown): Error {
  if (error instanceof RangeError) return error;
  return new DetectorError('image', `“${title}” does not decode as an image.`, 'Use a JPEG, PNG or WebP file.');
}

async function fetchSample(file: string): Promise<Response> {
  const response = await fetch(`samples/${file}`).catch(() => null);
  if (response?.ok) return response;
  throw new DetectorError('image', 'The sample images cannot be fetched.', 'Drop an image of your own, or load the page again.');
}
