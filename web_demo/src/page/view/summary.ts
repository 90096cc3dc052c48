/** Shows the number of objects or the most probable class, announces it to screen readers, and exposes it to tests as data attributes. */

import { plural, summarize, summarizeClasses } from '../format';
import { throttle } from '../latest';
import { isLive, type State, taskOf, topClasses, visibleDetections } from '../state';
import type { Store } from '../store';
import { TASK_PAGES } from '../tasks';
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
    const isClassified = state.result !== null && 'classes' in state.result;
    const best = topClasses(state)[0]?.label ?? '';
    dataset.detections = state.result && !isClassified ? String(visible.length) : '';
    dataset.top = best;
    if (!state.result) return setText(count, reasonToWait(state));
    setText(count, isClassified ? best : plural(visible.length, 'object'));
    announce(describeResult(state));
  });
}

/** Why a result is missing. */
export function reasonToWait(state: State): string {
  if (state.phase === 'error') return 'No model';
  if (state.failed) return 'No result';
  return state.phase === 'ready' && !state.image ? 'No image' : TASK_PAGES[taskOf(state)].waiting;
}

/** The result in one line. */
export function describeResult(state: Pick<State, 'result' | 'hiddenClasses'>): string {
  return state.result && 'classes' in state.result ? summarizeClasses(state.result.classes) : summarize(visibleDetections(state));
}
