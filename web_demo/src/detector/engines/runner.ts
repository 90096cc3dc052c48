/** What a worker asks of an engine. */

import type { Contract } from '../contract';
import type { Outputs } from '../decode';
import { DetectorError } from '../errors';
import type { TfjsModel } from '../tfjs_folder';
import type { MemoryUse } from '../types';
import type { EngineId } from './table';

/** A model in memory; which one says `kind`. */
export type PackedModel =
  | { readonly kind: 'tflite'; readonly bytes: Uint8Array<ArrayBuffer> }
  | ({ readonly kind: 'tfjs' } & TfjsModel);

export interface StartOptions {
  readonly engine: EngineId;
  readonly model: PackedModel;
  readonly contract: Contract;
  /** Address of the folder that holds litert/ and tfjs/; ends with a slash. */
  readonly wasmFolder: string;
}

/** A model on an engine. */
export interface Runner {
  /** `uint8` takes the pixels as they are, `float32` in 0..1. */
  readonly input: 'uint8' | 'float32';
  /** One RGB image, as large as the contract says; gives outputs by signature name. */
  run(pixels: Uint8Array<ArrayBuffer>): Promise<Outputs>;
  memory(): MemoryUse;
}

/** @throws DetectorError where the input is not (1, height, width, 3) of the contract. */
export function checkInput(shape: readonly number[], contract: Contract): void {
  const wanted = [1, ...contract.imageHw, 3];
  if (shape.length === 4 && wanted.every((size, i) => size === shape[i])) return;
  throw new DetectorError(
    'model-shape',
    `The model's input is (${shape.join(', ')}), and its description says (${wanted.join(', ')}).`,
    'Export it again.',
  );
}

/** The GPU, for engines that compute on it. */
export async function findGpu(): Promise<GPUAdapter> {
  const adapter = await (navigator.gpu as GPU | undefined)?.requestAdapter().catch(() => null);
  if (adapter) return adapter;
  throw new DetectorError(
    'engine-unavailable',
    'This browser has no WebGPU here.',
    'Choose another engine, or turn on graphics acceleration in the browser.',
  );
}
