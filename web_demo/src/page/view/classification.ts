/** Draws what concerns classifiers on a canvas: the region that the model sees, and its classes. */

import type { Box, ClassProbability } from '../../detector';
import { formatPercent } from '../format';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

const FONT_PX = 14;
const PADDING_PX = 8;

/**
 * Darken what lies outside of the region that the model sees.
 *
 * @param zoom - canvas pixels per image pixel.
 */
export function drawCrop(context: Context, crop: Box, zoom: number): void {
  context.save();
  context.beginPath();
  context.rect(0, 0, context.canvas.width, context.canvas.height);
  context.rect(crop.x * zoom, crop.y * zoom, crop.width * zoom, crop.height * zoom);
  context.fillStyle = '#0000008c';
  context.fill('evenodd');
  context.restore();
}

/**
 * Write classes in the upper left corner of a canvas, on a dark background.
 *
 * @param unit - canvas pixels per CSS pixel; scales the text.
 */
export function drawClasses(context: Context, classes: readonly ClassProbability[], unit: number): void {
  const lines = classes.map(({ label, probability }) => `${label} ${formatPercent(probability)}`);
  context.save();
  context.font = `600 ${FONT_PX * unit}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  const [padding, line] = [PADDING_PX * unit, 1.4 * FONT_PX * unit];
  const width = Math.max(0, ...lines.map((text) => context.measureText(text).width));
  context.fillStyle = '#000000a6';
  context.fillRect(0, 0, width + 2 * padding, lines.length * line + 2 * padding);
  context.fillStyle = '#fff';
  for (const [i, text] of lines.entries()) context.fillText(text, padding, padding + (i + 0.5) * line);
  context.restore();
}
