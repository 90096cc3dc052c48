/** Runs detection on the displayed image when something changes, and on frames of the camera or of a video. */

import { type Detector, DetectorError } from '../detector';
import { latest } from './latest';
import { describeError } from './messages';
import type { Session } from './session';
import { fullResolution, type SourceImage, type State, thresholds } from './state';
import type { Store } from './store';

/** Connects the state to the detector: requests detections, and sends their results to the store. */
export class DetectionLoop {
  /** Run detection on the displayed image. Requests made while it runs are merged into one. */
  readonly request = latest(() => this.detectDisplayed());

  /** The detector that has already processed an image. */
  private warmedUp: Detector | null = null;

  constructor(
    private readonly store: Store,
    private readonly session: Session,
  ) {
    store.listen((state, before) => this.update(state, before));
  }

  /**
   * Run detection on a frame, then display the frame together with its boxes.
   *
   * @param isWanted - false if the source was closed in the meantime: the frame is then dropped.
   * @throws DetectorError
   */
  async detectFrame(image: SourceImage, isWanted: () => boolean): Promise<void> {
    const { detector } = this.session;
    let result = null;
    try {
      result = (await detector?.detect(fullResolution(image), thresholds(this.store.state))) ?? null;
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

  private async detectDisplayed(): Promise<void> {
    const { image } = this.store.state;
    const { detector } = this.session;
    if (!image || !detector) return;
    const isCurrent = () => image === this.store.state.image && detector === this.session.detector;
    try {
      const result = await detector.detect(fullResolution(image), thresholds(this.store.state));
      if (!isCurrent()) return;
      this.store.send({ type: 'detected', result });
      // The first image is slow because caches are cold; it is run twice, so that the displayed times are typical.
      if (detector !== this.warmedUp) this.request();
      this.warmedUp = detector;
    } catch (error) {
      if (isCurrent()) this.fail(error);
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
