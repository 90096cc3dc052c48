/** The engines, by kind of file. Adding one is adding an entry here and a runner in the worker of its family. */

export type ModelKind = 'tflite' | 'tfjs';

export type EngineId =
  | 'litert-wasm-threads'
  | 'litert-wasm'
  | 'litert-webgpu'
  | 'tfjs-wasm'
  | 'tfjs-webgpu'
  | 'tfjs-webgl'
  | 'tfjs-cpu';

export interface Engine {
  readonly id: EngineId;
  readonly kind: ModelKind;
  /** For people. */
  readonly label: string;
  /** Where it computes; a GPU that is emulated is left to those who ask for it. */
  readonly device: 'cpu' | 'webgl' | 'webgpu';
  /** Needs SharedArrayBuffer, which needs COOP and COEP. */
  readonly isolated: boolean;
  /** `auto` tries it only if no other of its kind works. */
  readonly lastResort: boolean;
}

const entry = (
  id: EngineId,
  label: string,
  device: Engine['device'] = 'cpu',
  more: Partial<Pick<Engine, 'isolated' | 'lastResort'>> = {},
): Engine => ({
  id,
  kind: id.startsWith('litert') ? 'tflite' : 'tfjs',
  label,
  device,
  isolated: false,
  lastResort: false,
  ...more,
});

/** In the order in which `auto` tries them. */
export const ENGINES: readonly Engine[] = [
  entry('litert-wasm-threads', 'LiteRT.js, wasm, several threads', 'cpu', { isolated: true }),
  entry('litert-wasm', 'LiteRT.js, wasm, one thread'),
  entry('litert-webgpu', 'LiteRT.js, WebGPU', 'webgpu'),
  entry('tfjs-wasm', 'TF.js, wasm'),
  entry('tfjs-webgpu', 'TF.js, WebGPU', 'webgpu'),
  entry('tfjs-webgl', 'TF.js, WebGL', 'webgl'),
  entry('tfjs-cpu', 'TF.js, plain JavaScript', 'cpu', { lastResort: true }),
];

export function findEngine(id: string): Engine | undefined {
  return ENGINES.find((engine) => engine.id === id);
}
