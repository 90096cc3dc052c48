/** Which engine runs a model: the one asked for, the one remembered, or the quickest. */

import { DetectorError } from '../errors';
import type { EngineChoice, EngineTrial } from '../types';
import { EngineProcess } from './process';
import type { StartOptions } from './runner';
import { type Engine, type EngineId, ENGINES, findEngine } from './table';

export interface Chosen {
  readonly process: EngineProcess;
  readonly choice: EngineChoice;
}

type Start = Omit<StartOptions, 'engine'>;

/** How long trials of one engine may take; after its warm-up. */
const RUNS = 5;
const MOST_MS = 1000;

/** @throws DetectorError where it does not run here. */
export async function startEngine(id: EngineId, start: Start): Promise<Chosen> {
  const engine = findEngine(id);
  if (!engine) throw new DetectorError('engine-unavailable', 'There is no engine of this name.', nameThem(start));
  if (engine.kind !== start.model.kind)
    throw new DetectorError('engine-unavailable', `${engine.label} does not run this kind of file.`, nameThem(start));
  const reason = lacking(engine);
  if (reason) throw new DetectorError('engine-unavailable', `${engine.label}: ${reason}.`, 'Choose another engine.');
  const process = await EngineProcess.start({ ...start, engine: id });
  return { process, choice: { engine: id, why: `${engine.label}, as asked for.`, trials: [] } };
}

/** Times the engines of this browser, one after the other, and keeps the process of the quickest. */
export class EngineContest {
  readonly trials: EngineTrial[] = [];
  private leader: { process: EngineProcess; engine: Engine; milliseconds: number } | null = null;
  private failure: unknown = null;
  private running: EngineProcess | null = null;
  private readonly left: Engine[];
  /** In use by a detector, which ends it itself. */
  private lent: EngineProcess | null = null;

  /**
   * @param without engines that failed before.
   * @param onTrial is told how many are done, of how many.
   */
  constructor(
    private readonly start: Start,
    without: ReadonlySet<EngineId> = new Set(),
    private readonly onTrial: (done: number, total: number) => void = () => {},
  ) {
    this.left = ENGINES.filter((engine) => engine.kind === start.model.kind && !without.has(engine.id));
  }

  /**
   * Until one runs: it can be used while the others are timed.
   *
   * @throws DetectorError of the first engine that failed, where none runs.
   */
  async first(): Promise<Chosen> {
    while (this.left.length && !this.leader) await this.next();
    const chosen = this.result();
    this.lent = chosen.process;
    return chosen;
  }

  /** The quickest of all. */
  async finish(): Promise<Chosen> {
    while (this.left.length) await this.next();
    return this.result();
  }

  /** Time no more. */
  stop(): void {
    this.left.length = 0;
    for (const process of [this.running, this.leader?.process]) if (process !== this.lent) process?.end();
  }

  private async next(): Promise<void> {
    const engine = this.left.shift()!;
    this.onTrial(this.trials.length, this.trials.length + this.left.length + 1);
    const trial = (milliseconds: number | null, reason: string | null) =>
      this.trials.push({ engine: engine.id, milliseconds, reason });
    const spared = engine.lastResort && this.leader ? 'left for browsers without another' : null;
    const skip = spared ?? lacking(engine) ?? (await emulated(engine));
    if (skip) return void trial(null, skip);
    try {
      const process = (this.running = await EngineProcess.start({ ...this.start, engine: engine.id }));
      const milliseconds = await process.ask('time', { runs: RUNS, mostMs: MOST_MS });
      trial(milliseconds, null);
      const loser = this.leader && this.leader.milliseconds <= milliseconds ? process : this.leader?.process;
      if (loser !== process) this.leader = { process, engine, milliseconds };
      if (loser !== this.lent) loser?.end();
    } catch (error) {
      this.running?.end();
      // A broken file is broken on every engine.
      if (!this.leader && error instanceof DetectorError && error.code.startsWith('model-')) throw error;
      this.failure ??= error;
      trial(null, (error as Error).message);
    } finally {
      this.running = null;
    }
  }

  private result(): Chosen {
    if (!this.leader)
      throw this.failure ?? new DetectorError('engine-unavailable', 'No engine runs this model here.', 'Try another browser.');
    const { engine, process, milliseconds } = this.leader;
    const timed = this.trials.filter((trial) => trial.milliseconds !== null).length;
    const place = this.left.length
      ? 'the first that runs, while others are timed'
      : timed > 1
        ? `the quickest of ${timed}`
        : 'the only one that runs here';
    const why = `${engine.label}: ${place}, ${milliseconds.toFixed(1)} ms an image.`;
    return { process, choice: { engine: engine.id, why, trials: [...this.trials] } };
  }
}

/** What the browser lacks for it, as far as can be told without starting it. */
function lacking(engine: Engine): string | null {
  if (engine.isolated && !globalThis.crossOriginIsolated) return 'threads need the headers COOP and COEP';
  if (engine.isolated && (navigator.hardwareConcurrency || 1) < 2) return 'this machine has one core';
  if (engine.device === 'webgpu' && !navigator.gpu) return 'this browser has no WebGPU';
  return null;
}

/** Why a GPU is not worth a trial: emulated on the CPU it takes seconds, and is never the quickest. */
async function emulated(engine: Engine): Promise<string | null> {
  if (engine.device === 'webgpu') {
    const adapter = await navigator.gpu.requestAdapter().catch(() => null);
    if (!adapter) return 'WebGPU finds no GPU';
    const { vendor, architecture, isFallbackAdapter } = adapter.info;
    return isFallbackAdapter || isSoftware(`${vendor} ${architecture}`) ? 'the GPU is emulated' : null;
  }
  if (engine.device === 'webgl') {
    const context = new OffscreenCanvas(1, 1).getContext('webgl2');
    if (!context) return 'this browser has no WebGL 2';
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

function nameThem(start: Start): string {
  return `Choose one of ${ENGINES.filter((one) => one.kind === start.model.kind)
    .map((one) => one.id)
    .join(', ')}.`;
}
