/** Draws boxes and their labels on a canvas. */

import type { Detection } from '../../detector';
import { classColor, textColor } from '../colors';
import { placeLabels } from './labels';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

const FONT_PX = 12.5;
const LINE_PX = 2.25;
const PADDING_PX = 4;

/**
 * Draw detections over the current content of a canvas.
 *
 * @param detections - sorted by descending score.
 * @param zoom - canvas pixels per image pixel; scales the positions of boxes.
 * @param unit - canvas pixels per CSS pixel; scales line widths and text.
 */
export function drawBoxes(
  context: Context,
  detections: readonly Detection[],
  zoom: number,
  unit: number,
): void {
  context.save();
  context.font = `600 ${FONT_PX * unit}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  context.lineJoin = 'round';
  // In reverse order, so that the detection with the highest score is on top.
  for (let i = detections.length - 1; i >= 0; i--) drawBox(context, detections[i]!, zoom, unit);
  drawLabels(context, detections, zoom, unit);
  context.restore();
}

function drawBox(context: Context, { box, classId }: Detection, zoom: number, unit: number): void {
  context.beginPath();
  context.roundRect(box.x * zoom, box.y * zoom, box.width * zoom, box.height * zoom, 3 * unit);
  // A light border keeps the line visible on objects of the same color.
  context.strokeStyle = '#ffffffb3';
  context.lineWidth = (LINE_PX + 2) * unit;
  context.stroke();
  context.strokeStyle = classColor(classId);
  context.lineWidth = LINE_PX * unit;
  context.stroke();
}

function drawLabels(context: Context, detections: readonly Detection[], zoom: number, unit: number): void {
  const texts = detections.map(({ label, score }) => `${label} ${score.toFixed(2)}`);
  const height = (FONT_PX + PADDING_PX) * unit;
  const edge = (LINE_PX / 2) * unit;
  const rectangles = placeLabels(
    detections.map(({ box: { x, y, width, height } }) => [
      x * zoom - edge, y * zoom, (x + width) * zoom + edge, (y + height) * zoom,
    ]),
    texts.map((text) => context.measureText(text).width + 2 * PADDING_PX * unit),
    height,
    [context.canvas.width, context.canvas.height],
  );
  for (let i = detections.length - 1; i >= 0; i--) {
    const [left, top, right] = rectangles[i]!;
    const color = classColor(detections[i]!.classId);
    context.fillStyle = color;
    context.beginPath();
    context.roundRect(left, top, right - left, height, 3 * unit);
    context.fill();
    context.fillStyle = textColor(color);
    context.fillText(texts[i]!, left + PADDING_PX * unit, top + height / 2 + unit * 0.5);
  }
}
