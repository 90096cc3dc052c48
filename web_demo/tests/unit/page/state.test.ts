import { describe, expect, it } from 'vitest';
import type { DetectionResult, EngineChoice } from '../../../src/detector';
import {
  type Action,
  thresholdBounds,
  framesPerSecond,
  fullResolution,
  INITIAL,
  type SourceImage,
  reduce,
  type State,
  taskOf,
  thresholds,
  topClasses,
  visibleDetections,
} from '../../../src/page/state';
import { reasonToWait } from '../../../src/page/view/summary';
import { makeClassification, makeDetection, makeModel } from './fixtures';

const CHOICE: EngineChoice = { engine: 'litert-wasm', reason: 'It is the only engine.', trials: [] };
const IMAGE = { name: 'a.jpg', width: 4, height: 3 } as SourceImage;
const RESULT: DetectionResult = {
  detections: [makeDetection(1, 'RBC'), makeDetection(0, 'Platelets')],
  timing: { preprocess: 1, inference: 2, postprocess: 3 },
  width: 4,
  height: 3,
};

function after(...actions: Action[]): State {
  return actions.reduce(reduce, INITIAL);
}

describe('models', () => {
  it('are downloaded, started and ready', () => {
    const loading = after({ type: 'load', engine: 'auto' }, { type: 'progress', progress: { stage: 'download', done: 1, total: 2 } });
    expect(loading.phase).toBe('starting');
    expect(loading.progress).toEqual({ stage: 'download', done: 1, total: 2 });
    const ready = reduce(loading, { type: 'loaded', model: makeModel(), choice: CHOICE });
    expect(ready).toMatchObject({ phase: 'ready', progress: null, choice: CHOICE });
  });

  it('stay in use, with boxes and engine, if another model fails to load', () => {
    const running = after(
      { type: 'loaded', model: makeModel(), choice: CHOICE },
      { type: 'image', image: IMAGE },
      { type: 'result', result: RESULT },
      { type: 'load', engine: 'litert-webgpu' },
    );
    expect(running).toMatchObject({ phase: 'ready', engine: 'litert-webgpu' });
    const failed = reduce(running, { type: 'not-loaded', engine: 'auto', running: true, text: 'No GPU.' });
    expect(failed).toMatchObject({ phase: 'ready', engine: 'auto', model: running.model, result: RESULT, progress: null });
    expect(failed.alerts.map(({ text }) => text)).toEqual(['No GPU.']);
  });

  it('give an error if the first one fails to load', () => {
    const failed = after({ type: 'load', engine: 'auto' }, { type: 'not-loaded', engine: 'auto', running: false, text: 'No.' });
    expect(failed.phase).toBe('error');
    expect(reduce(failed, { type: 'load', engine: 'auto' }).phase).toBe('starting');
  });

  it('reset the boxes and, if the class names differ, the class filter', () => {
    const hidden = after(
      { type: 'loaded', model: makeModel(), choice: CHOICE },
      { type: 'hide-classes', classes: new Set([1]) },
      { type: 'result', result: RESULT },
    );
    const same = reduce(hidden, { type: 'loaded', model: makeModel(), choice: CHOICE });
    expect([same.result, [...same.hiddenClasses]]).toEqual([null, [1]]);
    const other = reduce(hidden, { type: 'loaded', model: makeModel(null, ['cat']), choice: CHOICE });
    expect(other.hiddenClasses.size).toBe(0);
  });

  it('show a notice when a failed engine was replaced', () => {
    const changed = after({ type: 'load', engine: 'tfjs-webgl' }, { type: 'engine-changed', choice: CHOICE });
    expect(changed).toMatchObject({ engine: 'auto', choice: CHOICE, alerts: [{ tone: 'notice', text: CHOICE.reason }] });
  });
});

describe('thresholds', () => {
  const embeddedNms = { confidence: 0.051, iou: 0.458, maxDetections: 100 };

  it('are those selected by the user if NMS runs on the page', () => {
    expect(thresholdBounds(makeModel())).toEqual({ confidence: [0.01, 0.99], iou: [0.05, 0.95] });
    expect(thresholds(after({ type: 'thresholds', confidence: 0.4 }))).toEqual({ confidence: 0.4, iou: 0.45 });
  });

  it('are limited by the NMS in the graph, rounded to 0.01', () => {
    expect(thresholdBounds(makeModel(embeddedNms))).toEqual({ confidence: [0.06, 0.99], iou: [0.05, 0.45] });
    expect(thresholdBounds(makeModel({ ...embeddedNms, confidence: 0.25, iou: 0.45 }))).toEqual({ confidence: [0.25, 0.99], iou: [0.05, 0.45] });
    const state = after(
      { type: 'thresholds', confidence: 0, iou: 1 },
      { type: 'loaded', model: makeModel(embeddedNms), choice: CHOICE },
    );
    expect(thresholds(state)).toEqual({ confidence: 0.06, iou: 0.45 });
  });

  it('return to the selected values when a model allows them', () => {
    const limited = after({ type: 'thresholds', iou: 0.9 }, { type: 'loaded', model: makeModel(embeddedNms), choice: CHOICE });
    expect(thresholds(reduce(limited, { type: 'loaded', model: makeModel(), choice: CHOICE })).iou).toBe(0.9);
  });

  it.each([0, 1])('leave the sliders a valid range if the thresholds in the graph are %d', (value) => {
    for (const [min, max] of Object.values(thresholdBounds(makeModel({ ...embeddedNms, confidence: value, iou: value }))))
      expect(min).toBeLessThanOrEqual(max);
  });
});

describe('detections', () => {
  it('are filtered by class', () => {
    const state = after({ type: 'result', result: RESULT }, { type: 'hide-classes', classes: new Set([1]) });
    expect(visibleDetections(state).map(({ label }) => label)).toEqual(['Platelets']);
    expect(visibleDetections(INITIAL)).toEqual([]);
  });

  it('are computed at full resolution if the bitmap is downscaled', () => {
    const [bitmap, blob] = [{ width: 400 } as ImageBitmap, new Blob()];
    expect(fullResolution({ ...IMAGE, width: 4000, bitmap, blob })).toBe(blob);
    expect(fullResolution({ ...IMAGE, width: 400, bitmap, blob })).toBe(bitmap);
    expect(fullResolution({ ...IMAGE, width: 400, bitmap, blob: null })).toBe(bitmap);
  });

  it('are cleared when the image changes', () => {
    const state = after({ type: 'result', result: RESULT }, { type: 'image', image: IMAGE });
    expect(state.result).toBeNull();
  });
});

describe('a failed detection', () => {
  const failed = after({ type: 'loaded', model: makeModel(), choice: CHOICE }, { type: 'image', image: IMAGE }, { type: 'failed' });

  it('is shown instead of a result', () => {
    expect(reasonToWait(reduce(failed, { type: 'image', image: IMAGE }))).toBe('Detecting…');
    expect(reasonToWait(failed)).toBe('No result');
    expect(reasonToWait(reduce(failed, { type: 'engine-lost', text: 'The engine stopped.' }))).toBe('No model');
  });

  it.each<Action>([
    { type: 'image', image: IMAGE },
    { type: 'result', result: RESULT },
    { type: 'frame', image: IMAGE, result: null, time: 1 },
    { type: 'loaded', model: makeModel(), choice: CHOICE },
    { type: 'source', source: null },
  ])('is followed by $type', (action) => {
    expect(failed.failed).toBe(true);
    expect(reduce(failed, action).failed).toBe(false);
  });
});

describe('classes', () => {
  it('are the result of a classifier, which has no detections', () => {
    const model = makeModel();
    const classifier = { ...model, contract: { ...model.contract, task: 'classify' as const } };
    const state = after({ type: 'loaded', model: classifier, choice: CHOICE }, { type: 'result', result: makeClassification(0.9, 0.1) });
    expect(taskOf(state)).toBe('classify');
    expect(topClasses(state).map(({ probability }) => probability)).toEqual([0.9, 0.1]);
    expect(visibleDetections(state)).toEqual([]);
  });

  it('are empty for a detector', () => {
    expect(taskOf(INITIAL)).toBe('detect');
    expect(topClasses(after({ type: 'result', result: RESULT }))).toEqual([]);
  });
});

describe('masks', () => {
  it('are shown until they are switched off', () => {
    expect(INITIAL.showMasks).toBe(true);
    expect(after({ type: 'show-masks', shown: false }).showMasks).toBe(false);
  });
});

describe('camera and video', () => {
  const frame = (time: number): Action => ({ type: 'frame', image: IMAGE, result: RESULT, time });

  it('have a frame rate, from a bounded history', () => {
    const state = after(...Array.from({ length: 1000 }, (_, index) => frame(index * 40)));
    expect(state.frameTimes.length).toBe(30);
    expect(framesPerSecond(state.frameTimes)).toBeCloseTo(25);
    expect(framesPerSecond([])).toBeNull();
    expect(framesPerSecond([5, 5])).toBeNull();
  });

  it('can be paused; the pause does not count in the frame rate', () => {
    const source = { kind: 'video', name: 'a.mp4', paused: false } as const;
    const paused = after({ type: 'source', source }, frame(0), { type: 'pause', paused: true });
    expect(paused.source).toEqual({ ...source, paused: true });
    expect(paused.frameTimes).toEqual([]);
    expect(paused.result).toBe(RESULT);
  });

  it('can be paused, still images cannot', () => {
    const state = after({ type: 'source', source: { kind: 'still', id: 1 } });
    expect(reduce(state, { type: 'pause', paused: true })).toBe(state);
  });
});

describe('thumbnails and alerts', () => {
  it('give every image a unique ID', () => {
    const stills = [
      { title: 'a', source: 'a.jpg' },
      { title: 'b', source: 'b.jpg' },
    ];
    const state = after({ type: 'add-stills', stills }, { type: 'add-stills', stills });
    expect(new Set(state.stills.map(({ id }) => id)).size).toBe(4);
    const { id } = state.stills[1]!;
    expect(reduce(state, { type: 'remove-still', id }).stills.map((still) => still.title)).toEqual(['a', 'a', 'b']);
  });

  it('show at most three alerts, without duplicates, until dismissed', () => {
    const state = after(...['a', 'b', 'c', 'b', 'd'].map((text): Action => ({ type: 'alert', text })));
    expect(state.alerts.map(({ text }) => text)).toEqual(['c', 'b', 'd']);
    expect(reduce(state, { type: 'dismiss', id: state.alerts[0]!.id }).alerts.length).toBe(2);
  });
});
