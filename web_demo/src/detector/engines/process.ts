/** The page's side of a worker. */

import { DetectorError, type ErrorCode } from '../errors';
import { findEngine } from './table';
import type { StartOptions } from './runner';
import type { AnswerMessage, RequestKind, Requests } from './serve';

/** A model that runs in a worker of its own; ends with `end`. */
export class EngineProcess {
  private readonly waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  private nextId = 0;
  private ended: DetectorError | null = null;
  private retiring = false;

  private constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<AnswerMessage>) => {
      const request = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (this.retiring && !this.waiting.size) this.end();
      if ('answer' in data) request?.resolve(data.answer);
      else request?.reject(new DetectorError(data.error.code as ErrorCode, data.error.message, data.error.fix));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const why = event.message ? `: ${event.message}` : ', or could not be loaded';
      this.end(new DetectorError('engine-failed', `The engine's worker stopped${why}.`, 'Load the page again.'));
    };
  }

  /** @throws DetectorError where the engine or the model does not start. */
  static async start(options: StartOptions): Promise<EngineProcess> {
    const litert = findEngine(options.engine)?.kind === 'tflite';
    const worker = litert
      ? new Worker(new URL('./litert.worker.ts', import.meta.url), { type: 'module', name: 'litert' })
      : new Worker(new URL('./tfjs.worker.ts', import.meta.url), { type: 'module', name: 'tfjs' });
    const engine = new EngineProcess(worker);
    try {
      await engine.ask('start', options);
    } catch (error) {
      engine.end();
      throw error;
    }
    return engine;
  }

  ask<K extends RequestKind>(
    kind: K,
    ask: Requests[K]['ask'],
    transfer: Transferable[] = [],
  ): Promise<Requests[K]['answer']> {
    if (this.ended) return Promise.reject(this.ended);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
      this.worker.postMessage({ id, kind, ask }, transfer);
    });
  }

  /** End when all that was asked is answered. */
  retire(): void {
    this.retiring = true;
    if (!this.waiting.size) this.end();
  }

  end(reason = new DetectorError('disposed', 'This detector was disposed of.')): void {
    this.ended ??= reason;
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
  }
}
