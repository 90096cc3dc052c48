/** The model contract: what `tfyolo export` writes about a model into the model. */

import { DetectorError } from './errors';

export interface Contract {
  readonly task: 'detect';
  readonly names: readonly string[];
  /** Height and width of the input in pixels. */
  readonly imageHw: readonly [number, number];
  /** Per scale, width and height pairs in pixels. */
  readonly anchorsPx: readonly (readonly number[])[];
  readonly strides: readonly number[];
  /** Of tfyolo. */
  readonly version: string;
  readonly modelName: string;
  readonly nms: string;
  readonly precision: string;
  /** Thresholds of the suppression inside the file; null where there is none. */
  readonly inside: { readonly confidence: number; readonly iou: number; readonly maxDetections: number } | null;
}

/**
 * Check what stands in the model.
 *
 * @throws DetectorError `model-without-contract`, `model-task` or `model-corrupt`.
 */
export function readContract(text: string | object): Contract {
  let json: any;
  try {
    json = typeof text === 'string' ? JSON.parse(text) : text;
  } catch {
    throw corrupt('its tfyolo.json is no JSON');
  }
  if (json === null || typeof json !== 'object') throw corrupt('its tfyolo.json is no object');
  if (json.task !== 'detect')
    throw new DetectorError(
      'model-task',
      `This model does \`${shown(json.task)}\`, and this is a detector.`,
      'Choose a model of the task `detect`.',
    );
  const note = json.export ?? {};
  const names = list(json.names, 'names', (x) => typeof x === 'string');
  const imageHw = list(json.image_size, 'image_size', (x) => Number.isInteger(x) && x >= 1 && x <= 8192);
  const strides = list(json.strides, 'strides', (x) => Number.isInteger(x) && x >= 1);
  const anchorsPx = list(json.anchors_px, 'anchors_px', Array.isArray).map((row) =>
    list(row, 'anchors_px', (x) => typeof x === 'number' && x > 0),
  );
  if (imageHw.length !== 2) throw corrupt('`image_size` is not height and width');
  if (anchorsPx.length !== strides.length || anchorsPx.some((row) => row.length % 2))
    throw corrupt('`anchors_px` does not fit `strides`');
  const suppressed = note.nms !== 'none' && note.nms !== 'raw';
  return {
    task: 'detect',
    names,
    imageHw: [imageHw[0]!, imageHw[1]!],
    anchorsPx,
    strides,
    version: String(json.version ?? ''),
    modelName: String(json.config?.name ?? 'YOLOv5'),
    nms: String(note.nms ?? 'unknown'),
    precision: String(note.precision ?? 'float32'),
    inside: suppressed
      ? {
          confidence: number(note.conf_thres, 0.25),
          iou: number(note.iou_thres, 0.45),
          maxDetections: number(note.max_det, 100),
        }
      : null,
  };
}

function list<T = any>(value: unknown, field: string, good: (x: any) => boolean): T[] {
  if (!Array.isArray(value) || !value.length || value.length > 100_000 || !value.every(good))
    throw corrupt(`\`${field}\` is missing or wrong`);
  return value;
}

function number(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}

function shown(value: unknown): string {
  return String(value ?? 'nothing that it names').replace(/[^\w -]/g, '').slice(0, 40);
}

function corrupt(what: string): DetectorError {
  return new DetectorError('model-corrupt', `The model's description is damaged: ${what}.`, 'Export it again.');
}
