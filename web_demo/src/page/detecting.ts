/** Detects in what is shown, and in frames as they come. */

import { type Detector, DetectorError } from '../detector';
import { latest } from './latest';
import { describeError } from './sentences';
import type { Session } from './session';
import { fullResolution, type SourceImage, type State, thresholds } from './state';
import type { Store } from './store';

export class Detecting {
  /** Detect in the image that is shown; of many requests the last one counts. */
  readonly request = latest(() => this.detectShown());

  private warm: Detector | null = null;

  constructor(
    private readonly store: Store,
    private readonly session: Session,
  ) {
    store.listen((state, before) => this.update(state, before));
  }

  /**
   * Detect in a frame, then show it with its boxes.
   *
   * @throws DetectorError
   */
  async detectFrame(image: SourceImage, wanted: () => boolean): Promise<void> {
    const { detector } = this.session;
    let result = null;
    try {
      result = (await detector?.detect(fullResolution(image), thresholds(this.store.state))) ?? null;
    } catch (error) {
      image.shown.close();
      // Another model has taken over: the next frame is for it.
      if (isDisposed(error)) return;
      throw error;
    }
    if (wanted()) this.store.send({ type: 'frame', image, result, time: performance.now() });
    else image.shown.close();
  }

  /** Tell of a failure; an engine that stopped for good is let go. */
  fail(error: unknown): void {
    if (isDisposed(error)) return;
    if (error instanceof DetectorError && error.code.startsWith('engine-')) this.session.lose(error);
    else this.store.send({ type: 'alert', text: describeError(error) });
  }

  private async detectShown(): Promise<void> {
    const { image } = this.store.state;
    const { detector } = this.session;
    if (!image || !detector) return;
    const isCurrent = () => image === this.store.state.image && detector === this.session.detector;
    try {
      const result = await detector.detect(fullResolution(image), thresholds(this.store.state));
      if (!isCurrent()) return;
      this.store.send({ type: 'detected', result });
      // Caches are cold for the first image: its times would tell of that, so it is done once more.
      if (detector !== this.warm) this.request();
      this.warm = detector;
    } catch (error) {
      if (isCurrent()) this.fail(error);
    }
  }

  private update(state: State, before: State): void {
    const playing = state.source && state.source.kind !== 'still' && !state.source.paused;
    if (playing || !state.image) return;
    const [now, then] = [thresholds(state), thresholds(before)];
    const moved = now.confidence !== then.confidence || now.iou !== then.iou;
    const undone = !state.result && (state.image !== before.image || state.model !== before.model);
    if (moved || undone) this.request();
  }
}

function isDisposed(error: unknown): boolean {
  return error instanceof DetectorError && error.code === 'disposed';
}
