/** Detections for programs. */

import type { Detection } from '../../detector';

export interface JsonSubject {
  readonly image: string;
  readonly width: number;
  readonly height: number;
  readonly model: string;
  readonly confidence: number;
  readonly iou: number;
}

/** Boxes are left, top, width, height in pixels of the image. */
export function toJson(subject: JsonSubject, detections: readonly Detection[]): string {
  const rounded = detections.map(({ box, classId, label, score }) => ({
    label,
    classId,
    score: round(score, 4),
    box: { x: round(box.x, 1), y: round(box.y, 1), width: round(box.width, 1), height: round(box.height, 1) },
  }));
  return `${JSON.stringify({ ...subject, detections: rounded }, null, 2)}\n`;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
