/** createDetector: model, engine and worker together. */

import { type Chosen, EngineContest, startEngine } from './engines/choose';
import { modelKey, recall, remember } from './engines/memory';
import type { EngineProcess } from './engines/process';
import { findEngine, type EngineId } from './engines/table';
import { DetectorError } from './errors';
import { type LoadedModel, loadModel } from './model_input';
import { toFrame } from './source';
import type { DetectionResult, Detector, DetectorOptions, DetectOptions, EngineChoice, MemoryUse, Source } from './types';

/**
 * Load a model and start it in a worker.
 *
 * @throws DetectorError whose `message` and `fix` can be shown.
 * @example
 * const detector = await createDetector({ model: 'cells.tflite', engine: 'auto' });
 * const { detections, timing } = await detector.detect(image, { confidence: 0.4 });
 * detector.dispose();
 */
export async function createDetector(options: DetectorOptions): Promise<Detector> {
  const tell = (stage: 'download' | 'choose' | 'start') => (done: number, total: number) =>
    options.onProgress?.({ stage, done, total });
  const loaded = await loadModel(options.model, tell('download'));
  const folder = new URL(options.wasmFolder ?? '.', document.baseURI).href;
  const start = { model: loaded.model, contract: loaded.contract, wasmFolder: folder.replace(/\/?$/, '/') };
  const asked = options.engine ?? 'auto';
  if (asked !== 'auto') {
    tell('start')(0, 1);
    return new WorkerDetector(loaded, start, await startEngine(asked, start), null, options);
  }
  const key = await modelKey(loaded.model, loaded.contract);
  const known = options.retime ? null : recall(key);
  if (known) {
    tell('start')(0, 1);
    try {
      const { process, choice } = await startEngine(known.engine, start);
      const why = `${findEngine(known.engine)!.label}: was the quickest here before, ${known.milliseconds.toFixed(1)} ms an image.`;
      return new WorkerDetector(loaded, start, { process, choice: { ...choice, why } }, key, options);
    } catch (error) {
      if (error instanceof DetectorError && error.code.startsWith('model-')) throw error;
      remember(key, null); // what ran before does not now: a driver changed, or a header
    }
  }
  let waiting = true; // the other engines are timed behind the scenes
  const onTrial = (done: number, total: number) => waiting && tell('choose')(done, total);
  const contest = new EngineContest(start, new Set(), onTrial);
  const detector = new WorkerDetector(loaded, start, await contest.first(), key, options);
  waiting = false;
  detector.settle(contest);
  return detector;
}

/** The other engines are timed when the first image, which somebody waits for, is likely done. */
const FIRST_IMAGE_MS = 1000;

class WorkerDetector implements Detector {
  choice: EngineChoice;
  readonly contract;
  readonly modelBytes;
  settled: Promise<void> = Promise.resolve();
  private contest: EngineContest | null = null;
  private process: EngineProcess;
  private disposed = false;
  private readonly failed = new Set<EngineId>();
  private recovery: Promise<void> | null = null;

  constructor(
    loaded: LoadedModel,
    private readonly start: ConstructorParameters<typeof EngineContest>[0],
    chosen: Chosen,
    private readonly key: string | null,
    private readonly options: DetectorOptions,
  ) {
    this.contract = loaded.contract;
    this.modelBytes = loaded.bytes;
    this.process = chosen.process;
    this.choice = chosen.choice;
  }

  /** Go over to the quickest engine when all have been timed. */
  settle(contest: EngineContest): void {
    this.contest = contest;
    const later = new Promise<void>((resolve) => setTimeout(resolve, FIRST_IMAGE_MS));
    this.settled = later.then(() => contest.finish()).then((chosen) => {
      if (contest !== this.contest) return;
      this.contest = null;
      if (chosen.process !== this.process) this.process.retire();
      this.process = chosen.process;
      this.choice = chosen.choice;
      const trial = this.choice.trials.find((one) => one.engine === this.choice.engine);
      if (this.key) remember(this.key, { engine: this.choice.engine, milliseconds: trial?.milliseconds ?? 0 });
    });
  }

  async detect(source: Source, options: DetectOptions = {}): Promise<DetectionResult> {
    this.ensure();
    for (;;) {
      const { frame, transfer } = await toFrame(source);
      const { process } = this;
      try {
        return await process.ask('detect', { frame, options }, transfer);
      } catch (error) {
        if (this.disposed || !(error instanceof DetectorError) || error.code !== 'engine-failed') throw error;
        // One recovery for all calls that were under way; each then tries again.
        if (process === this.process) this.recovery ??= this.recover(error).finally(() => (this.recovery = null));
        await this.recovery;
      }
    }
  }

  memory(): Promise<MemoryUse> {
    this.ensure();
    return this.process.ask('memory', null);
  }

  dispose(): void {
    this.disposed = true;
    this.stopContest();
    this.process.end();
  }

  private stopContest(): void {
    this.contest?.stop();
    this.contest = null;
  }

  /** Another engine in place of one that stopped: a lost GPU, or a worker that the browser has ended. */
  private async recover(error: DetectorError): Promise<void> {
    const lost = this.choice.engine;
    this.failed.add(lost);
    this.stopContest();
    this.process.end();
    if (this.key) remember(this.key, null);
    let chosen: Chosen;
    try {
      chosen = await new EngineContest(this.start, this.failed).finish();
    } catch {
      throw error;
    }
    if (this.disposed) chosen.process.end();
    this.process = chosen.process;
    this.choice = { ...chosen.choice, why: `${findEngine(lost)!.label} stopped. ${chosen.choice.why}` };
    this.options.onEngineChange?.(this.choice);
  }

  private ensure(): void {
    if (this.disposed) throw new DetectorError('disposed', 'This detector was disposed of.');
  }
}
