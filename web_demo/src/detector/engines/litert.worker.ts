/** Runs `.tflite` files with LiteRT.js. */

import * as litert from '@litertjs/core';

import type { Output } from '../decode';
import { DetectorError } from '../errors';
import { checkInput, checkOutputs, findGpu, type Runner, type StartOptions } from './runner';
import { serve } from './serve';

const BUILDS = {
  'litert-wasm': { file: 'litert_wasm_internal.js', options: {} },
  'litert-wasm-threads': { file: 'litert_wasm_threaded_internal.js', options: { threads: true } },
  // NMS inside the graph runs on the CPU; only LiteRT's build with stack switching (JSPI) can mix CPU and WebGPU.
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
      'LiteRT.js with WebGPU needs a browser that supports WebAssembly stack switching (JSPI).',
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
    if (onGpu) throw new DetectorError('engine-unavailable', `WebGPU cannot run this model: ${firstLine(error)}.`, 'Choose another engine.');
    throw new DetectorError('model-corrupt', `LiteRT cannot read this model: ${firstLine(error)}.`, 'Export it again.');
  }
  const input = compiled.getInputDetails().find((tensor) => tensor.name === 'images');
  if (!input) throw new DetectorError('model-shape', 'The model has no input named `images`.', 'Export it again.');
  const shape = Array.from(input.shape);
  checkInput(shape, contract);
  checkOutputs(compiled.getOutputDetails().map((tensor) => tensor.name), contract);
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
          // Copied, because the data is in wasm memory, which delete() frees.
          outputs[name] = { data: data instanceof Uint8Array ? data.slice() : new Float32Array(data), shape: Array.from(result.type.layout.dimensions) };
        }
      } finally {
        for (const result of Object.values(results)) result.delete();
      }
      return outputs;
    },
    memory: () => ({ tensors: 0, bytes: wasm.HEAPU8?.byteLength ?? null }),
  };
}

/** Number of threads: the number of cores, at most 4, as in Python. */
function threads(): number {
  return Math.min(navigator.hardwareConcurrency || 1, 4);
}

/**
 * LiteRT.js loads its glue code with importScripts(), which module workers do not support. scripts/prepare.mjs has
 * turned the glue code into a module that stores its factory in the global variable where LiteRT.js looks for it, so
 * importScripts() can do nothing.
 */
async function loadGlue(address: string): Promise<void> {
  await import(/* @vite-ignore */ address);
  const scope = self as unknown as { importScripts(): void; Module: object };
  scope.importScripts = () => {};
  scope.Module = {
    locateFile: (file: string) => new URL(file, address).href,
    print: () => {}, // suppress informational output
    printErr: (message: string) => {
      if (/^(ERROR|E\d|F\d)/.test(message)) console.warn(message);
    },
    mainScriptUrlOrBlob: address.replace(/\.js$/, '.classic.js'), // LiteRT starts its threads as classic workers
  };
}

function firstLine(error: unknown): string {
  return String((error as Error)?.message ?? error).split('\n')[0]!.slice(0, 160).replace(/\.$/, '');
}

serve(start);
