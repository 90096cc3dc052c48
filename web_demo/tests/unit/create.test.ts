/** The lifetime of workers, which are simulated. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { createModel } from '../../src/detector/create';
import { DetectorError } from '../../src/detector/errors';

/** A worker: `tfjs-wasm` stops at its first image, `tfjs-cpu` never answers after its start. */
const { workers } = vi.hoisted(() => ({ workers: [] as { engine: string; ended: boolean }[] }));

vi.mock('../../src/detector/model_input', () => ({
  loadModel: async () => ({ model: { kind: 'tfjs', json: {}, weights: new ArrayBuffer(4) }, contract: { task: 'detect', imageSize: [8, 8] }, bytes: 4 }),
}));
vi.mock('../../src/detector/source', () => ({ toFrame: async () => ({ frame: {}, transfer: [] }) }));
vi.mock('../../src/detector/engines/process', () => ({
  EngineProcess: {
    start: async ({ engine }: { engine: string }) => {
      let reject: (error: Error) => void = () => {};
      const worker = {
        engine,
        ended: false,
        request: (kind: string) =>
          engine === 'tfjs-wasm' && kind === 'run'
            ? Promise.reject(new DetectorError('engine-failed', 'The engine stopped.'))
            : new Promise((_, fail) => (reject = fail)),
        end() {
          worker.ended = true;
          reject(new DetectorError('disposed', 'This model has been disposed.'));
        },
      };
      workers.push(worker);
      return worker;
    },
  },
}));

beforeEach(() => {
  workers.length = 0;
  vi.stubGlobal('document', { baseURI: 'https://example.org/' });
  vi.stubGlobal('navigator', {});
  vi.stubGlobal('OffscreenCanvas', class { getContext = () => null });
});
afterEach(() => vi.unstubAllGlobals());

test('a model that is disposed while another engine replaces a failed one ends all workers', async () => {
  const model = await createModel({ model: 'model.json', engine: 'tfjs-wasm' });
  const result = model.run({} as ImageBitmap).catch((error) => error);
  await vi.waitFor(() => expect(workers.map(({ engine }) => engine)).toEqual(['tfjs-wasm', 'tfjs-cpu']));
  model.dispose();
  expect(workers.map(({ ended }) => ended)).toEqual([true, true]);
  expect(await result).toMatchObject({ code: 'disposed' });
});
