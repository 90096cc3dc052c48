/** Selects the inference engine: the one requested by ID, or the fastest of a benchmark. */

import { DetectorError } from '../errors';
import type { EngineChoice, EngineTrial } from '../types';
import { EngineProcess } from './process';
import type { StartOptions } from './runner';
import { type Engine, type EngineId, ENGINES, findEngine } from './table';

/** A worker that runs the model, and the reason why its engine was selected. */
export interface StartedEngine {
  readonly process: EngineProcess;
  readonly choice: EngineChoice;
}

type WorkerOptions = Omit<StartOptions, 'engine'>;

/** Each engine is timed for this many runs after its warm-up, or until MAX_TOTAL_MS have passed. */
const RUNS = 5;
const MAX_TOTAL_MS = 1000;

/**
 * Start the engine that was requested by ID.
 *
 * @throws DetectorError `engine-unavailable` if the ID is unknown, or the engine cannot run this model in this browser.
 */
export async function startEngine(id: EngineId, start: WorkerOptions): Promise<StartedEngine> {
  const engine = findEngine(id);
  if (!engine) throw new DetectorError('engine-unavailable', `There is no engine \`${id}\`.`, chooseOneOf(start));
  if (engine.kind !== start.model.kind)
    throw new DetectorError('engine-unavailable', `${engine.label} does not support this model format.`, chooseOneOf(start));
  const missing = missingRequirement(engine);
  if (missing) throw new DetectorError('engine-unavailable', `${engine.label}: ${missing}.`, 'Choose another engine.');
  const process = await EngineProcess.start({ ...start, engine: id });
  return { process, choice: { engine: id, reason: `${engine.label}, as requested.`, trials: [] } };
}

/** Times the engines of this browser, one after the other, and keeps the worker of the fastest one. */
export class EngineBenchmark {
  readonly trials: EngineTrial[] = [];
  private fastest: { process: EngineProcess; engine: Engine; milliseconds: number } | null = null;
  private failure: unknown = null;
  private running: EngineProcess | null = null;
  private stopped = false;
  private readonly remaining: Engine[];
  /** The worker that a detector already uses; the detector ends it. */
  private inUse: EngineProcess | null = null;

  /**
   * @param excluded - engines that failed earlier.
   * @param onTrial - called before each engine with the number of engines done and in total.
   */
  constructor(
    private readonly options: WorkerOptions,
    excluded: ReadonlySet<EngineId> = new Set(),
    private readonly onTrial: (done: number, total: number) => void = () => {},
  ) {
    this.remaining = ENGINES.filter((engine) => engine.kind === options.model.kind && !excluded.has(engine.id));
  }

  /**
   * Start engines until one works; it can be used while the others are timed.
   *
   * @throws DetectorError the error of the first engine that failed, if none works.
   */
  async startFirst(): Promise<StartedEngine> {
    while (this.remaining.length && !this.fastest) await this.timeNext();
    const first = this.result();
    this.inUse = first.process;
    return first;
  }

  /** Time all remaining engines and return the fastest one. */
  async startFastest(): Promise<StartedEngine> {
    while (this.remaining.length) await this.timeNext();
    return this.result();
  }

  /** Stop timing, and end the workers that no detector uses. */
  stop(): void {
    this.remaining.length = 0;
    this.stopped = true;
    for (const process of [this.running, this.fastest?.process]) if (process !== this.inUse) process?.end();
  }

  private async timeNext(): Promise<void> {
    const engine = this.remaining.shift()!;
    this.onTrial(this.trials.length, this.trials.length + this.remaining.length + 1);
    const trial = (milliseconds: number | null, reason: string | null) =>
      this.trials.push({ engine: engine.id, milliseconds, reason });
    const notNeeded = engine.fallbackOnly && this.fastest ? 'only used if no other engine works' : null;
    const skipReason = notNeeded ?? missingRequirement(engine) ?? (await gpuUnavailableReason(engine));
    if (skipReason) return void trial(null, skipReason);
    try {
      const process = (this.running = await EngineProcess.start({ ...this.options, engine: engine.id }));
      if (this.stopped) return process.end(); // `stop` was called while it started
      const milliseconds = await process.request('time', { runs: RUNS, maxMilliseconds: MAX_TOTAL_MS });
      trial(milliseconds, null);
      const slower = this.fastest && this.fastest.milliseconds <= milliseconds ? process : this.fastest?.process;
      if (slower !== process) this.fastest = { process, engine, milliseconds };
      if (slower !== this.inUse) slower?.end();
    } catch (error) {
      this.running?.end();
      // A damaged model fails on every engine.
      if (!this.fastest && error instanceof DetectorError && error.code.startsWith('model-')) throw error;
      this.failure ??= error;
      trial(null, (error as Error).message);
    } finally {
      this.running = null;
    }
  }

  private result(): StartedEngine {
    if (!this.fastest)
      throw this.failure ?? new DetectorError('engine-unavailable', 'No engine can run this model in this browser.', 'Try another browser.');
    const { engine, process, milliseconds } = this.fastest;
    const timed = this.trials.filter((trial) => trial.milliseconds !== null).length;
    const rank = this.remaining.length
      ? 'the first that works, while the others are timed'
      : timed > 1
        ? `the fastest of ${timed}`
        : 'the only one that works in this browser';
    const reason = `${engine.label}: ${rank}, ${milliseconds.toFixed(1)} ms per image.`;
    return { process, choice: { engine: engine.id, reason, trials: [...this.trials] } };
  }
}

/** The requirement of the engine that this browser does not meet, as far as known without starting it; null if none. */
function missingRequirement(engine: Engine): string | null {
  if (engine.isolated && !globalThis.crossOriginIsolated) return 'threads need the headers COOP and COEP';
  if (engine.isolated && (navigator.hardwareConcurrency || 1) < 2) return 'this machine has only one core';
  if (engine.device === 'webgpu' && !navigator.gpu) return 'this browser does not support WebGPU';
  return null;
}

/** Why the engine's GPU is not timed, or null: a GPU emulated on the CPU takes seconds per run and is never the fastest. */
async function gpuUnavailableReason(engine: Engine): Promise<string | null> {
  if (engine.device === 'webgpu') {
    const adapter = await navigator.gpu.requestAdapter().catch(() => null);
    if (!adapter) return 'WebGPU found no GPU';
    const { vendor, architecture, isFallbackAdapter } = adapter.info;
    return isFallbackAdapter || isSoftware(`${vendor} ${architecture}`) ? 'the GPU is emulated' : null;
  }
  if (engine.device === 'webgl') {
    const context = new OffscreenCanvas(1, 1).getContext('webgl2');
    if (!context) return 'this browser does not support WebGL 2';
    const names = context.getExtension('WEBGL_debug_renderer_info');
    const renderer = String(context.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : context.RENDERER));
    context.getExtension('WEBGL_lose_context')?.loseContext();
    return isSoftware(renderer) ? 'the GPU is emulated' : null;
  }
  return null;
}

function isSoftware(renderer: string): boolean {
  return /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i.test(renderer);
}

function chooseOneOf(start: WorkerOptions): string {
  return `Choose one of ${ENGINES.filter(({ kind }) => kind === start.model.kind)
    .map(({ id }) => id)
    .join(', ')}.`;
}
