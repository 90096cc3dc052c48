/** Reads what a TF.js folder says about itself: `userDefinedMetadata` of model.json. */

import { type Contract, readContract } from './contract';
import { DetectorError } from './errors';

/** A graph model in memory, as TF.js' `getModelArtifactsForJSON` wants it. */
export interface TfjsModel {
  /** The object in model.json. */
  readonly json: Record<string, unknown>;
  /** All shards, one behind the other. */
  readonly weights: ArrayBuffer;
}

/**
 * The contract and the names of the shards.
 *
 * @throws DetectorError `model-unknown`, `model-without-contract`, `model-corrupt` or `model-task`.
 */
export function readModelJson(text: string): { contract: Contract; json: Record<string, unknown>; shards: string[] } {
  let json: any;
  try {
    json = JSON.parse(text);
  } catch {
    throw new DetectorError('model-corrupt', 'model.json is no JSON.', 'Export the model again.');
  }
  const manifest = json?.weightsManifest;
  if (json?.format !== 'graph-model' || !Array.isArray(manifest))
    throw new DetectorError(
      'model-unknown',
      'This is no TF.js graph model.',
      'Write one with `tfyolo export --include tfjs`.',
    );
  const described = json.userDefinedMetadata?.tfyolo;
  if (!described)
    throw new DetectorError(
      'model-without-contract',
      'This TF.js model does not say what it detects.',
      'Write it with `tfyolo export --include tfjs`.',
    );
  const shards = manifest.flatMap((group: any) => group?.paths ?? []);
  // A shard lies beside model.json; an address of its own could be anywhere.
  if (!shards.every((name) => typeof name === 'string' && /^[\w.-]+$/.test(name)))
    throw new DetectorError('model-corrupt', 'model.json names shards outside of its folder.', 'Export it again.');
  return { contract: readContract(described), json, shards };
}
