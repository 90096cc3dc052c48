import { expect, it, vi } from 'vitest';
import { DetectorError, type EngineChoice, type Model } from '../../../src/detector';
import { DetectionLoop } from '../../../src/page/detection_loop';
import type { Session } from '../../../src/page/session';
import type { SourceImage } from '../../../src/page/state';
import { createStore } from '../../../src/page/store';
import { makeModel } from './fixtures';

it('marks an image whose detection failed, until it succeeds', async () => {
  const store = createStore();
  const run = vi.fn().mockRejectedValueOnce(new DetectorError('image', 'This image cannot be decoded.')).mockResolvedValue({ detections: [] });
  const session = { model: { run } as unknown as Model } as Session;
  new DetectionLoop(store, session);
  store.send({ type: 'loaded', model: makeModel(), choice: { engine: 'litert-wasm' } as EngineChoice });
  store.send({ type: 'image', image: { width: 4, bitmap: { width: 4 } } as SourceImage });
  await vi.waitFor(() => expect(store.state.failed).toBe(true));
  expect(store.state.alerts.map(({ text }) => text)).toEqual(['This image cannot be decoded.']);
  store.send({ type: 'thresholds', confidence: 0.5 });
  await vi.waitFor(() => expect(store.state.result).toEqual({ detections: [] }));
  expect(store.state.failed).toBe(false);
});
