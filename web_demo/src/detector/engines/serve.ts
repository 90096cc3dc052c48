/** The worker's side: requests in, answers out, one after the other. */

import { type Outputs, readOutputs } from '../decode';
import { DetectorError, undecodable } from '../errors';
import { applyLetterbox, fitLetterbox, toImage } from '../letterbox';
import { nonMaxSuppression, refine } from '../nms';
import type { Detection, DetectionResult, DetectOptions, MemoryUse } from '../types';
import type { Runner, StartOptions } from './runner';

/** What to detect in; bitmaps are consumed. */
export type Frame = ImageBitmap | ImageData | Blob;

export interface Requests {
  start: { ask: StartOptions; answer: { input: Runner['input'] } };
  /** Median milliseconds of some runs on a gray image, after a warm-up. */
  time: { ask: { runs: number; mostMs: number }; answer: number };
  detect: { ask: { frame: Frame; options: DetectOptions }; answer: DetectionResult };
  memory: { ask: null; answer: MemoryUse };
}
export type RequestKind = keyof Requests;

export interface RequestMessage {
  readonly id: number;
  readonly kind: RequestKind;
  readonly ask: Requests[RequestKind]['ask'];
}
export type AnswerMessage = { readonly id: number } & (
  | { readonly answer: unknown }
  | { readonly error: { readonly code: string; readonly message: string; readonly fix: string } }
);

/** Answer requests with the model that `start` starts. */
export function serve(start: (options: StartOptions) => Promise<Runner>): void {
  let session: Session | null = null;
  const answers: { [K in RequestKind]: (ask: Requests[K]['ask']) => Promise<Requests[K]['answer']> } = {
    async start(ask) {
      session = new Session(await start(ask), ask);
      return { input: session.runner.input };
    },
    time: ({ runs, mostMs }) => started().time(runs, mostMs),
    detect: ({ frame, options }) => started().detect(frame, options),
    memory: async () => started().runner.memory(),
  };
  const started = () => {
    if (!session) throw new DetectorError('engine-failed', 'The engine has not started.');
    return session;
  };
  let last: Promise<unknown> = Promise.resolve();
  self.onmessage = ({ data }: MessageEvent<RequestMessage>) => {
    const { id, kind, ask } = data;
    last = last
      .then((): Promise<unknown> => answers[kind](ask as never))
      .then(
        (answer) => self.postMessage({ id, answer }),
        (error) => self.postMessage({ id, error: described(error) }),
      );
  };
}

function described(error: unknown): { code: string; message: string; fix: string } {
  if (error instanceof DetectorError) return { code: error.code, message: error.message, fix: error.fix };
  const message = String((error as Error)?.message ?? error).split('\n')[0]!.slice(0, 200);
  const memory = error instanceof RangeError || /out of memory|allocat|OOM|memory access/i.test(message);
  return memory
    ? { code: 'memory', message: 'There is not enough memory for this model or image.', fix: 'Close other tabs, or use a smaller one.' }
    : { code: 'engine-failed', message: `The engine stopped: ${message}`, fix: 'Choose another engine.' };
}

class Session {
  private readonly input: Uint8Array<ArrayBuffer>;
  private canvas: OffscreenCanvas | null = null;

  constructor(
    readonly runner: Runner,
    private readonly options: StartOptions,
  ) {
    const [height, width] = options.contract.imageHw;
    this.input = new Uint8Array(height * width * 3);
  }

  async time(runs: number, mostMs: number): Promise<number> {
    this.input.fill(114);
    await this.runner.run(this.input);
    const times: number[] = [];
    for (let total = 0; times.length < runs && total < mostMs; total += times.at(-1)!) {
      const start = performance.now();
      await this.runner.run(this.input);
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[times.length >> 1]!;
  }

  async detect(frame: Frame, options: DetectOptions): Promise<DetectionResult> {
    const { contract } = this.options;
    const start = performance.now();
    const image = await this.read(frame);
    const box = fitLetterbox([image.height, image.width], contract.imageHw);
    applyLetterbox(box, { data: image.data, width: image.width, height: image.height, step: 4 }, this.input);
    const ready = performance.now();
    const outputs = await this.runner.run(this.input);
    const done = performance.now();
    const detections = this.detections(outputs, box, options);
    return {
      detections,
      timing: { preprocess: ready - start, inference: done - ready, postprocess: performance.now() - done },
      width: image.width,
      height: image.height,
    };
  }

  private async read(frame: Frame): Promise<ImageData> {
    if (frame instanceof ImageData) return frame;
    const bitmap = frame instanceof Blob ? await createImageBitmap(frame).catch(() => Promise.reject(undecodable())) : frame;
    const { width, height } = bitmap;
    try {
      if (!this.canvas || this.canvas.width !== width || this.canvas.height !== height)
        this.canvas = new OffscreenCanvas(width, height);
      const context = this.canvas.getContext('2d', { willReadFrequently: true })!;
      context.drawImage(bitmap, 0, 0);
      return context.getImageData(0, 0, width, height);
    } finally {
      bitmap.close();
    }
  }

  private detections(outputs: Outputs, box: ReturnType<typeof fitLetterbox>, options: DetectOptions): Detection[] {
    const { contract } = this.options;
    const nms = {
      confidence: options.confidence ?? 0.25,
      iou: options.iou ?? 0.45,
      classes: options.classes ?? null,
      agnostic: options.agnostic ?? false,
      maxDetections: options.maxDetections ?? 300,
    };
    const prediction = readOutputs(outputs, contract, nms.confidence);
    const found = 'found' in prediction ? refine(prediction.found, nms) : nonMaxSuppression(prediction.candidates, nms);
    return Array.from(found.scores, (score, i) => {
      const [a, b, c, d] = found.boxesXyxyPx.subarray(4 * i, 4 * i + 4);
      const [left, top, right, bottom] = toImage(box, [a!, b!, c!, d!]);
      const classId = found.classes[i]!;
      return {
        box: { x: left, y: top, width: right - left, height: bottom - top },
        score,
        classId,
        label: contract.names[classId] ?? `class ${classId}`,
      };
    });
  }
}
