import { describe, expect, it } from 'vitest';
import { describeProgress, formatBytes, formatClock, formatMilliseconds, plural, summarize } from '../../../src/page/format';
import { makeDetection } from './fixtures';

describe('summarize', () => {
  it('counts detections per class, most frequent class first', () => {
    const some = [makeDetection(2, 'WBC'), makeDetection(1, 'RBC'), makeDetection(0, 'Platelets'), makeDetection(1, 'RBC')];
    expect(summarize(some)).toBe('4 objects: 2 RBC, 1 Platelets, 1 WBC');
    expect(summarize(some.slice(0, 1))).toBe('1 object: 1 WBC');
    expect(summarize([])).toBe('No objects found');
  });

  it('does not merge classes with the same name', () => {
    expect(summarize([makeDetection(0, 'a'), makeDetection(1, 'a')])).toBe('2 objects: 1 a, 1 a');
  });
});

describe('numbers', () => {
  it('are formatted with units', () => {
    expect([999, 4_400, 2_069_211].map(formatBytes)).toEqual(['999\u00a0B', '4\u00a0kB', '2.1\u00a0MB']);
    expect([0.04, 9.94, 9.96, 120].map(formatMilliseconds)).toEqual(['0.0 ms', '9.9 ms', '10 ms', '120 ms']);
    expect([0, 65.9, NaN, Infinity].map(formatClock)).toEqual(['0:00', '1:05', '0:00', '0:00']);
    expect([plural(1, 'file'), plural(0, 'file'), plural(2, 'class', 'classes')]).toEqual(['1 file', '0 files', '2 classes']);
  });
});

describe('describeProgress', () => {
  it('describes each stage', () => {
    expect(describeProgress({ stage: 'download', done: 1e6, total: 2e6 })).toBe('Downloading the model, 1.0\u00a0MB of 2.0\u00a0MB');
    expect(describeProgress({ stage: 'download', done: 1e6, total: 0 })).toBe('Downloading the model, 1.0\u00a0MB');
    expect(describeProgress({ stage: 'choose', done: 0, total: 3 })).toBe('Timing the engines of this browser, 1 of 3');
    expect(describeProgress({ stage: 'choose', done: 3, total: 3 })).toBe('Timing the engines of this browser, 3 of 3');
  });
});
