/** Shows the number of objects, announces it to screen readers, and exposes it to tests as data attributes. */

import { plural, summarize } from '../format';
import { throttle } from '../latest';
import { isLive, visibleDetections } from '../state';
import type { Store } from '../store';
import { byId, setText } from './dom';

/** Minimum time between announcements: frames of a camera or video change faster than a screen reader can speak. */
const LIVE_MS = 3000;
const STILL_MS = 400;

export function showSummary(store: Store): void {
  const count = byId('count');
  const announcement = byId('summary');
  const announce = throttle(
    (text: string) => setText(announcement, text),
    () => (isLive(store.state) ? LIVE_MS : STILL_MS),
  );
  store.listen((state, before) => {
    const { dataset } = document.documentElement;
    dataset.state = state.phase;
    dataset.engine = state.choice?.engine ?? '';
    const visible = visibleDetections(state);
    if (state.frameTimes.length && state.frameTimes !== before.frameTimes)
      dataset.frames = String(Number(dataset.frames ?? 0) + 1);
    dataset.image = state.result && state.image ? state.image.name : '';
    dataset.detections = state.result ? String(visible.length) : '';
    if (!state.result) return setText(count, state.phase === 'error' ? 'No model' : 'Detecting…');
    setText(count, plural(visible.length, 'object'));
    announce(summarize(visible));
  });
}
