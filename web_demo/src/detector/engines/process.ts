/** Client of an engine worker: sends requests from the page and resolves their responses. */

import { DetectorError, type ErrorCode } from '../errors';
import { findEngine } from './table';
import type { StartOptions } from './runner';
import type { ResponseMessage, RequestKind, RequestTypes } from './serve';

/** A model running in its own worker; `end` terminates the worker. */
export class EngineProcess {
  private readonly pending = new Map<number, { resolve(response: unknown): void; reject(error: Error): void }>();
  private nextId = 0;
  private ended: DetectorError | null = null;
  private retiring = false;

  private constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<ResponseMessage>) => {
      const request = this.pending.get(data.id);
      this.pending.delete(data.id);
      if (this.retiring && !this.pending.size) this.end();
      if ('response' in data) request?.resolve(data.response);
      else request?.reject(new DetectorError(data.error.code as ErrorCode, data.error.message, data.error.fix));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const detail = event.message ? `: ${event.message}` : ', or could not be loaded';
      this.end(new DetectorError('engine-failed', `The engine's worker stopped${detail}.`, 'Reload the page.'));
    };
  }

  /** @throws DetectorError if the engine or the model cannot start. */
  static async start(options: StartOptions): Promise<EngineProcess> {
    const litert = findEngine(options.engine)?.kind === 'tflite';
    const worker = litert
      ? new Worker(new URL('./litert.worker.ts', import.meta.url), { type: 'module', name: 'litert' })
      : new Worker(new URL('./tfjs.worker.ts', import.meta.url), { type: 'module', name: 'tfjs' });
    const engine = new EngineProcess(worker);
    try {
      await engine.request('start', options);
    } catch (error) {
      engine.end();
      throw error;
    }
    return engine;
  }

  /** Send a request to the worker; `transfer` lists objects that are moved, not copied. */
  request<K extends RequestKind>(
    kind: K,
    payload: RequestTypes[K]['payload'],
    transfer: Transferable[] = [],
  ): Promise<RequestTypes[K]['response']> {
    if (this.ended) return Promise.reject(this.ended);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve: resolve as (response: unknown) => void, reject });
      this.worker.postMessage({ id, kind, payload }, transfer);
    });
  }

  /** End the worker once all pending requests have been answered. */
  retire(): void {
    this.retiring = true;
    if (!this.pending.size) this.end();
  }

  /** Terminate the worker; pending requests reject with `reason`. */
  end(reason = new DetectorError('disposed', 'This model has been disposed.')): void {
    this.ended ??= reason;
    this.worker.terminate();
    for (const { reject } of this.pending.values()) reject(this.ended);
    this.pending.clear();
  }
}
