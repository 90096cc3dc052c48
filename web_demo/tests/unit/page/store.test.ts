import { expect, it } from 'vitest';
import { createStore } from '../../../src/page/store';

it('tells listeners in order, and of what a listener sends after that', () => {
  const store = createStore();
  const told: string[] = [];
  store.listen((state, before) => {
    if (state.iou !== before.iou) store.send({ type: 'thresholds', confidence: 0.6 });
    told.push(`a ${state.confidence} ${state.iou}`);
  });
  store.listen((state) => void told.push(`b ${state.confidence} ${state.iou}`));
  told.length = 0;
  store.send({ type: 'thresholds', iou: 0.3 });
  expect(told).toEqual(['a 0.25 0.3', 'b 0.25 0.3', 'a 0.6 0.3', 'b 0.6 0.3']);
});

it('stays silent where nothing changed', () => {
  const store = createStore();
  let calls = 0;
  store.listen(() => calls++);
  store.send({ type: 'pause', paused: true });
  expect(calls).toBe(1);
});
