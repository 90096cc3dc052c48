/** Detections as JSON. */

import type { Detection } from '../../detector';

/** The image, the model and the thresholds that the detections belong to. */
export interface JsonMetadata {
  readonly image: string;
  readonly width: number;
  readonly height: number;
  readonly model: string;
  readonly confidence: number;
  readonly iou: number;
}

/** JSON text; boxes as left (`x`), top (`y`), width, height in pixels of the image. */
export function toJson(metadata: JsonMetadata, detections: readonly Detection[]): string {
  const rounded = detections.map(({ box, classId, label, score }) => ({
    label,
    classId,
    score: round(score, 4),
    box: { x: round(box.x, 1), y: round(box.y, 1), width: round(box.width, 1), height: round(box.height, 1) },
  }));
  return `${JSON.stringify({ ...metadata, detections: rounded }, null, 2)}\n`;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
