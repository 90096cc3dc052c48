import fs from 'node:fs';

import { expect, it } from 'vitest';
import { classColor, contrast, textColor } from '../../../src/page/colors';

const COLORS = Array.from({ length: 400 }, (_, classId) => classColor(classId));

it('uses the same colors as Python and the Android app', () => {
  const file = new URL('../../../../tests/vectors/palette.json', import.meta.url);
  const [{ colors, texts }] = JSON.parse(fs.readFileSync(file, 'utf8'));
  expect(COLORS.slice(0, colors.length)).toEqual(colors);
  expect(COLORS.slice(0, texts.length).map(textColor)).toEqual(texts);
});

it('computes the contrast ratio of WCAG', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21);
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2);
});

it('gives every class a color with a readable label', () => {
  for (const color of COLORS) {
    expect(color).toMatch(/^#[0-9a-f]{6}$/);
    expect(contrast(color, textColor(color))).toBeGreaterThanOrEqual(4.5);
  }
});

it('gives the first 80 classes different colors', () => {
  expect(new Set(COLORS.slice(0, 80)).size).toBe(80);
});
