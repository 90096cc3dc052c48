/** Client of images.worker.ts, which decodes, resizes and encodes images. */

import type { ClassProbability, Detection } from '../../detector';

/** An image, and what is drawn into it. */
export interface Drawing {
  readonly image: Blob | ImageBitmap;
  readonly detections: readonly Detection[];
  readonly classes: readonly ClassProbability[];
  /** Whether the masks of the detections are drawn. */
  readonly masks: boolean;
}

/** Payload and response of each request kind. */
export interface ImageRequestTypes {
  /** Decode an image; `bitmap` is downscaled to at most `maxPixels` pixels. */
  open: { payload: { blob: Blob; maxPixels: number }; response: { width: number; height: number; bitmap: ImageBitmap } };
  thumbnail: { payload: { blob: Blob; height: number }; response: ImageBitmap };
  /** Draw boxes, masks and classes into an image at full resolution and encode it as PNG. */
  png: { payload: Drawing; response: Blob };
}
export type ImageKind = keyof ImageRequestTypes;

export interface ImageRequest {
  readonly id: number;
  readonly kind: ImageKind;
  readonly payload: ImageRequestTypes[ImageKind]['payload'];
}
export type ImageResponse = { readonly id: number } & (
  | { readonly response: ImageRequestTypes[ImageKind]['response'] }
  | { readonly error: { readonly name: string; readonly message: string } }
);

const waiting = new Map<number, { resolve(response: unknown): void; reject(error: Error): void }>();
let nextId = 0;
let worker: Worker | null = null;

/** @throws Error of the browser if the image cannot be decoded, RangeError if it is too large for the memory. */
export function requestImage<K extends ImageKind>(
  kind: K,
  payload: ImageRequestTypes[K]['payload'],
  transfer: Transferable[] = [],
): Promise<ImageRequestTypes[K]['response']> {
  worker ??= startWorker();
  const id = nextId++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve: resolve as (response: unknown) => void, reject });
    worker!.postMessage({ id, kind, payload }, transfer);
  });
}

function startWorker(): Worker {
  const started = new Worker(new URL('./images.worker.ts', import.meta.url), { type: 'module', name: 'images' });
  started.onmessage = ({ data }: MessageEvent<ImageResponse>) => {
    const request = waiting.get(data.id);
    waiting.delete(data.id);
    if ('response' in data) request?.resolve(data.response);
    else request?.reject(Object.assign(new Error(data.error.message), { name: data.error.name }));
  };
  // An image that is too large for the memory can crash the worker; the next request starts a new one.
  started.onerror = (event) => {
    event.preventDefault();
    worker = null;
    for (const { reject } of waiting.values()) reject(new RangeError('out of memory'));
    waiting.clear();
  };
  return started;
}
