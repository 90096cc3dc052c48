/** Fetches or reads a model, whatever it is given as. */

import type { Contract } from './contract';
import type { PackedModel } from './engines/runner';
import { DetectorError } from './errors';
import { readTflite } from './tflite_file';
import { readModelJson } from './tfjs_folder';
import type { ModelInput } from './types';

/** Larger ones are refused before they fill the memory. */
const MOST_BYTES = 1 << 30;

export interface LoadedModel {
  readonly model: PackedModel;
  readonly contract: Contract;
  readonly bytes: number;
}

type OnBytes = (done: number, total: number) => void;

/** @throws DetectorError that says what is wrong with it. */
export async function loadModel(input: ModelInput, onBytes: OnBytes): Promise<LoadedModel> {
  if (typeof input === 'string' || input instanceof URL) return loadAddress(new URL(input, document.baseURI), onBytes);
  if (input instanceof ArrayBuffer) return tflite(new Uint8Array(input));
  if (input instanceof Blob && !(input instanceof File)) return tflite(await bytesOf(input));
  return loadFiles(input instanceof File ? [input] : [...input]);
}

async function loadAddress(address: URL, onBytes: OnBytes): Promise<LoadedModel> {
  if (!address.pathname.endsWith('.json')) return tflite(await download(address, onBytes));
  const { contract, json, shards } = readModelJson(new TextDecoder().decode(await download(address, () => {})));
  const parts: Uint8Array[] = [];
  let done = 0;
  for (const name of shards) {
    // Shards have one size, but for the last.
    const part = await download(new URL(name, address), (now) => onBytes(done + now, 0));
    done += part.length;
    parts.push(part);
  }
  return tfjs(contract, json, parts);
}

async function loadFiles(files: readonly File[]): Promise<LoadedModel> {
  const lite = files.find((file) => file.name.endsWith('.tflite'));
  if (lite) return tflite(await bytesOf(lite));
  const description = files.find((file) => file.name === 'model.json');
  if (!description)
    throw new DetectorError(
      'model-unknown',
      'Among these files is no model.',
      'Choose a `.tflite` file, or `model.json` together with its `.bin` files.',
    );
  const { contract, json, shards } = readModelJson(await description.text());
  const parts = await Promise.all(
    shards.map((name) => {
      const shard = files.find((file) => file.name === name);
      if (!shard)
        throw new DetectorError('model-corrupt', `\`${name}\` is missing.`, 'Choose the whole folder of the model.');
      return bytesOf(shard);
    }),
  );
  return tfjs(contract, json, parts);
}

async function tflite(bytes: Uint8Array<ArrayBuffer>): Promise<LoadedModel> {
  return { model: { kind: 'tflite', bytes }, contract: await readTflite(bytes), bytes: bytes.length };
}

function tfjs(contract: Contract, json: Record<string, unknown>, parts: readonly Uint8Array[]): LoadedModel {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  const weights = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    weights.set(part, at);
    at += part.length;
  }
  return { model: { kind: 'tfjs', json, weights: weights.buffer }, contract, bytes };
}

async function bytesOf(file: Blob): Promise<Uint8Array<ArrayBuffer>> {
  if (file.size > MOST_BYTES) throw tooLarge();
  return new Uint8Array(await file.arrayBuffer());
}

async function download(address: URL, onBytes: OnBytes): Promise<Uint8Array<ArrayBuffer>> {
  const failed = (why: string) =>
    new DetectorError('model-download', `The model at ${address.href} ${why}.`, 'Check the address and the connection.');
  let response: Response;
  try {
    response = await fetch(address);
  } catch {
    throw failed('cannot be reached');
  }
  if (!response.ok) throw failed(`cannot be fetched (HTTP ${response.status})`);
  // With Content-Encoding the length counts packed bytes, which tell nothing of what arrives.
  const total = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length')) || 0;
  if (total > MOST_BYTES) throw tooLarge();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  onBytes(0, total);
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array<ArrayBuffer>>) {
      chunks.push(chunk);
      done += chunk.length;
      if (done > MOST_BYTES) throw tooLarge();
      onBytes(done, total);
    }
  } catch (error) {
    throw error instanceof DetectorError ? error : failed('broke off while it was fetched');
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function tooLarge(): DetectorError {
  return new DetectorError('memory', 'This model is larger than 1 GiB.', 'Use a smaller one.');
}
