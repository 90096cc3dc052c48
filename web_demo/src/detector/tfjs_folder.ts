/** Reads the contract of a TF.js model from `userDefinedMetadata` in its model.json. */

import { type Contract, readContract } from './contract';
import { DetectorError } from './errors';

/** A graph model in memory, in the form that TF.js' `getModelArtifactsForJSON` takes. */
export interface TfjsModel {
  /** The parsed model.json. */
  readonly json: Record<string, unknown>;
  /** All weight shards, concatenated in the order of the manifest. */
  readonly weights: ArrayBuffer;
}

/**
 * Parse a model.json.
 *
 * @returns the contract, the parsed JSON and the file names of the weight shards.
 * @throws DetectorError `model-unknown`, `model-without-contract`, `model-corrupt` or `model-task`.
 */
export function readModelJson(text: string): { contract: Contract; json: Record<string, unknown>; shards: string[] } {
  let json: any;
  try {
    json = JSON.parse(text);
  } catch {
    throw new DetectorError('model-corrupt', 'model.json is not valid JSON.', 'Export the model again.');
  }
  const manifest = json?.weightsManifest;
  if (json?.format !== 'graph-model' || !Array.isArray(manifest))
    throw new DetectorError(
      'model-unknown',
      'This is not a TF.js graph model.',
      'Export one with `tfyolo export --include tfjs`.',
    );
  const metadata = json.userDefinedMetadata?.tfyolo;
  if (!metadata)
    throw new DetectorError(
      'model-without-contract',
      'This TF.js model has no tfyolo metadata, so its class names are unknown.',
      'Export it with `tfyolo export --include tfjs`.',
    );
  const shards = manifest.flatMap((group: any) => group?.paths ?? []);
  // Only plain file names are accepted: a path or a URL could point outside of the model's folder.
  if (!shards.every((name) => typeof name === 'string' && /^[\w.-]+$/.test(name) && name !== '.' && name !== '..'))
    throw new DetectorError('model-corrupt', 'model.json refers to files outside of its folder.', 'Export the model again.');
  // A file that is listed again and again would be downloaded and stored as often.
  if (new Set(shards).size < shards.length)
    throw new DetectorError('model-corrupt', 'model.json lists a file of weights twice.', 'Export the model again.');
  return { contract: readContract(metadata), json, shards };
}
