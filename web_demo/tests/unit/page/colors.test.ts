import fs from 'node:fs';

import { expect, it } from 'vitest';
import { classColor, contrast, textColor } from '../../../src/page/colors';

const COLORS = Array.from({ length: 400 }, (_, classId) => classColor(classId));

it('has the colors that Python and the app have', () => {
  const file = new URL('../../../../tests/vectors/palette.json', import.meta.url);
  const [{ colors, texts }] = JSON.parse(fs.readFileSync(file, 'utf8'));
  expect(COLORS.slice(0, colors.length)).toEqual(colors);
  expect(COLORS.slice(0, texts.length).map(textColor)).toEqual(texts);
});

it('measures contrast as WCAG does', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21);
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2);
});

it('gives every class a color on which its label can be read', () => {
  for (const color of COLORS) {
    expect(color).toMatch(/^#[0-9a-f]{6}$/);
    expect(contrast(color, textColor(color))).toBeGreaterThanOrEqual(4.5);
  }
});

it('gives the first classes different ones', () => {
  expect(new Set(COLORS.slice(0, 80)).size).toBe(80);
});
