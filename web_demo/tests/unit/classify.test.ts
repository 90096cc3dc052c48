/** Center crop and most probable classes are those that Python computed: ../tests/vectors. */
import { describe, expect, test } from 'vitest';

import { applyCenterCrop, fitCenterCrop } from '../../src/detector/center_crop';
import type { Contract } from '../../src/detector/contract';
import { readProbabilities, topClasses } from '../../src/detector/probabilities';
import { readVectors } from './vectors';

test.each(readVectors('crop'))('center crop, $name', (item) => {
  const [height, width] = item.image_hw;
  const crop = fitCenterCrop(item.image_hw, item.target_hw);
  for (const step of [3, 4] as const) {
    const data = new Uint8Array(height * width * step).fill(77);
    item.pixels_in.forEach((value: number, i: number) => (data[Math.floor(i / 3) * step + (i % 3)] = value));
    const out = new Uint8Array(item.target_hw[0] * item.target_hw[1] * 3);
    applyCenterCrop(crop, { data, width, height, step }, out);
    expect(Array.from(out)).toEqual(item.pixels_out);
  }
});

const contractOf = (count: number) => ({ classNames: Array.from({ length: count }, (_, i) => `class ${i}`) }) as unknown as Contract;

test.each(readVectors('top'))('most probable classes, $name', (item) => {
  const [name, values] = 'logits' in item ? ['logits', item.logits] : ['probabilities', item.probabilities];
  const contract = contractOf(values.length);
  const found = readProbabilities({ [name]: { data: Float32Array.from(values), shape: [1, values.length] } }, contract);
  const top = topClasses(found, item.count);
  expect(top).toEqual(item.top.map((row: any) => row.class));
  for (const [i, classId] of top.entries()) {
    expect(contract.classNames[classId]).toBe(item.top[i].name);
    expect(found[classId]).toBeCloseTo(item.top[i].probability, 3);
  }
});

describe('outputs that are not probabilities', () => {
  const read = (name: string, values: number[], classes = values.length) =>
    readProbabilities({ [name]: { data: Float32Array.from(values), shape: [1, values.length] } }, contractOf(classes));

  test.each([
    ['of another number of classes', 'probabilities', [0.5, 0.5], 3],
    ['with another name', 'scores', [0.5, 0.5], 2],
    ['not numbers', 'probabilities', [NaN, 0.5], 2],
    ['out of range', 'probabilities', [0.5, 1.5], 2],
  ] as const)('%s', (_, name, values, classes) => {
    expect(() => read(name, [...values], classes)).toThrow(expect.objectContaining({ code: 'model-shape', fix: 'Export the model again.' }));
  });

  test('are clipped if they differ by rounding only', () => {
    expect(Array.from(read('probabilities', [-0.0005, 1.0005]))).toEqual([0, 1]);
  });
});
