/** Loads a model from a URL, a file, several files or a buffer. */

import type { Contract } from './contract';
import type { PackedModel } from './engines/runner';
import { DetectorError } from './errors';
import { chunksOf } from './streams';
import { isTfliteContent, isTfliteName, readTflite } from './tflite_file';
import { readModelJson } from './tfjs_folder';
import type { ModelInput } from './types';

/** Size limit of all files of a model together: larger models are rejected before they fill the memory. */
const MAX_BYTES = 1 << 30;

/** A model in memory, its metadata, and its size in bytes. */
export interface LoadedModel {
  readonly model: PackedModel;
  readonly contract: Contract;
  readonly bytes: number;
}

type OnBytes = (done: number, total: number) => void;

/**
 * Load a model into memory and read its contract.
 *
 * @param onBytes - called with the bytes downloaded so far and in total (0 if unknown).
 * @throws DetectorError `model-download`, `model-unknown`, `model-corrupt`, `model-without-contract`, `model-task` or `memory`.
 */
export async function loadModel(input: ModelInput, onBytes: OnBytes): Promise<LoadedModel> {
  if (typeof input === 'string' || input instanceof URL) return loadUrl(new URL(input, document.baseURI), onBytes);
  if (input instanceof ArrayBuffer) return tflite(new Uint8Array(input));
  if (input instanceof Blob && !(input instanceof File)) return tflite(await bytesOf(input));
  return loadFiles(input instanceof File ? [input] : [...input]);
}

async function loadUrl(address: URL, onBytes: OnBytes): Promise<LoadedModel> {
  if (!address.pathname.endsWith('.json')) return tflite(await download(address, MAX_BYTES, onBytes));
  const text = await download(address, MAX_BYTES, () => {});
  const { contract, json, shards } = readModelJson(new TextDecoder().decode(text));
  const parts: Uint8Array[] = [];
  let done = 0;
  for (const name of shards) {
    // The total size is unknown until the last shard has been requested.
    const part = await download(new URL(name, address), MAX_BYTES - text.length - done, (now) => onBytes(done + now, 0));
    done += part.length;
    parts.push(part);
  }
  return tfjs(contract, json, parts);
}

async function loadFiles(files: readonly File[]): Promise<LoadedModel> {
  const modelJson = files.find((file) => file.name === 'model.json');
  const tfliteFile = files.find((file) => isTfliteName(file.name)) ?? (modelJson ? undefined : await findTflite(files));
  if (tfliteFile) return tflite(await bytesOf(tfliteFile));
  if (!modelJson)
    throw new DetectorError(
      'model-unknown',
      'None of these files is a model.',
      'Choose a `.tflite` file, or `model.json` together with its `.bin` files.',
    );
  const { contract, json, shards } = readModelJson(new TextDecoder().decode(await bytesOf(modelJson)));
  const parts = shards.map((name) => {
    const shard = files.find((file) => file.name === name);
    if (!shard)
      throw new DetectorError('model-corrupt', `\`${name}\` is missing.`, 'Choose the whole model folder.');
    return shard;
  });
  if (parts.reduce((sum, { size }) => sum + size, modelJson.size) > MAX_BYTES) throw tooLarge();
  return tfjs(contract, json, await Promise.all(parts.map(bytesOf)));
}

/** The first file whose content is that of a `.tflite`, for files that were renamed. */
async function findTflite(files: readonly File[]): Promise<File | undefined> {
  for (const file of files) if (await isTfliteContent(file)) return file;
  return undefined;
}

async function tflite(bytes: Uint8Array<ArrayBuffer>): Promise<LoadedModel> {
  return { model: { kind: 'tflite', bytes }, contract: await readTflite(bytes), bytes: bytes.length };
}

function tfjs(contract: Contract, json: Record<string, unknown>, parts: readonly Uint8Array[]): LoadedModel {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const weights = new Uint8Array(bytes);
  let offset = 0;
  for (const part of parts) {
    weights.set(part, offset);
    offset += part.length;
  }
  return { model: { kind: 'tfjs', json, weights: weights.buffer }, contract, bytes };
}

async function bytesOf(file: Blob): Promise<Uint8Array<ArrayBuffer>> {
  if (file.size > MAX_BYTES) throw tooLarge();
  return new Uint8Array(await file.arrayBuffer());
}

/** @param limit - maximum size in bytes. */
async function download(address: URL, limit: number, onBytes: OnBytes): Promise<Uint8Array<ArrayBuffer>> {
  const failed = (reason: string) =>
    new DetectorError('model-download', `The model at ${address.href} ${reason}.`, 'Check the address and the connection.');
  let response: Response;
  try {
    response = await fetch(address);
  } catch {
    throw failed('cannot be reached');
  }
  if (!response.ok) throw failed(`cannot be downloaded (HTTP ${response.status})`);
  // With Content-Encoding, Content-Length counts compressed bytes, but the stream below yields decompressed ones.
  const total = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length')) || 0;
  if (total > limit) throw tooLarge();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  onBytes(0, total);
  try {
    for await (const chunk of chunksOf(response.body!)) {
      chunks.push(chunk);
      done += chunk.length;
      if (done > limit) throw tooLarge();
      onBytes(done, total);
    }
  } catch (error) {
    throw error instanceof DetectorError ? error : failed('could not be downloaded completely');
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function tooLarge(): DetectorError {
  return new DetectorError('memory', 'This model is larger than 1 GiB.', 'Use a smaller model.');
}
