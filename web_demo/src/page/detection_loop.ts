/** Runs the model on the displayed image when something changes, and on frames of the camera or of a video. */

import { DetectorError, type Model } from '../detector';
import { latest } from './latest';
import { describeError } from './messages';
import type { Session } from './session';
import { fullResolution, type SourceImage, type State, thresholds } from './state';
import type { Store } from './store';

/** Connects the state to the model: requests results, and sends them to the store. */
export class DetectionLoop {
  /** Run the model on the displayed image. Requests made while it runs are merged into one. */
  readonly request = latest(() => this.runOnDisplayed());

  /** The model that has already processed an image. */
  private warmedUp: Model | null = null;

  constructor(
    private readonly store: Store,
    private readonly session: Session,
  ) {
    store.listen((state, before) => this.update(state, before));
  }

  /**
   * Run the model on a frame, then display the frame together with its result.
   *
   * @param isWanted - false if the source was closed in the meantime: the frame is then dropped.
   * @throws DetectorError
   */
  async detectFrame(image: SourceImage, isWanted: () => boolean): Promise<void> {
    const { model } = this.session;
    let result = null;
    try {
      result = (await model?.run(fullResolution(image), thresholds(this.store.state))) ?? null;
    } catch (error) {
      image.bitmap.close();
      // Another model was loaded in the meantime; it gets the next frame.
      if (isDisposed(error)) return;
      throw error;
    }
    if (isWanted()) this.store.send({ type: 'frame', image, result, time: performance.now() });
    else image.bitmap.close();
  }

  /** Show an error; if the engine failed for good, unload the model. */
  fail(error: unknown): void {
    if (isDisposed(error)) return;
    if (error instanceof DetectorError && error.code.startsWith('engine-')) this.session.unload(error);
    else this.store.send({ type: 'alert', text: describeError(error) });
  }

  private async runOnDisplayed(): Promise<void> {
    const { image } = this.store.state;
    const { model } = this.session;
    if (!image || !model) return;
    const isCurrent = () => image === this.store.state.image && model === this.session.model;
    try {
      const result = await model.run(fullResolution(image), thresholds(this.store.state));
      if (!isCurrent()) return;
      this.store.send({ type: 'result', result });
      // The first image is slow because caches are cold; it is run twice, so that the displayed times are typical.
      if (model !== this.warmedUp) this.request();
      this.warmedUp = model;
    } catch (error) {
      if (!isCurrent()) return;
      this.store.send({ type: 'failed' });
      this.fail(error);
    }
  }

  private update(state: State, before: State): void {
    const playing = state.source && state.source.kind !== 'still' && !state.source.paused;
    if (playing || !state.image) return;
    const [now, previous] = [thresholds(state), thresholds(before)];
    const thresholdsChanged = now.confidence !== previous.confidence || now.iou !== previous.iou;
    const isPending = !state.result && (state.image !== before.image || state.model !== before.model);
    if (thresholdsChanged || isPending) this.request();
  }
}

function isDisposed(error: unknown): boolean {
  return error instanceof DetectorError && error.code === 'disposed';
}
