import { expect, it } from 'vitest';
import { createStore } from '../../../src/page/store';

it('notifies listeners in order, and queues the actions that they send', () => {
  const store = createStore();
  const calls: string[] = [];
  store.listen((state, before) => {
    if (state.iou !== before.iou) store.send({ type: 'thresholds', confidence: 0.6 });
    calls.push(`a ${state.confidence} ${state.iou}`);
  });
  store.listen((state) => void calls.push(`b ${state.confidence} ${state.iou}`));
  calls.length = 0;
  store.send({ type: 'thresholds', iou: 0.3 });
  expect(calls).toEqual(['a 0.25 0.3', 'b 0.25 0.3', 'a 0.6 0.3', 'b 0.6 0.3']);
});

it('does not notify listeners if nothing changed', () => {
  const store = createStore();
  let calls = 0;
  store.listen(() => calls++);
  store.send({ type: 'pause', paused: true });
  expect(calls).toBe(1);
});
