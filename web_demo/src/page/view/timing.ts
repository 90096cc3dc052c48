/** Where the time goes: a stacked bar with numbers, and the rate of live images. */

import { formatMilliseconds } from '../format';
import { framesPerSecond, isLive } from '../state';
import type { Store } from '../store';
import { byId, make, setText } from './dom';

const PARTS = [
  ['preprocess', 'Preprocess'],
  ['inference', 'Inference'],
  ['postprocess', 'Suppression'],
  ['draw', 'Draw'],
] as const;
type Times = Record<(typeof PARTS)[number][0], number>;

/** Share of a new frame in the numbers, which nobody could read if they jumped. */
const SHARE = 0.15;
const EVERY_MS = 250;

export function showTiming(store: Store, drawing: () => number): void {
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
    shown = mix(live ? shown : null, { ...state.result.timing, draw: drawing() });
    const now = performance.now();
    if (live && now - last < EVERY_MS) return;
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

function mix(old: Times | null, now: Times): Times {
  if (!old) return now;
  const mixed = PARTS.map(([name]) => [name, old[name] + SHARE * (now[name] - old[name])]);
  return Object.fromEntries(mixed) as Times;
}
