/** Types of client.js, which `tfyolo inspect public/best.tflite --snippet js` writes. */
import type { CompiledModel } from '@litertjs/core';

export interface Detection {
  readonly name: string;
  /** 0..1. */
  readonly score: number;
  /** Left, top, right, bottom in pixels of the source. */
  readonly box: readonly [number, number, number, number];
}

export function load(url?: string, wasm?: string): Promise<CompiledModel>;
export function detect(model: CompiledModel, source: ImageBitmapSource): Promise<Detection[]>;
