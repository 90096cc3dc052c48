/** The model that runs, and the one that is to take its place. */

import { createDetector, type Detector, DetectorError, type EngineId, findKind, type ModelInput } from './library';
import { describeError, START_FAILED } from './sentences';
import type { Store } from './store';

/** A model and where it came from. */
export interface ModelSource {
  readonly input: ModelInput;
  /** Shown. */
  readonly name: string;
  readonly kind: 'tflite' | 'tfjs';
}

export class Session {
  /** Null until a model has started. */
  detector: Detector | null = null;
  /** What `detector` came from. */
  source: ModelSource | null = null;
  private turn = 0;

  constructor(private readonly store: Store) {}

  /** Start a model; if it fails, the one before goes on. */
  async load(source: ModelSource, engine: EngineId | 'auto', retime = false): Promise<void> {
    const turn = ++this.turn;
    const { store } = this;
    const before = store.state.engine;
    store.send({ type: 'load', engine });
    try {
      const detector = await createDetector({
        model: source.input,
        engine,
        retime,
        onProgress: (progress) => turn === this.turn && store.send({ type: 'progress', progress }),
        onEngineChange: (choice) => detector === this.detector && store.send({ type: 'engine-changed', choice }),
      });
      // Another one was asked for meanwhile.
      if (turn !== this.turn) return detector.dispose();
      this.detector?.dispose();
      [this.detector, this.source] = [detector, source];
      const model = { contract: detector.contract, bytes: detector.modelBytes, file: source.name };
      store.send({ type: 'loaded', model, choice: detector.choice });
    } catch (error) {
      if (turn !== this.turn) return;
      const text = describeError(error);
      const unfit = error instanceof DetectorError && error.code.startsWith('engine-') && engine !== 'auto';
      if (unfit && !this.detector) {
        // An engine from the address that this browser lacks: the page starts all the same.
        store.send({ type: 'alert', text: `${text} The quickest one is taken instead.` });
        return this.load(source, 'auto');
      }
      const running = this.detector !== null;
      store.send({ type: 'not-loaded', engine: before, running, text: running ? text : `${text} ${START_FAILED}` });
    }
  }

  /** A model of the user's: with the engine of before, if it is one for such files. */
  replace(source: ModelSource): Promise<void> {
    const { engine } = this.store.state;
    return this.load(source, engine !== 'auto' && findKind(engine) === source.kind ? engine : 'auto');
  }

  async restart(engine: EngineId | 'auto', retime = false): Promise<void> {
    if (this.source) await this.load(this.source, engine, retime);
  }

  /** The detector cannot go on. */
  lose(error: unknown): void {
    this.detector?.dispose();
    this.detector = null;
    this.store.send({ type: 'engine-lost', text: describeError(error) });
  }
}
