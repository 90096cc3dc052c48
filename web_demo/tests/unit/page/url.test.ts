import { describe, expect, it } from 'vitest';
import { modelName, readUrlSettings, writeUrlSettings } from '../../../src/page/url';

const BASE = 'https://example.org/demo/';
const DEFAULT = { model: null, engine: 'auto', confidence: 0.25, iou: 0.45 } as const;

describe('readUrlSettings', () => {
  it('returns the defaults for an empty query', () => {
    expect(readUrlSettings('', BASE)).toEqual({ settings: DEFAULT, problems: [] });
    expect(readUrlSettings('?engine=auto&other=1', BASE)).toEqual({ settings: DEFAULT, problems: [] });
  });

  it('reads all settings, in the form that `tfyolo web` writes', () => {
    const { settings, problems } = readUrlSettings('?model=model/best%25202.tflite&conf=0.4&iou=1&engine=litert-wasm', BASE);
    expect(settings).toEqual({ model: 'model/best%202.tflite', engine: 'litert-wasm', confidence: 0.4, iou: 1 });
    expect(problems).toEqual([]);
  });

  it.each(['conf=2', 'conf=-0.1', 'conf=', 'conf=NaN', 'conf=abc', 'iou=1e9', 'iou=%20', 'engine=cuda', 'engine=__proto__'])(
    'replaces an invalid value by its default and reports one problem: %s',
    (query) => {
      const { settings, problems } = readUrlSettings(`?${query}`, BASE);
      expect(settings).toEqual(DEFAULT);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(/\.$/);
    },
  );

  it.each(['https://evil.example/a.tflite', '//evil.example/a.tflite', 'data:,x', 'javascript:1', 'http://[', 'blob:https://example.org/1'])(
    'rejects a model from another origin: %s',
    (model) => {
      const { settings, problems } = readUrlSettings(`?model=${encodeURIComponent(model)}`, BASE);
      expect(settings.model).toBeNull();
      expect(problems).toHaveLength(1);
    },
  );

  it('accepts a model from its own origin', () => {
    for (const model of ['../a.tflite', '/m/model.json', 'https://example.org/a.tflite'])
      expect(readUrlSettings(`?model=${model}`, BASE)).toEqual({ settings: { ...DEFAULT, model }, problems: [] });
  });

  it('abbreviates long values in messages', () => {
    expect(readUrlSettings(`?engine=${'x'.repeat(9999)}`, BASE).problems[0]!.length).toBeLessThan(400);
  });
});

describe('modelName', () => {
  it.each([
    ['model/best%202.tflite', 'best 2.tflite'],
    ['/m/zellen%20f%C3%BCr%20alle.tflite?v=1', 'zellen für alle.tflite'],
    ['best+2.tflite', 'best+2.tflite'],
    ['100%25.tflite', '100%.tflite'],
    ['100%.tflite', '100%.tflite'],
    ['a%FF.tflite', 'a%FF.tflite'],
    ['https://example.org/m/best_web_model/model.json', 'model.json'],
  ])('of %s', (model, name) => expect(modelName(model, BASE)).toBe(name));
});

describe('writeUrlSettings', () => {
  it('omits defaults and keeps unrelated parameters', () => {
    expect(writeUrlSettings('?conf=0.4&engine=tfjs-wasm', DEFAULT)).toBe('');
    expect(writeUrlSettings('?theme=x&iou=0.3', { ...DEFAULT, confidence: 0.31 })).toBe('?theme=x&conf=0.31');
  });

  it('writes what readUrlSettings reads', () => {
    const settings = { model: 'model/best%202.tflite', engine: 'litert-wasm', confidence: 0.4, iou: 0.5 } as const;
    expect(readUrlSettings(writeUrlSettings('', settings), BASE).settings).toEqual(settings);
  });
});
