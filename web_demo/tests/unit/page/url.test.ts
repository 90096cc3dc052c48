import { describe, expect, it } from 'vitest';
import { readAddress, writeAddress } from '../../../src/page/url';

const BASE = 'https://example.org/demo/';
const DEFAULT = { model: null, engine: 'auto', confidence: 0.25, iou: 0.45 } as const;

describe('readAddress', () => {
  it('gives the defaults', () => {
    expect(readAddress('', BASE)).toEqual({ settings: DEFAULT, problems: [] });
    expect(readAddress('?engine=auto&other=1', BASE)).toEqual({ settings: DEFAULT, problems: [] });
  });

  it('reads all of them, as `tfyolo web` writes them', () => {
    const { settings, problems } = readAddress('?model=model/best%25202.tflite&conf=0.4&iou=1&engine=litert-wasm', BASE);
    expect(settings).toEqual({ model: 'model/best%202.tflite', engine: 'litert-wasm', confidence: 0.4, iou: 1 });
    expect(problems).toEqual([]);
  });

  it.each(['conf=2', 'conf=-0.1', 'conf=', 'conf=NaN', 'conf=abc', 'iou=1e9', 'iou=%20', 'engine=cuda', 'engine=__proto__'])(
    'falls back with one sentence: %s',
    (query) => {
      const { settings, problems } = readAddress(`?${query}`, BASE);
      expect(settings).toEqual(DEFAULT);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(/\.$/);
    },
  );

  it.each(['https://evil.example/a.tflite', '//evil.example/a.tflite', 'data:,x', 'javascript:1', 'http://[', 'blob:https://example.org/1'])(
    'refuses a model of another address: %s',
    (model) => {
      const { settings, problems } = readAddress(`?model=${encodeURIComponent(model)}`, BASE);
      expect(settings.model).toBeNull();
      expect(problems).toHaveLength(1);
    },
  );

  it('takes a model of its own address', () => {
    for (const model of ['../a.tflite', '/m/model.json', 'https://example.org/a.tflite'])
      expect(readAddress(`?model=${model}`, BASE)).toEqual({ settings: { ...DEFAULT, model }, problems: [] });
  });

  it('quotes what is long in short', () => {
    expect(readAddress(`?engine=${'x'.repeat(9999)}`, BASE).problems[0]!.length).toBeLessThan(400);
  });
});

describe('writeAddress', () => {
  it('leaves defaults out and parameters of others in', () => {
    expect(writeAddress('?conf=0.4&engine=tfjs-wasm', DEFAULT)).toBe('');
    expect(writeAddress('?theme=x&iou=0.3', { ...DEFAULT, confidence: 0.31 })).toBe('?theme=x&conf=0.31');
  });

  it('is read as it was written', () => {
    const settings = { model: 'model/best%202.tflite', engine: 'litert-wasm', confidence: 0.4, iou: 0.5 } as const;
    expect(readAddress(writeAddress('', settings), BASE).settings).toEqual(settings);
  });
});
