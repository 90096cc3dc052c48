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

/**
 * Time the engines of this browser, and keep the quickest.
 *
 * @param without engines that failed before.
 * @param onTrial is told how many are done, of how many.
 * @throws DetectorError of the first engine that failed, where none runs.
 */
export async function chooseEngine(
  start: Start,
  without: ReadonlySet<EngineId> = new Set(),
  onTrial: (done: number, total: number) => void = () => {},
): Promise<Chosen> {
  const trials: EngineTrial[] = [];
  const own = ENGINES.filter((engine) => engine.kind === start.model.kind && !without.has(engine.id));
  let best: { process: EngineProcess; engine: Engine; milliseconds: number } | null = null;
  let failure: unknown = null;
  for (const [done, engine] of own.entries()) {
    onTrial(done, own.length);
    const skip = engine.lastResort && best ? 'left for browsers without another' : (lacking(engine) ?? (await emulated(engine)));
    if (skip) {
      trials.push({ engine: engine.id, milliseconds: null, reason: skip });
      continue;
    }
    let process: EngineProcess | null = null;
    try {
      process = await EngineProcess.start({ ...start, engine: engine.id });
      const milliseconds = await process.ask('time', { runs: RUNS, mostMs: MOST_MS });
      trials.push({ engine: engine.id, milliseconds, reason: null });
      if (best && best.milliseconds <= milliseconds) process.end();
      else {
        best?.process.end();
        best = { process, engine, milliseconds };
      }
    } catch (error) {
      process?.end();
      // A broken file is broken on every engine.
      if (error instanceof DetectorError && error.code.startsWith('model-')) throw error;
      failure ??= error;
      trials.push({ engine: engine.id, milliseconds: null, reason: (error as Error).message });
    }
  }
  onTrial(own.length, own.length);
  if (!best) throw failure ?? new DetectorError('engine-unavailable', 'No engine runs this model here.', 'Try another browser.');
  const timed = trials.filter((trial) => trial.milliseconds !== null).length;
  const measured = `${best.milliseconds.toFixed(1)} ms an image`;
  const why =
    timed > 1
      ? `${best.engine.label}: the quickest of ${timed}, ${measured}.`
      : `${best.engine.label}: the only one that runs here, ${measured}.`;
  return { process: best.process, choice: { engine: best.engine.id, why, trials } };
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
