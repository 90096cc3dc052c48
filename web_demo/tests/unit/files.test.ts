/** Reading the contract of models exported by Python, and rejecting damaged ones. */

import fs from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { readContract } from '../../src/detector/contract';
import type { DetectorError } from '../../src/detector/errors';
import { readModelJson } from '../../src/detector/tfjs_folder';
import { readTflite } from '../../src/detector/tflite_file';
import { MODELS } from '../browser/server';

const bytes = (name: string) => new Uint8Array(fs.readFileSync(path.join(MODELS, name)));
const text = (name: string) => fs.readFileSync(path.join(MODELS, name), 'utf8');

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    expect((error as DetectorError).fix).not.toBe('');
    return (error as DetectorError).code;
  }
  return 'no error';
}

describe('TensorFlow Lite', () => {
  test('a file with NMS in the graph', async () => {
    const contract = await readTflite(bytes('int8-builtin.tflite'));
    expect(contract).toMatchObject({
      task: 'detect',
      classNames: ['Platelets', 'RBC', 'WBC'],
      imageSize: [320, 320],
      strides: [8, 16, 32],
      precision: 'int8',
      nms: 'builtin',
      embeddedNms: { confidence: 0.1, iou: 0.6, maxDetections: 100 },
    });
    expect(contract.anchorsPx.map((row) => row.length)).toEqual([6, 6, 6]);
  });

  test.each([['classifier.tflite'], ['classifier_int8.tflite'], ['classifier_raw.tflite']])('a classifier, %s', async (name) => {
    const contract = await readTflite(bytes(name));
    expect(contract).toMatchObject({ task: 'classify', classNames: ['ant', 'bee', 'cat'], imageSize: [64, 96], anchorsPx: [], strides: [], embeddedNms: null });
  });

  test('a file without NMS in the graph', async () => {
    expect((await readTflite(bytes('float32-none.tflite'))).embeddedNms).toBeNull();
  });

  test.each([
    ['an image', 'odd.png', 'model-unknown'],
    ['a truncated file', 'cut.tflite', 'model-without-contract'],
  ])('%s', async (_, name, code) => {
    expect(await codeOf(() => readTflite(bytes(name)))).toBe(code);
  });

  test('any damaged byte of the archive gives a contract or a DetectorError', async () => {
    const whole = bytes('int8-builtin.tflite');
    for (let at = whole.length - 400; at < whole.length; at += 3) {
      const damaged = whole.slice();
      damaged[at] = damaged[at]! ^ 0xff;
      expect(await codeOf(() => readTflite(damaged))).toMatch(/^(no error|model-)/);
    }
  });
});

/** A model.json whose weights are in these files. */
function withShards(...paths: string[]): string {
  const json = JSON.parse(text('int8-builtin_web_model/model.json'));
  return JSON.stringify({ ...json, weightsManifest: paths.map((name) => ({ paths: [name], weights: [] })) });
}

describe('TF.js', () => {
  test('a folder', () => {
    const { contract, shards } = readModelJson(text('int8-builtin_web_model/model.json'));
    expect(contract).toMatchObject({ classNames: ['Platelets', 'RBC', 'WBC'], precision: 'int8', nms: 'builtin' });
    expect(shards.every((name) => fs.existsSync(path.join(MODELS, 'int8-builtin_web_model', name)))).toBe(true);
  });

  test.each([
    ['invalid JSON', () => '{', 'model-corrupt'],
    ['a JSON that is not a model', () => '{"a": 1}', 'model-unknown'],
    ['null', () => 'null', 'model-unknown'],
    ['no contract', () => text('bare_web_model/model.json'), 'model-without-contract'],
    [
      'shards outside of the folder',
      () => text('int8-builtin_web_model/model.json').replace(/"group1-shard1of\d+\.bin"/, '"../secret.bin"'),
      'model-corrupt',
    ],
    ['the parent folder as a shard', () => withShards('..'), 'model-corrupt'],
    ['the folder as a shard', () => withShards('.'), 'model-corrupt'],
    ['a shard that is listed twice', () => withShards('a.bin', 'b.bin', 'a.bin'), 'model-corrupt'],
  ])('%s', async (_, content, code) => {
    expect(await codeOf(() => readModelJson(content()))).toBe(code);
  });
});

describe('contract', () => {
  const validContract = () => JSON.parse(JSON.stringify(readModelJson(text('int8-builtin_web_model/model.json')).json)).userDefinedMetadata.tfyolo;

  test.each([
    ['no task', (c: any) => delete c.task, 'model-task'],
    ['an unknown task', (c: any) => (c.task = 'pose'), 'model-task'],
    ['no names', (c: any) => delete c.names, 'model-corrupt'],
    ['names that are not text', (c: any) => (c.names = [1]), 'model-corrupt'],
    ['an image size with one number', (c: any) => (c.image_size = [320]), 'model-corrupt'],
    ['a huge image size', (c: any) => (c.image_size = [1e9, 1e9]), 'model-corrupt'],
    ['a side of more than 4096 pixels', (c: any) => (c.image_size = [320, 4097]), 'model-corrupt'],
    ['a missing scale', (c: any) => c.anchors_px.pop(), 'model-corrupt'],
    ['an anchor without a height', (c: any) => c.anchors_px[0].pop(), 'model-corrupt'],
  ])('%s', async (_, spoil, code) => {
    const json = validContract();
    spoil(json);
    expect(await codeOf(() => readContract(json))).toBe(code);
  });
});
