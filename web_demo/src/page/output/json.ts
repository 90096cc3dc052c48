/** Detections and classes as JSON. */

import type { ClassProbability, Detection } from '../../detector';

/** The image and the model that a result belongs to. */
export interface JsonMetadata {
  readonly image: string;
  readonly width: number;
  readonly height: number;
  readonly model: string;
}

/** The thresholds of detections, too. */
export interface DetectionMetadata extends JsonMetadata {
  readonly confidence: number;
  readonly iou: number;
}

/** JSON text; boxes as left (`x`), top (`y`), width, height in pixels of the image, `maskArea` as number of pixels. */
export function toJson(metadata: DetectionMetadata, detections: readonly Detection[]): string {
  const rounded = detections.map(({ box, classId, label, score, mask }) => ({
    label,
    classId,
    score: round(score, 4),
    box: { x: round(box.x, 1), y: round(box.y, 1), width: round(box.width, 1), height: round(box.height, 1) },
    ...(mask ? { maskArea: mask.area } : {}),
  }));
  return `${JSON.stringify({ ...metadata, detections: rounded }, null, 2)}\n`;
}

/** JSON text; classes in descending order of probability. */
export function classesToJson(metadata: JsonMetadata, classes: readonly ClassProbability[]): string {
  const rounded = classes.map(({ label, classId, probability }) => ({ label, classId, probability: round(probability, 4) }));
  return `${JSON.stringify({ ...metadata, classes: rounded }, null, 2)}\n`;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
