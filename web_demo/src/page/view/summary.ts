/** How many objects there are: in large, for screen readers, and for tests. */

import { plural, summarize } from '../format';
import { throttle } from '../latest';
import { isLive, visibleDetections } from '../state';
import type { Store } from '../store';
import { byId, setText } from './dom';

/** Live images change faster than anyone can listen. */
const LIVE_MS = 3000;
const STILL_MS = 400;

export function showSummary(store: Store): void {
  const count = byId('count');
  const spoken = byId('summary');
  const say = throttle(
    (text: string) => setText(spoken, text),
    () => (isLive(store.state) ? LIVE_MS : STILL_MS),
  );
  store.listen((state, before) => {
    const { dataset } = document.documentElement;
    dataset.state = state.phase;
    dataset.engine = state.choice?.engine ?? '';
    const found = visibleDetections(state);
    if (state.frameTimes.length && state.frameTimes !== before.frameTimes)
      dataset.frames = String(Number(dataset.frames ?? 0) + 1);
    dataset.image = state.result && state.image ? state.image.name : '';
    dataset.detections = state.result ? String(found.length) : '';
    if (!state.result) return setText(count, state.phase === 'error' ? 'No model' : 'Looking…');
    setText(count, plural(found.length, 'object'));
    say(summarize(found));
  });
}
