/** Runs `.tflite` files with LiteRT.js. */

import * as litert from '@litertjs/core';

import type { Output } from '../decode';
import { DetectorError } from '../errors';
import { checkInput, findGpu, type Runner, type StartOptions } from './runner';
import { serve } from './serve';

const BUILDS = {
  'litert-wasm': { file: 'litert_wasm_internal.js', options: {} },
  'litert-wasm-threads': { file: 'litert_wasm_threaded_internal.js', options: { threads: true } },
  // The graph's suppression stays on the CPU, which LiteRT can mix with WebGPU in its build with stack switching.
  'litert-webgpu': { file: 'litert_wasm_jspi_internal.js', options: { jspi: true } },
} as const;

async function start({ engine, model, contract, wasmFolder }: StartOptions): Promise<Runner> {
  if (model.kind !== 'tflite' || !(engine in BUILDS)) throw new Error(`${engine} does not run ${model.kind}`);
  const build = BUILDS[engine as keyof typeof BUILDS];
  const onGpu = engine === 'litert-webgpu';
  if (onGpu) await findGpu();
  if (onGpu && !('Suspending' in WebAssembly))
    throw new DetectorError(
      'engine-unavailable',
      'LiteRT.js with WebGPU needs a browser with WebAssembly stack switching.',
      'Choose another engine.',
    );
  await loadGlue(`${wasmFolder}litert/${build.file}`);
  const wasm = (await litert.loadLiteRt(`${wasmFolder}litert/`, build.options)).liteRtWasm as { HEAPU8?: Uint8Array };
  let compiled: litert.CompiledModel;
  try {
    compiled = await litert.loadAndCompile(model.bytes, {
      accelerator: onGpu ? 'webgpu' : 'wasm',
      ...(onGpu ? {} : { cpuOptions: { numThreads: engine === 'litert-wasm' ? 1 : threads() } }),
    });
  } catch (error) {
    if (onGpu) throw new DetectorError('engine-unavailable', `WebGPU cannot run this model: ${line(error)}.`, 'Choose another engine.');
    throw new DetectorError('model-corrupt', `LiteRT cannot read this model: ${line(error)}.`, 'Export it again.');
  }
  const input = compiled.getInputDetails().find((tensor) => tensor.name === 'images');
  if (!input) throw new DetectorError('model-shape', 'The model has no input `images`.', 'Export it again.');
  const shape = Array.from(input.shape);
  checkInput(shape, contract);
  const integer = input.dtype === 'uint8';
  const floats = integer ? null : new Float32Array(shape.reduce((a, b) => a * b));
  return {
    input: integer ? 'uint8' : 'float32',
    async run(pixels) {
      if (floats) for (let i = 0; i < floats.length; i++) floats[i] = pixels[i]! / 255;
      const tensor = new litert.Tensor(floats ?? pixels, shape);
      const results = await compiled.run({ images: tensor }).finally(() => tensor.delete());
      const outputs: Record<string, Output> = {};
      try {
        for (const [name, result] of Object.entries(results)) {
          const data = await result.data();
          // A copy: the data lies in wasm memory, which is given back.
          outputs[name] = { data: Float32Array.from(data), shape: Array.from(result.type.layout.dimensions) };
        }
      } finally {
        for (const result of Object.values(results)) result.delete();
      }
      return outputs;
    },
    memory: () => ({ tensors: 0, bytes: wasm.HEAPU8?.byteLength ?? null }),
  };
}

/** As many as there are cores, up to four, as in Python. */
function threads(): number {
  return Math.min(navigator.hardwareConcurrency || 1, 4);
}

/**
 * LiteRT.js loads its glue with importScripts(), which module workers refuse. scripts/prepare.mjs has made the glue
 * a module that leaves its factory where LiteRT.js looks for it, so that importScripts has nothing left to do.
 */
async function loadGlue(address: string): Promise<void> {
  await import(/* @vite-ignore */ address);
  const scope = self as unknown as { importScripts(): void; Module: object };
  scope.importScripts = () => {};
  scope.Module = {
    locateFile: (file: string) => new URL(file, address).href,
    print: () => {}, // notes on every start
    printErr: (said: string) => {
      if (/^(ERROR|E\d|F\d)/.test(said)) console.warn(said);
    },
    mainScriptUrlOrBlob: address.replace(/\.js$/, '.classic.js'), // its threads are classic workers
  };
}

function line(error: unknown): string {
  return String((error as Error)?.message ?? error).split('\n')[0]!.slice(0, 160).replace(/\.$/, '');
}

serve(start);
