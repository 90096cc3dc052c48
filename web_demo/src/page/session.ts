/** Loads models, and keeps the current one running until its replacement has started. */

import { createModel, DetectorError, type EngineId, ENGINES, type Model, type ModelInput, type ModelKind } from '../detector';
import { describeError, NO_MODEL_RUNNING } from './messages';
import type { Store } from './store';

/** A model that can be loaded. */
export interface ModelSource {
  readonly input: ModelInput;
  /** Name shown to the user. */
  readonly name: string;
  readonly kind: ModelKind;
}

/** The model that is part of the page. */
export const DEFAULT_MODEL: ModelSource = { input: 'models/default.tflite', name: 'default.tflite', kind: 'tflite' };

export class Session {
  /** Null until a model has started. */
  model: Model | null = null;
  /** Source of `model`, or of the model that should run. */
  source: ModelSource = DEFAULT_MODEL;
  private requestId = 0; // number of the newest load; results of older ones are dropped

  constructor(private readonly store: Store) {}

  /** Load a model. If that fails, the current one stays in use. */
  async load(source: ModelSource, engine: EngineId | 'auto', retime = false): Promise<void> {
    const requestId = ++this.requestId;
    const { store } = this;
    const before = store.state.engine;
    store.send({ type: 'load', engine });
    try {
      const model: Model = await createModel({
        model: source.input,
        engine,
        retime,
        onProgress: (progress) => {
          if (requestId === this.requestId) store.send({ type: 'progress', progress });
        },
        onEngineChange: (choice) => {
          if (model === this.model) store.send({ type: 'engine-changed', choice });
        },
      });
      // Another model was requested in the meantime.
      if (requestId !== this.requestId) return model.dispose();
      this.model?.dispose();
      this.model = model;
      this.source = source;
      const loaded = { contract: model.contract, bytes: model.modelBytes, file: source.name };
      store.send({ type: 'loaded', model: loaded, choice: model.choice });
      void model.settled.then(() => {
        if (model === this.model) store.send({ type: 'engine-settled', choice: model.choice });
      });
    } catch (error) {
      if (requestId === this.requestId) await this.fallBack(source, engine, before, error);
    }
  }

  /** Load a model of the user, with the selected engine if it supports the model's format. */
  replace(source: ModelSource): Promise<void> {
    return this.load(source, compatibleEngine(this.store.state.engine, source));
  }

  restart(engine: EngineId | 'auto', retime = false): Promise<void> {
    return this.load(this.source, engine, retime);
  }

  /** Unload the model after its engine failed, and show the error. */
  unload(error: unknown): void {
    this.model?.dispose();
    this.model = null;
    this.store.send({ type: 'engine-lost', text: `${describeError(error)} ${NO_MODEL_RUNNING}` });
  }

  /** After a failed load: keep the running model; else try the `auto` engine, then the default model; else report the error. */
  private async fallBack(source: ModelSource, engine: EngineId | 'auto', before: EngineId | 'auto', error: unknown) {
    const { store } = this;
    const text = describeError(error);
    const running = this.model !== null;
    const isEngineError = error instanceof DetectorError && error.code.startsWith('engine-');
    if (!running && isEngineError && engine !== 'auto') {
      store.send({ type: 'alert', text: `${text} The fastest engine is used instead.` });
      await this.load(source, 'auto');
    } else if (!running && source !== DEFAULT_MODEL && !store.state.model) {
      store.send({ type: 'alert', text: `${text} The default model is used instead.` });
      await this.load(DEFAULT_MODEL, compatibleEngine(engine, DEFAULT_MODEL));
    } else store.send({ type: 'not-loaded', engine: before, running, text: running ? text : `${text} ${NO_MODEL_RUNNING}` });
  }
}

/** The engine if it supports the model's format, otherwise `auto`. */
function compatibleEngine(engine: EngineId | 'auto', { kind }: ModelSource): EngineId | 'auto' {
  return ENGINES.some(({ id, kind: supported }) => id === engine && supported === kind) ? engine : 'auto';
}
