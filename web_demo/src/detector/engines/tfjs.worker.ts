/** Runs TF.js graph models. */

import { type GraphModel, loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';

import type { Output } from '../decode';
import { DetectorError } from '../errors';
import { checkInput, checkOutputs, findGpu, type Runner, type StartOptions } from './runner';
import { serve } from './serve';

const BACKENDS: Record<string, (wasmFolder: string) => Promise<string>> = {
  'tfjs-wasm': async (wasmFolder) => {
    const backend = await import('@tensorflow/tfjs-backend-wasm');
    backend.setWasmPaths(`${wasmFolder}tfjs/`);
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false); // the threaded build fails after minification
    return 'wasm';
  },
  'tfjs-webgl': async () => {
    await import('@tensorflow/tfjs-backend-webgl');
    return 'webgl';
  },
  'tfjs-webgpu': async () => {
    await findGpu();
    await import('@tensorflow/tfjs-backend-webgpu');
    return 'webgpu';
  },
  'tfjs-cpu': async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    return 'cpu';
  },
};

async function start({ engine, model, contract, wasmFolder }: StartOptions): Promise<Runner> {
  const backend = BACKENDS[engine];
  if (model.kind !== 'tfjs' || !backend) throw new Error(`${engine} does not run ${model.kind}`);
  const name = await backend(wasmFolder);
  // setBackend() may fail silently and leave the previous backend active.
  const accepted = await tf.setBackend(name).catch(() => false);
  if (!accepted || tf.getBackend() !== name)
    throw new DetectorError('engine-unavailable', `The TF.js backend ${name} is not available in this browser.`, 'Choose another engine.');
  await tf.ready();
  const graph = await loadGraph(model.json, model.weights);
  const input = graph.inputs.find((tensor) => tensor.name.split(':')[0] === 'images') ?? graph.inputs[0];
  const shape = input?.shape ?? [];
  checkInput(shape, contract);
  const names = Object.keys((graph.modelSignature as { outputs: object }).outputs);
  checkOutputs(names, contract);
  // NMS operations are asynchronous: execute() rejects graphs that contain them; executeAsync() warns about all others.
  const nodes = (model.json as { modelTopology?: { node?: { op: string }[] } }).modelTopology?.node ?? [];
  const isAsync = nodes.some((node) => node.op.startsWith('NonMaxSuppression'));
  const floats = new Float32Array(shape.reduce((a, b) => a * b, 1));
  return {
    input: 'float32',
    async run(pixels) {
      for (let i = 0; i < floats.length; i++) floats[i] = pixels[i]! / 255;
      const image = tf.tensor(floats, shape, 'float32');
      let results: tf.Tensor[] = [];
      try {
        const pending = isAsync ? graph.executeAsync({ images: image }, names) : graph.execute({ images: image }, names);
        results = [await pending].flat(); // a single output is not returned as a list
        const data = await Promise.all(results.map((result) => result.data()));
        const outputs: Record<string, Output> = {};
        names.forEach((key, i) => {
          outputs[key] = { data: new Float32Array(data[i]!), shape: results[i]!.shape };
        });
        return outputs;
      } finally {
        tf.dispose([image, ...results]);
      }
    },
    memory: () => {
      const { numTensors, numBytes } = tf.memory();
      return { tensors: numTensors, bytes: numBytes };
    },
  };
}

/** Load the graph from memory; TF.js' own loader would fetch the shards again. */
async function loadGraph(json: Record<string, unknown>, weights: ArrayBuffer): Promise<GraphModel> {
  try {
    const artifacts = await tf.io.getModelArtifactsForJSON(json as unknown as tf.io.ModelJSON, async (manifest) => [
      manifest.flatMap((group) => group.weights),
      weights,
    ]);
    return await loadGraphModel({ load: async () => artifacts });
  } catch (error) {
    throw new DetectorError(
      'model-corrupt',
      `TF.js cannot read this model: ${String((error as Error).message).split('\n')[0]!.slice(0, 160)}.`,
      'Check that all of its shards are present, or export it again.',
    );
  }
}

serve(start);
