/** The page's side of images.worker.ts. */

import type { Detection } from '../../detector';

export interface ImageAnswers {
  /** Decode; `shown` has at most so many pixels. */
  open: { ask: { blob: Blob; mostPixels: number }; answer: { width: number; height: number; shown: ImageBitmap } };
  thumbnail: { ask: { blob: Blob; height: number }; answer: ImageBitmap };
  /** Encode with boxes drawn, in full resolution. */
  png: { ask: { image: Blob | ImageBitmap; detections: readonly Detection[] }; answer: Blob };
}
export type ImageKind = keyof ImageAnswers;

export interface ImageRequest {
  readonly id: number;
  readonly kind: ImageKind;
  readonly ask: ImageAnswers[ImageKind]['ask'];
}
export type ImageReply = { readonly id: number } & (
  | { readonly answer: ImageAnswers[ImageKind]['answer'] }
  | { readonly error: { readonly name: string; readonly message: string } }
);

const waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
let nextId = 0;
let worker: Worker | null = null;

/** @throws Error of the browser's: it does not decode, or is too large. */
export function askImages<K extends ImageKind>(
  kind: K,
  ask: ImageAnswers[K]['ask'],
  transfer: Transferable[] = [],
): Promise<ImageAnswers[K]['answer']> {
  worker ??= startWorker();
  const id = nextId++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
    worker!.postMessage({ id, kind, ask }, transfer);
  });
}

function startWorker(): Worker {
  const started = new Worker(new URL('./images.worker.ts', import.meta.url), { type: 'module', name: 'images' });
  started.onmessage = ({ data }: MessageEvent<ImageReply>) => {
    const request = waiting.get(data.id);
    waiting.delete(data.id);
    if ('answer' in data) request?.resolve(data.answer);
    else request?.reject(Object.assign(new Error(data.error.message), { name: data.error.name }));
  };
  // An image too large for the memory can end it; the next request starts another.
  started.onerror = (event) => {
    event.preventDefault();
    worker = null;
    for (const { reject } of waiting.values()) reject(new RangeError('out of memory'));
    waiting.clear();
  };
  return started;
}
