/** Remembers the quickest engine of a model in this browser. */

import type { Contract } from '../contract';
import { type EngineId, findEngine } from './table';
import type { PackedModel } from './runner';

const PREFIX = 'tfyolo-engine:';

export interface Remembered {
  readonly engine: EngineId;
  readonly milliseconds: number;
}

/** A name for this model on this browser: another version of either is timed anew. */
export async function modelKey(model: PackedModel, contract: Contract): Promise<string> {
  const bytes = model.kind === 'tflite' ? model.bytes : model.weights;
  const isolated = globalThis.crossOriginIsolated ? 'threads' : 'one thread';
  let hash = String(bytes.byteLength);
  // Hashing needs a secure context; the length and the names tell most models apart.
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    hash = Array.from(digest.subarray(0, 12), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  return `${PREFIX}${hash}:${contract.imageHw.join('x')}:${isolated}:${navigator.userAgent}`;
}

export function recall(key: string): Remembered | null {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? 'null');
    return found && findEngine(found.engine) && Number.isFinite(found.milliseconds) ? found : null;
  } catch {
    return null; // no storage, as in private windows
  }
}

export function remember(key: string, value: Remembered | null): void {
  try {
    if (value) localStorage.setItem(key, JSON.stringify(value));
    else localStorage.removeItem(key);
  } catch {
    // Without storage it is timed anew.
  }
}
