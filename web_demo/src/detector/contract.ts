/** The model contract: metadata that `tfyolo export` stores inside every model (docs/architecture.md). */

import { DetectorError } from './errors';

/** What a model returns: boxes, class probabilities, or boxes with masks. */
export const TASKS = ['detect', 'classify', 'segment'] as const;
export type Task = (typeof TASKS)[number];

/** Maximum height and width of the input in pixels; the limit of tfyolo/models/config/settings.py. */
const MAX_SIDE = 4096;

/** Metadata of a model, read from its tfyolo.json (`.tflite`) or model.json (TF.js). */
export interface Contract {
  readonly task: Task;
  /** Class names, indexed by class id. */
  readonly classNames: readonly string[];
  /** [height, width] of the model's input in pixels. */
  readonly imageSize: readonly [number, number];
  /** Per scale: anchors as a flat list of (width, height) pairs in pixels of the input; empty for a classifier. */
  readonly anchorsPx: readonly (readonly number[])[];
  /** Per scale: stride in pixels of the input; empty for a classifier. */
  readonly strides: readonly number[];
  /** Version of tfyolo that exported the model. */
  readonly version: string;
  /** Architecture, such as `yolov5n`. */
  readonly modelName: string;
  /** The `--nms` option of the export: `postprocess`, `builtin`, `none` or `raw`. */
  readonly nms: string;
  /** `float32`, `float16` or `int8`. */
  readonly precision: string;
  /** Thresholds of the NMS inside the exported graph; null if the graph has no NMS. */
  readonly embeddedNms: { readonly confidence: number; readonly iou: number; readonly maxDetections: number } | null;
}

/**
 * Parse and validate the contract of a model.
 *
 * @param text - the JSON text, or the object parsed from it.
 * @throws DetectorError `model-task` if the task of the model is unknown, `model-corrupt` if a field is missing or invalid.
 */
export function readContract(text: string | object): Contract {
  let json: any;
  try {
    json = typeof text === 'string' ? JSON.parse(text) : text;
  } catch {
    throw corrupt('its tfyolo.json is not valid JSON');
  }
  if (json === null || typeof json !== 'object') throw corrupt('its tfyolo.json is not a JSON object');
  const { task } = json;
  if (!TASKS.includes(task))
    throw new DetectorError(
      'model-task',
      `The task of this model is \`${printable(task)}\`, which this version does not support.`,
      `Choose a model whose task is ${TASKS.map((name) => `\`${name}\``).join(', ')}.`,
    );
  const exported = json.export ?? {};
  const classNames = list(json.names, 'names', (x) => typeof x === 'string');
  const imageSize = list(json.image_size, 'image_size', (x) => Number.isInteger(x) && x >= 1 && x <= MAX_SIDE);
  const hasBoxes = task !== 'classify';
  const strides = hasBoxes ? list(json.strides, 'strides', (x) => Number.isInteger(x) && x >= 1) : [];
  const anchorRows = hasBoxes ? list(json.anchors_px, 'anchors_px', Array.isArray) : [];
  const anchorsPx = anchorRows.map((row) => list(row, 'anchors_px', (x) => typeof x === 'number' && x > 0));
  if (imageSize.length !== 2) throw corrupt('`image_size` is not [height, width]');
  if (anchorsPx.length !== strides.length || anchorsPx.some((row) => row.length % 2))
    throw corrupt('`anchors_px` does not match `strides`');
  const hasNms = hasBoxes && exported.nms !== 'none' && exported.nms !== 'raw';
  return {
    task,
    classNames,
    imageSize: [imageSize[0]!, imageSize[1]!],
    anchorsPx,
    strides,
    version: String(json.version ?? ''),
    modelName: String(json.config?.name ?? 'YOLOv5'),
    nms: String(exported.nms ?? 'unknown'),
    precision: String(exported.precision ?? 'float32'),
    embeddedNms: hasNms
      ? {
          confidence: number(exported.conf_thres, 0.25),
          iou: number(exported.iou_thres, 0.45),
          maxDetections: number(exported.max_det, 100),
        }
      : null,
  };
}

/** The value as a non-empty list of valid items; throws `model-corrupt` otherwise. */
function list<T = any>(value: unknown, field: string, isValid: (x: any) => boolean): T[] {
  if (!Array.isArray(value) || !value.length || value.length > 100_000 || !value.every(isValid))
    throw corrupt(`\`${field}\` is missing or invalid`);
  return value;
}

function number(value: unknown, fallback: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : fallback;
}

/** Text from an untrusted file, made safe and short enough for a message. */
function printable(value: unknown): string {
  return String(value ?? 'not given').replace(/[^\w -]/g, '').slice(0, 40);
}

function corrupt(reason: string): DetectorError {
  return new DetectorError('model-corrupt', `The model's metadata is damaged: ${reason}.`, 'Export the model again.');
}
