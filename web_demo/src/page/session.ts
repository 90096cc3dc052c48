/** The model that runs, and the one that is to take its place. */

import { createDetector, type Detector, DetectorError, type EngineId, ENGINES, type ModelInput, type ModelKind } from '../detector';
import { describeError, START_FAILED } from './sentences';
import type { Store } from './store';

/** A model and where it came from. */
export interface ModelSource {
  readonly input: ModelInput;
  /** Shown. */
  readonly name: string;
  readonly kind: ModelKind;
}

/** The model that the page brings along. */
export const OWN_MODEL: ModelSource = { input: 'models/default.tflite', name: 'default.tflite', kind: 'tflite' };

export class Session {
  /** Null until a model has started. */
  detector: Detector | null = null;
  /** What `detector` came from, or should have. */
  source: ModelSource = OWN_MODEL;
  private turn = 0;

  constructor(private readonly store: Store) {}

  /** Start a model; if it fails, the one before goes on. */
  async load(source: ModelSource, engine: EngineId | 'auto', retime = false): Promise<void> {
    const turn = ++this.turn;
    const { store } = this;
    const before = store.state.engine;
    store.send({ type: 'load', engine });
    try {
      const detector: Detector = await createDetector({
        model: source.input,
        engine,
        retime,
        onProgress: (progress) => {
          if (turn === this.turn) store.send({ type: 'progress', progress });
        },
        onEngineChange: (choice) => {
          if (detector === this.detector) store.send({ type: 'engine-changed', choice });
        },
      });
      // Another one was asked for meanwhile.
      if (turn !== this.turn) return detector.dispose();
      this.detector?.dispose();
      this.detector = detector;
      this.source = source;
      const model = { contract: detector.contract, bytes: detector.modelBytes, file: source.name };
      store.send({ type: 'loaded', model, choice: detector.choice });
      void detector.settled.then(() => {
        if (detector === this.detector) store.send({ type: 'engine-settled', choice: detector.choice });
      });
    } catch (error) {
      if (turn === this.turn) await this.goOn(source, engine, before, error);
    }
  }

  /** A model of the user's: with the engine of before, if it is one for such files. */
  replace(source: ModelSource): Promise<void> {
    return this.load(source, fitting(this.store.state.engine, source));
  }

  restart(engine: EngineId | 'auto', retime = false): Promise<void> {
    return this.load(this.source, engine, retime);
  }

  /** The detector cannot go on. */
  lose(error: unknown): void {
    this.detector?.dispose();
    this.detector = null;
    this.store.send({ type: 'engine-lost', text: `${describeError(error)} ${START_FAILED}` });
  }

  /** After a failure: with the model that runs, or with what the address does not ask for, or not at all. */
  private async goOn(source: ModelSource, engine: EngineId | 'auto', before: EngineId | 'auto', error: unknown) {
    const { store } = this;
    const text = describeError(error);
    const running = this.detector !== null;
    const ofEngine = error instanceof DetectorError && error.code.startsWith('engine-');
    if (!running && ofEngine && engine !== 'auto') {
      store.send({ type: 'alert', text: `${text} The quickest one is taken instead.` });
      await this.load(source, 'auto');
    } else if (!running && source !== OWN_MODEL && !store.state.model) {
      store.send({ type: 'alert', text: `${text} The page’s own model runs meanwhile.` });
      await this.load(OWN_MODEL, fitting(engine, OWN_MODEL));
    } else store.send({ type: 'not-loaded', engine: before, running, text: running ? text : `${text} ${START_FAILED}` });
  }
}

/** The engine, if it runs such files. */
function fitting(engine: EngineId | 'auto', { kind }: ModelSource): EngineId | 'auto' {
  return ENGINES.some((one) => one.id === engine && one.kind === kind) ? engine : 'auto';
}
