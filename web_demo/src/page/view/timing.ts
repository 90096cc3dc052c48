/** Shows the time per step as a stacked bar with numbers, and the frame rate of camera and video. */

import { formatMilliseconds } from '../format';
import { framesPerSecond, isLive } from '../state';
import type { Store } from '../store';
import { byId, make, setText } from './dom';

const PARTS = [
  ['preprocess', 'Preprocess'],
  ['inference', 'Inference'],
  ['postprocess', 'Postprocess'],
  ['draw', 'Draw'],
] as const;
type Times = Record<(typeof PARTS)[number][0], number>;

/** Weight of a new frame in the exponential moving average, which keeps the numbers readable. */
const SMOOTHING = 0.15;
const UPDATE_MS = 250;

export function showTiming(store: Store, drawMilliseconds: () => number): void {
  const [bar, legend, total, rate] = [byId('timing-bar'), byId('timing-legend'), byId('timing-total'), byId('fps')];
  const parts = PARTS.map(([name, label]) => {
    const segment = make('span');
    const value = make('dd', {}, '–');
    segment.dataset.part = name;
    const mark = make('span', { className: 'mark' });
    mark.dataset.part = name;
    bar.append(segment);
    legend.append(make('div', {}, make('dt', {}, mark, label), value));
    return { name, segment, value };
  });
  let shown: Times | null = null;
  let last = 0;

  store.listen((state, before) => {
    if (state.source !== before.source || state.choice !== before.choice) shown = null;
    const live = isLive(state);
    rate.hidden = !live;
    if (!state.result || state.result === before.result) return;
    shown = smooth(live ? shown : null, { ...state.result.timing, draw: drawMilliseconds() });
    const now = performance.now();
    if (live && now - last < UPDATE_MS) return;
    last = now;
    const sum = PARTS.reduce((all, [name]) => all + shown![name], 0);
    for (const { name, segment, value } of parts) {
      segment.style.flexGrow = String(sum ? shown[name] / sum : 0);
      setText(value, formatMilliseconds(shown[name]));
    }
    setText(total, formatMilliseconds(sum));
    const frames = framesPerSecond(state.frameTimes);
    setText(rate, frames === null ? '– frames/s' : `${frames.toFixed(frames < 9.95 ? 1 : 0)} frames/s`);
  });
}

function smooth(old: Times | null, now: Times): Times {
  if (!old) return now;
  const entries = PARTS.map(([name]) => [name, old[name] + SMOOTHING * (now[name] - old[name])]);
  return Object.fromEntries(entries) as Times;
}
