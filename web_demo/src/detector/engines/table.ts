/** Registry of inference engines. To add one, add an entry here and support for it in the worker of its model format. */

export type ModelKind = 'tflite' | 'tfjs';

export type EngineId =
  | 'litert-wasm-threads'
  | 'litert-wasm'
  | 'litert-webgpu'
  | 'tfjs-wasm'
  | 'tfjs-webgpu'
  | 'tfjs-webgl'
  | 'tfjs-cpu';

/** An inference engine: a runtime (LiteRT.js or TF.js) on a device. */
export interface Engine {
  readonly id: EngineId;
  readonly kind: ModelKind;
  /** Name shown to the user. */
  readonly label: string;
/** Device that runs the model. `auto` skips a GPU that is emulated in software. */
  readonly device: 'cpu' | 'webgl' | 'webgpu';
  /** Needs SharedArrayBuffer, and therefore the COOP and COEP headers. */
  readonly isolated: boolean;
  /** `auto` tries this engine only if no other engine for the model format works. */
  readonly fallbackOnly: boolean;
}

const entry = (
  id: EngineId,
  label: string,
  device: Engine['device'] = 'cpu',
  more: Partial<Pick<Engine, 'isolated' | 'fallbackOnly'>> = {},
): Engine => ({
  id,
  kind: id.startsWith('litert') ? 'tflite' : 'tfjs',
  label,
  device,
  isolated: false,
  fallbackOnly: false,
  ...more,
});

/** All engines, in the order in which `auto` tries them. */
export const ENGINES: readonly Engine[] = [
  entry('litert-wasm-threads', 'LiteRT.js, wasm, several threads', 'cpu', { isolated: true }),
  entry('litert-wasm', 'LiteRT.js, wasm, one thread'),
  entry('litert-webgpu', 'LiteRT.js, WebGPU', 'webgpu'),
  entry('tfjs-wasm', 'TF.js, wasm'),
  entry('tfjs-webgpu', 'TF.js, WebGPU', 'webgpu'),
  entry('tfjs-webgl', 'TF.js, WebGL', 'webgl'),
  entry('tfjs-cpu', 'TF.js, plain JavaScript', 'cpu', { fallbackOnly: true }),
];

/** The engine with this ID; undefined if there is none. */
export function findEngine(id: string): Engine | undefined {
  return ENGINES.find((engine) => engine.id === id);
}
