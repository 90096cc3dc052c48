/** Server loop of an engine worker: handles requests one after the other. */

import { DetectorError, undecodable } from '../errors';
import type { DetectionResult, MemoryUse, Result } from '../types';
import type { Runner, StartOptions } from './runner';
import { type RunOptions, TASK_STEPS } from './tasks';

/** An image to run the model on; the worker closes bitmaps after use. */
export type Frame = ImageBitmap | ImageData | Blob;

/** Payload and response of each request kind. */
export interface RequestTypes {
  start: { payload: StartOptions; response: { input: Runner['input'] } };
  /** Median inference time in milliseconds on a gray image, after one warm-up run. */
  time: { payload: { runs: number; maxMilliseconds: number }; response: number };
  run: { payload: { frame: Frame; options: RunOptions }; response: Result };
  memory: { payload: null; response: MemoryUse };
}
export type RequestKind = keyof RequestTypes;

export interface RequestMessage {
  readonly id: number;
  readonly kind: RequestKind;
  readonly payload: RequestTypes[RequestKind]['payload'];
}
export type ResponseMessage = { readonly id: number } & (
  | { readonly response: unknown }
  | { readonly error: { readonly code: string; readonly message: string; readonly fix: string } }
);

/**
 * Handle the requests of one worker.
 *
 * @param start - loads the model of the `start` request; all later requests use that model.
 */
export function serve(start: (options: StartOptions) => Promise<Runner>): void {
  let session: Session | null = null;
  const handlers: { [K in RequestKind]: (payload: RequestTypes[K]['payload']) => Promise<RequestTypes[K]['response']> } = {
    async start(payload) {
      session = new Session(await start(payload), payload);
      return { input: session.runner.input };
    },
    time: ({ runs, maxMilliseconds }) => started().time(runs, maxMilliseconds),
    run: ({ frame, options }) => started().run(frame, options),
    memory: async () => started().runner.memory(),
  };
  const started = () => {
    if (!session) throw new DetectorError('engine-failed', 'The engine has not been started.');
    return session;
  };
  let last: Promise<unknown> = Promise.resolve();
  self.onmessage = ({ data }: MessageEvent<RequestMessage>) => {
    const { id, kind, payload } = data;
    last = last
      .then((): Promise<unknown> => handlers[kind](payload as never))
      .then(
        (response) => self.postMessage({ id, response }, { transfer: masksOf(response) }),
        (error) => self.postMessage({ id, error: serializeError(error) }),
      );
  };
}

/** The buffers of masks, which are moved to the page instead of copied. */
function masksOf(response: unknown): ArrayBuffer[] {
  const { detections = [] } = response as Partial<DetectionResult>;
  return detections.flatMap(({ mask }) => (mask ? [mask.data.buffer] : []));
}

/** Errors lose their class in postMessage, so their fields are sent instead. */
function serializeError(error: unknown): { code: string; message: string; fix: string } {
  if (error instanceof DetectorError) return { code: error.code, message: error.message, fix: error.fix };
  const message = String((error as Error)?.message ?? error).split('\n')[0]!.slice(0, 200);
  const outOfMemory = error instanceof RangeError || /out of memory|allocat|OOM|memory access/i.test(message);
  return outOfMemory
    ? { code: 'memory', message: 'There is not enough memory for this model or image.', fix: 'Close other tabs, or use a smaller model or image.' }
    : { code: 'engine-failed', message: `The engine stopped: ${message}`, fix: 'Choose another engine.' };
}

/** A running model with the buffers that are reused from image to image. */
class Session {
  private readonly input: Uint8Array<ArrayBuffer>;
  private canvas: OffscreenCanvas | null = null;

  constructor(
    readonly runner: Runner,
    private readonly options: StartOptions,
  ) {
    const [height, width] = options.contract.imageSize;
    this.input = new Uint8Array(height * width * 3);
  }

  async time(runs: number, maxMilliseconds: number): Promise<number> {
    this.input.fill(114);
    await this.runner.run(this.input);
    const times: number[] = [];
    for (let total = 0; times.length < runs && total < maxMilliseconds; total += times.at(-1)!) {
      const start = performance.now();
      await this.runner.run(this.input);
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[times.length >> 1]!;
  }

  async run(frame: Frame, options: RunOptions): Promise<Result> {
    const { contract } = this.options;
    const start = performance.now();
    const { data, width, height } = await this.read(frame);
    const interpret = TASK_STEPS[contract.task]({ data, width, height, step: 4 }, contract, this.input);
    const ready = performance.now();
    const outputs = await this.runner.run(this.input);
    const done = performance.now();
    const interpreted = interpret(outputs, options);
    const timing = { preprocess: ready - start, inference: done - ready, postprocess: performance.now() - done };
    return { ...interpreted, timing, width, height };
  }

  private async read(frame: Frame): Promise<ImageData> {
    if (frame instanceof ImageData) return frame;
    const bitmap = frame instanceof Blob ? await createImageBitmap(frame).catch(() => Promise.reject(undecodable())) : frame;
    const { width, height } = bitmap;
    try {
      if (!this.canvas || this.canvas.width !== width || this.canvas.height !== height)
        this.canvas = new OffscreenCanvas(width, height);
      const context = this.canvas.getContext('2d', { willReadFrequently: true })!;
      // Transparent pixels are white, as the page shows them; the canvas still holds the previous image.
      context.fillStyle = '#fff';
      context.fillRect(0, 0, width, height);
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, width, height);
    } finally {
      bitmap.close();
    }
  }
}
