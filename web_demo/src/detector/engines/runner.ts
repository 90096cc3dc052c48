/** The interface between a worker and its inference engine. */

import type { Contract, Task } from '../contract';
import type { Outputs } from '../decode';
import { DetectorError } from '../errors';
import type { TfjsModel } from '../tfjs_folder';
import type { MemoryUse } from '../types';
import type { EngineId } from './table';

/** A model in memory: the bytes of a `.tflite`, or the graph and weights of a TF.js model. */
export type PackedModel =
  | { readonly kind: 'tflite'; readonly bytes: Uint8Array<ArrayBuffer> }
  | ({ readonly kind: 'tfjs' } & TfjsModel);

/** What a worker needs to start a model. */
export interface StartOptions {
  readonly engine: EngineId;
  readonly model: PackedModel;
  readonly contract: Contract;
  /** URL of the folder that contains litert/ and tfjs/, with a trailing slash. */
  readonly wasmFolder: string;
}

/** A model loaded by an engine, ready to run. */
export interface Runner {
  /** Type of the model's input: `uint8` (pixels 0 to 255) or `float32` (pixels scaled to 0..1 by the runner). */
  readonly input: 'uint8' | 'float32';
  /** Run the model on one image: uint8 RGB pixels (height, width, 3) of the contract's image size. Returns outputs by signature name. */
  run(pixels: Uint8Array<ArrayBuffer>): Promise<Outputs>;
  memory(): MemoryUse;
}

/** @throws DetectorError `model-shape` if the input shape is not (1, height, width, 3) of the contract. */
export function checkInput(shape: readonly number[], contract: Contract): void {
  const expected = [1, ...contract.imageSize, 3];
  if (shape.length === 4 && expected.every((size, i) => size === shape[i])) return;
  throw new DetectorError(
    'model-shape',
    `The model's input has shape (${shape.join(', ')}), but its metadata says (${expected.join(', ')}).`,
    'Export it again.',
  );
}

/** For each task, one output of every kind of exported graph. */
const OUTPUTS: Record<Task, readonly string[]> = {
  detect: ['num_detections', 'boxes', 'box_0'],
  segment: ['detection_masks', 'prototypes'],
  classify: ['probabilities', 'logits'],
};

/** @throws DetectorError `model-shape` if the outputs are those of another task than the one in the contract. */
export function checkOutputs(names: readonly string[], { task }: Contract): void {
  if (OUTPUTS[task].some((name) => names.includes(name))) return;
  throw new DetectorError(
    'model-shape',
    `The model's metadata says that its task is \`${task}\`, but its outputs are ${names.slice(0, 6).join(', ')}.`,
    'Export it again.',
  );
}

/** @throws DetectorError `engine-unavailable` if the browser offers no WebGPU adapter. */
export async function findGpu(): Promise<GPUAdapter> {
  const adapter = await (navigator.gpu as GPU | undefined)?.requestAdapter().catch(() => null);
  if (adapter) return adapter;
  throw new DetectorError(
    'engine-unavailable',
    'WebGPU is not available in this browser.',
    'Choose another engine, or turn on hardware acceleration in the browser settings.',
  );
}
