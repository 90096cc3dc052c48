/** Boxes and their labels on a canvas. */

import type { Detection } from '../../detector';
import { classColour, textColour } from '../colours';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

const FONT_PX = 12.5;
const LINE_PX = 2.25;
const PADDING_PX = 4;

/**
 * Draw over what is there.
 *
 * @param zoom canvas pixels per pixel of the source.
 * @param unit canvas pixels per pixel of lines and letters.
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
  // Best first they come; the best is drawn last, over the others.
  for (let i = detections.length - 1; i >= 0; i--) drawOutline(context, detections[i]!, zoom, unit);
  for (let i = detections.length - 1; i >= 0; i--) drawLabel(context, detections[i]!, zoom, unit);
  context.restore();
}

function drawOutline(context: Context, { box, classId }: Detection, zoom: number, unit: number): void {
  context.beginPath();
  context.roundRect(box.x * zoom, box.y * zoom, box.width * zoom, box.height * zoom, 3 * unit);
  // A light edge keeps the line apart from what has its colour.
  context.strokeStyle = '#ffffffb3';
  context.lineWidth = (LINE_PX + 2) * unit;
  context.stroke();
  context.strokeStyle = classColour(classId);
  context.lineWidth = LINE_PX * unit;
  context.stroke();
}

function drawLabel(context: Context, one: Detection, zoom: number, unit: number): void {
  const text = `${one.label} ${one.score.toFixed(2)}`;
  const width = context.measureText(text).width + 2 * PADDING_PX * unit;
  const height = (FONT_PX + PADDING_PX) * unit;
  const edge = (LINE_PX / 2) * unit;
  const [left, top] = [one.box.x * zoom - edge, one.box.y * zoom];
  // Above the box; inside of it where the image ends.
  const x = Math.max(0, Math.min(left, context.canvas.width - width));
  const y = top - height >= 0 ? top - height : Math.max(top, 0);
  const colour = classColour(one.classId);
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(x, y, width, height, 3 * unit);
  context.fill();
  context.fillStyle = textColour(colour);
  context.fillText(text, x + PADDING_PX * unit, y + height / 2 + unit * 0.5);
}
