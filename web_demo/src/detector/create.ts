/** `createDetector`, `createClassifier` and `createModel`: load a model, select an engine and run both in a worker. */

import { type StartedEngine, EngineBenchmark, startEngine } from './engines/select';
import { engineKey, recallEngine, rememberEngine } from './engines/remembered';
import type { Task } from './contract';
import type { EngineProcess } from './engines/process';
import { findEngine, type EngineId } from './engines/table';
import { DetectorError } from './errors';
import { type LoadedModel, loadModel } from './model_input';
import { toFrame } from './source';
import type {
  ClassificationResult,
  Classifier,
  ClassifyOptions,
  DetectionResult,
  Detector,
  DetectOptions,
  EngineChoice,
  MemoryUse,
  Model,
  ModelOptions,
  Result,
  Source,
} from './types';

/** Which function loads models of which tasks. */
const KINDS = {
  detector: { tasks: ['detect', 'segment'], create: 'createDetector' },
  classifier: { tasks: ['classify'], create: 'createClassifier' },
} as const satisfies Record<string, { tasks: readonly Task[]; create: string }>;

/**
 * Load a detector or segmentation model and start it in a Web Worker, so that inference never blocks the page.
 *
 * @param options - the model, the engine (default `auto`) and callbacks.
 * @returns a detector that is ready to use; call `dispose()` to free the worker and its memory.
 * @throws DetectorError whose `message` and `fix` can be shown to the user.
 * @example
 * const detector = await createDetector({ model: 'cells.tflite', engine: 'auto' });
 * const { detections, timing } = await detector.detect(image, { confidence: 0.4 });
 * detector.dispose();
 */
export function createDetector(options: ModelOptions): Promise<Detector> {
  return start(options, 'detector');
}

/**
 * Load a classifier and start it in a Web Worker, so that inference never blocks the page.
 *
 * @param options - the model, the engine (default `auto`) and callbacks.
 * @returns a classifier that is ready to use; call `dispose()` to free the worker and its memory.
 * @throws DetectorError whose `message` and `fix` can be shown to the user.
 * @example
 * const classifier = await createClassifier({ model: 'flowers.tflite' });
 * const { classes } = await classifier.classify(image, { top: 3 });
 * console.log(classes[0].label, classes[0].probability);
 */
export function createClassifier(options: ModelOptions): Promise<Classifier> {
  return start(options, 'classifier');
}

/**
 * Load a model of any task, for an application that lets its user choose the model.
 *
 * @returns a model whose `run()` returns `detections` or `classes`, by `contract.task`.
 * @throws DetectorError whose `message` and `fix` can be shown to the user.
 * @example
 * const model = await createModel({ model: file });
 * const result = await model.run(image);
 * console.log('classes' in result ? result.classes : result.detections);
 */
export function createModel(options: ModelOptions): Promise<Model> {
  return start(options, null);
}

async function start(options: ModelOptions, kind: keyof typeof KINDS | null): Promise<WorkerModel> {
  const report = (stage: 'download' | 'choose' | 'start') => (done: number, total: number) =>
    options.onProgress?.({ stage, done, total });
  const loaded = await loadModel(options.model, report('download'));
  if (kind) checkTask(loaded.contract.task, kind);
  const folder = new URL(options.wasmFolder ?? '.', document.baseURI).href;
  const setup = { model: loaded.model, contract: loaded.contract, wasmFolder: folder.replace(/\/?$/, '/') };
  const requested = options.engine ?? 'auto';
  if (requested !== 'auto') {
    report('start')(0, 1);
    return new WorkerModel(loaded, setup, await startEngine(requested, setup), null, options);
  }
  const key = await engineKey(loaded.model, loaded.contract);
  const remembered = options.retime ? null : recallEngine(key);
  if (remembered) {
    report('start')(0, 1);
    try {
      const { process, choice } = await startEngine(remembered.engine, setup);
      const reason = `${findEngine(remembered.engine)!.label}: the fastest in an earlier visit, ${remembered.milliseconds.toFixed(1)} ms per image.`;
      return new WorkerModel(loaded, setup, { process, choice: { ...choice, reason } }, key, options);
    } catch (error) {
      if (error instanceof DetectorError && error.code.startsWith('model-')) throw error;
      rememberEngine(key, null); // the engine no longer starts: a driver or a header has changed
    }
  }
  let waiting = true; // false once the first engine runs: the others are timed in the background, without progress
  const onTrial = (done: number, total: number) => waiting && report('choose')(done, total);
  const benchmark = new EngineBenchmark(setup, new Set(), onTrial);
  const model = new WorkerModel(loaded, setup, await benchmark.startFirst(), key, options);
  waiting = false;
  model.switchAfter(benchmark);
  return model;
}

function checkTask(task: Task, kind: keyof typeof KINDS): void {
  const { tasks, create } = KINDS[kind];
  if ((tasks as readonly Task[]).includes(task)) return;
  const other = Object.values(KINDS).find((candidate) => (candidate.tasks as readonly Task[]).includes(task))!.create;
  throw new DetectorError(
    'model-task',
    `The task of this model is \`${task}\`; ${create} needs ${tasks.map((name) => `\`${name}\``).join(' or ')}.`,
    `Load it with ${other}.`,
  );
}

/** Delay before the other engines are timed: the first image, for which the user waits, is probably done by then. */
const FIRST_IMAGE_MS = 1000;

class WorkerModel implements Detector, Classifier {
  choice: EngineChoice;
  readonly contract;
  readonly modelBytes;
  settled: Promise<void> = Promise.resolve();
  /** Times the engines, at the start or after the engine stopped; null if none is timed. */
  private benchmark: EngineBenchmark | null = null;
  private process: EngineProcess;
  private disposed = false;
  private readonly failedEngines = new Set<EngineId>();
  private recovery: Promise<void> | null = null;

  constructor(
    loaded: LoadedModel,
    private readonly setup: ConstructorParameters<typeof EngineBenchmark>[0],
    started: StartedEngine,
    private readonly key: string | null,
    private readonly options: ModelOptions,
  ) {
    this.contract = loaded.contract;
    this.modelBytes = loaded.bytes;
    this.process = started.process;
    this.choice = started.choice;
  }

  /** Switch to the fastest engine once the benchmark has timed all of them. */
  switchAfter(benchmark: EngineBenchmark): void {
    this.benchmark = benchmark;
    const later = new Promise<void>((resolve) => setTimeout(resolve, FIRST_IMAGE_MS));
    this.settled = later.then(() => benchmark.startFastest()).then((fastest) => {
      if (benchmark !== this.benchmark) return;
      this.benchmark = null;
      if (fastest.process !== this.process) this.process.retire();
      this.process = fastest.process;
      this.choice = fastest.choice;
      const trial = this.choice.trials.find(({ engine }) => engine === this.choice.engine);
      if (this.key) rememberEngine(this.key, { engine: this.choice.engine, milliseconds: trial?.milliseconds ?? 0 });
    });
  }

  detect(source: Source, options: DetectOptions = {}): Promise<DetectionResult> {
    return this.run(source, options) as Promise<DetectionResult>;
  }

  classify(source: Source, options: ClassifyOptions = {}): Promise<ClassificationResult> {
    return this.run(source, options) as Promise<ClassificationResult>;
  }

  async run(source: Source, options: DetectOptions & ClassifyOptions = {}): Promise<Result> {
    this.throwIfDisposed();
    for (;;) {
      const { frame, transfer } = await toFrame(source);
      const { process } = this;
      try {
        return await process.request('run', { frame, options }, transfer);
      } catch (error) {
        if (this.disposed || !(error instanceof DetectorError) || error.code !== 'engine-failed') throw error;
        // All pending calls share one recovery, then each of them tries again.
        if (process === this.process) this.recovery ??= this.recover(error).finally(() => (this.recovery = null));
        await this.recovery;
      }
    }
  }

  memory(): Promise<MemoryUse> {
    this.throwIfDisposed();
    return this.process.request('memory', null);
  }

  dispose(): void {
    this.disposed = true;
    this.stopBenchmark();
    this.process.end();
  }

  private stopBenchmark(): void {
    this.benchmark?.stop();
    this.benchmark = null;
  }

  /** Replace an engine that stopped (the GPU was lost, or the browser ended the worker) by the fastest of the others. */
  private async recover(error: DetectorError): Promise<void> {
    const stopped = this.choice.engine;
    this.failedEngines.add(stopped);
    this.stopBenchmark();
    this.process.end(error); // pending calls wait for the replacement
    if (this.key) rememberEngine(this.key, null);
    const benchmark = (this.benchmark = new EngineBenchmark(this.setup, this.failedEngines));
    let replacement: StartedEngine;
    try {
      replacement = await benchmark.startFastest();
    } catch {
      this.throwIfDisposed();
      throw error;
    } finally {
      this.benchmark = null;
    }
    if (this.disposed) replacement.process.end();
    this.throwIfDisposed();
    this.process = replacement.process;
    this.choice = { ...replacement.choice, reason: `${findEngine(stopped)!.label} stopped. ${replacement.choice.reason}` };
    this.options.onEngineChange?.(this.choice);
  }

  private throwIfDisposed(): void {
    if (this.disposed) throw new DetectorError('disposed', 'This model has been disposed.');
  }
}
