/** Masks are those that Python computed, to the pixel: ../tests/vectors/masks.json. */
import { describe, expect, test } from 'vitest';

import { fitLetterbox } from '../../src/detector/letterbox';
import { assembledMasks, enlargeMask, type Mask, masksOfPrototypes } from '../../src/detector/masks';
import { readVectors } from './vectors';

/** Rows of bits, each of which begins with a new byte. */
function packed({ data, width, height }: Mask): number[] {
  const bytes = Math.ceil(width / 8);
  const out = new Uint8Array(bytes * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) if (data[y * width + x]) out[y * bytes + (x >> 3)]! |= 128 >> (x & 7);
  return Array.from(out);
}

describe.each(readVectors('masks'))('$name', (item) => {
  const box = fitLetterbox(item.image_hw, item.target_hw);
  const cells: number[] = item.cells.flat();
  const source =
    item.divisor === 255
      ? assembledMasks(Uint8Array.from(cells), item.mask_hw)
      : assembledMasks(Float32Array.from(cells, (value) => value / item.divisor), item.mask_hw);

  test.each<number>([...item.areas_px.keys()])('mask %i', (i) => {
    const mask = enlargeMask(source, i, item.boxes_xyxy_px[i], box);
    expect([mask.x, mask.y]).toEqual(item.corners_xy[i]);
    expect([mask.height, mask.width]).toEqual(item.patches_hw[i]);
    expect(mask.area).toBe(item.areas_px[i]);
    expect(packed(mask)).toEqual(item.bits[i]);
  });
});

test('masks of prototypes are the sigmoid of their weighted sum', () => {
  const source = masksOfPrototypes(Float32Array.of(1, 0, 0.5, 2), Float32Array.of(0, 3, 2, -1), [1, 2]);
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  expect([source.at(0, 0, 0), source.at(0, 0, 1)]).toEqual([0.5, sigmoid(2)]);
  expect([source.at(1, 0, 0), source.at(1, 0, 1)]).toEqual([sigmoid(6), sigmoid(-1)]);
});
