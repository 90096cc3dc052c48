import fs from 'node:fs';

import { expect, it } from 'vitest';
import { classColour, contrast, textColour } from '../../../src/page/colours';

const COLOURS = Array.from({ length: 400 }, (_, classId) => classColour(classId));

it('has the colours that Python and the app have', () => {
  const file = new URL('../../../../tests/vectors/palette.json', import.meta.url);
  const [{ colors, texts }] = JSON.parse(fs.readFileSync(file, 'utf8'));
  expect(COLOURS.slice(0, colors.length)).toEqual(colors);
  expect(COLOURS.slice(0, texts.length).map(textColour)).toEqual(texts);
});

it('measures contrast as WCAG does', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21);
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2);
});

it('gives every class a colour on which its label can be read', () => {
  for (const colour of COLOURS) {
    expect(colour).toMatch(/^#[0-9a-f]{6}$/);
    expect(contrast(colour, textColour(colour))).toBeGreaterThanOrEqual(4.5);
  }
});

it('gives the first classes different ones', () => {
  expect(new Set(COLOURS.slice(0, 80)).size).toBe(80);
});
