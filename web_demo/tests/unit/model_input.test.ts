/** Which files are models, and the size limit of all files of a model together. */
import fs from 'node:fs';
import path from 'node:path';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { loadModel } from '../../src/detector/model_input';
import { MODELS } from '../browser/server';

const GIB = 1 << 30;
const tflite = fs.readFileSync(path.join(MODELS, 'int8-builtin.tflite'));
const modelJson = JSON.parse(fs.readFileSync(path.join(MODELS, 'int8-builtin_web_model/model.json'), 'utf8'));

const load = (input: Parameters<typeof loadModel>[0]) => loadModel(input, () => {});

/** A model.json whose weights are in these files. */
const withShards = (...paths: string[]) => JSON.stringify({ ...modelJson, weightsManifest: [{ paths, weights: [] }] });

afterEach(() => vi.unstubAllGlobals());

describe('files', () => {
  test.each(['best.tflite', 'BEST.TFLITE', 'best.TFLite', 'best.bin', 'best'])('a TensorFlow Lite model named %s', async (name) => {
    const { model, bytes } = await load([new File(['notes'], 'readme.md'), new File([tflite], name)]);
    expect([model.kind, bytes]).toEqual(['tflite', tflite.length]);
  });

  test('a TF.js model next to a renamed TensorFlow Lite model', async () => {
    const { model } = await load([new File([tflite], 'other.bin'), new File([withShards('a.bin')], 'model.json'), new File(['1234'], 'a.bin')]);
    expect(model.kind).toBe('tfjs');
  });

  test('no model', async () => {
    await expect(load([new File(['short'], 'a.txt'), new File([], 'b')])).rejects.toMatchObject({ code: 'model-unknown' });
  });

  test('shards that are too large together are not read', async () => {
    const shards = ['a.bin', 'b.bin', 'c.bin'].map((name) => {
      const arrayBuffer = () => Promise.reject(new Error(`${name} was read`));
      return Object.defineProperties(new File([], name), { size: { value: 0.4 * GIB }, arrayBuffer: { value: arrayBuffer } });
    });
    const files = [new File([withShards('a.bin', 'b.bin', 'c.bin')], 'model.json'), ...shards];
    await expect(load(files)).rejects.toMatchObject({ code: 'memory' });
  });
});

describe('downloads', () => {
  /** Serve these files; all other addresses fail. */
  function serve(files: Record<string, () => Response>): void {
    vi.stubGlobal('document', { baseURI: 'https://example.org/' });
    vi.stubGlobal('fetch', async (address: URL) => files[address.pathname]?.() ?? new Response(null, { status: 404 }));
  }

  test('a TF.js model', async () => {
    serve({
      '/m/model.json': () => new Response(withShards('a.bin', 'b.bin')),
      '/m/a.bin': () => new Response('12'),
      '/m/b.bin': () => new Response('345'),
    });
    const { model, bytes } = await load('m/model.json');
    expect(bytes).toBe(5);
    expect(new TextDecoder().decode((model as { weights: ArrayBuffer }).weights)).toBe('12345');
  });

  test('a shard is refused by its declared size if all shards together are too large', async () => {
    const body = () => new ReadableStream({ pull: () => Promise.reject(new Error('b.bin was read')) }, { highWaterMark: 0 });
    serve({
      '/m/model.json': () => new Response(withShards('a.bin', 'b.bin')),
      '/m/a.bin': () => new Response(new Uint8Array(100)),
      '/m/b.bin': () => new Response(body(), { headers: { 'content-length': String(GIB - 50) } }),
    });
    await expect(load('m/model.json')).rejects.toMatchObject({ code: 'memory' });
  });

  test('a shard of unknown size is refused once all shards together are too large', async () => {
    const chunk = new Uint8Array(GIB / 16);
    let chunks = 0;
    const body = () => new ReadableStream({ pull: (controller) => (chunks++ < 16 ? controller.enqueue(chunk) : controller.close()) }, { highWaterMark: 0 });
    serve({
      '/m/model.json': () => new Response(withShards('a.bin', 'b.bin')),
      '/m/a.bin': () => new Response('12'),
      '/m/b.bin': () => new Response(body()),
    });
    await expect(load('m/model.json')).rejects.toMatchObject({ code: 'memory' });
  });
});
