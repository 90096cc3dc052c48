// Runs a TF.js graph model for ../runtime.py: `node run.mjs FOLDER`, images on stdin, outputs on stdout.
//
// in:  byte length (uint32, little-endian), float32 image (1, height, width, 3) in 0..1, until the stream ends
// out: byte length (uint32), JSON header {error} or {outputs: [{name, shape}]}, then each output as float32
// The first output message needs no image: {backend, outputs: names, shape: of the input}.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';

console.log = console.info = console.error; // stdout is reserved for the protocol
console.warn = () => {}; // performance warnings, one per image

const INPUT = 'images';

async function chooseBackend() {
  const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(path.dirname(entry) + path.sep);
  // If a backend cannot start, TF.js keeps the previous one without an error.
  for (const name of ['wasm', 'cpu']) {
    if (await tf.setBackend(name).catch(() => false)) {
      await tf.ready();
      return tf.getBackend();
    }
  }
  throw new Error('neither the wasm nor the cpu backend starts');
}

/** Load the model from files; TF.js' own loader would fetch URLs in model.json. */
async function loadFolder(folder) {
  const description = JSON.parse(fs.readFileSync(path.join(folder, 'model.json'), 'utf8'));
  const loadWeights = async (manifest) => {
    const names = manifest.flatMap((group) => group.paths);
    const bytes = Buffer.concat(names.map((name) => fs.readFileSync(path.join(folder, name))));
    const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    return [manifest.flatMap((group) => group.weights), data];
  };
  return loadGraphModel({ load: () => tf.io.getModelArtifactsForJSON(description, loadWeights) });
}

// Reads and writes may block, since the process has no other work.
function readExactly(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const count = fs.readSync(0, bytes, at, size - at, null);
    if (count === 0) return null;
    at += count;
  }
  return bytes;
}

function write(bytes) {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(1, bytes, at);
}

function send(header, arrays = []) {
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(text.length);
  write(Buffer.concat([size, text]));
  for (const array of arrays) write(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
}

async function run(model, names, shape, bytes) {
  const pixels = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const image = tf.tensor(pixels, shape, 'float32');
  // NMS operations are asynchronous: execute() refuses graphs that hold one.
  const outputs = [await model.executeAsync({ [INPUT]: image }, names)].flat(); // a single output is not in an array
  const arrays = await Promise.all(outputs.map((x) => x.data()));
  const header = { outputs: names.map((name, i) => ({ name, shape: outputs[i].shape })) };
  tf.dispose([image, ...outputs]);
  send(header, arrays.map((x) => (x instanceof Float32Array ? x : Float32Array.from(x))));
}

try {
  const backend = await chooseBackend();
  const model = await loadFolder(process.argv[2]);
  const names = Object.keys(model.modelSignature.outputs);
  const shape = model.modelSignature.inputs[INPUT].tensorShape.dim.map((d) => Number(d.size));
  send({ backend, outputs: names, shape });
  for (let size; (size = readExactly(4)); ) {
    const bytes = readExactly(size.readUInt32LE());
    if (bytes === null) break;
    await run(model, names, shape, bytes);
  }
} catch (error) {
  send({ error: String(error?.message ?? error).split('\n')[0] });
  process.exitCode = 1;
}
