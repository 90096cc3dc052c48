/** Remembers the fastest engine per model, in the browser's localStorage. */

import type { Contract } from '../contract';
import { type EngineId, findEngine } from './table';
import type { PackedModel } from './runner';

const PREFIX = 'tfyolo-engine:';

/** The fastest engine of an earlier visit and its median inference time. */
export interface RememberedEngine {
  readonly engine: EngineId;
  readonly milliseconds: number;
}

/** Storage key for a model in this browser: a new version of either gives a new key, so the engines are timed again. */
export async function engineKey(model: PackedModel, contract: Contract): Promise<string> {
  const bytes = model.kind === 'tflite' ? model.bytes : model.weights;
  const isolated = globalThis.crossOriginIsolated ? 'threads' : 'one thread';
  let hash = String(bytes.byteLength);
  // Hashing needs a secure context (https or localhost). Without one the length has to distinguish models.
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    hash = Array.from(digest.subarray(0, 12), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  return `${PREFIX}${hash}:${contract.imageSize.join('x')}:${isolated}:${navigator.userAgent}`;
}

/** The remembered engine; null if there is none, or if the entry is invalid. */
export function recallEngine(key: string): RememberedEngine | null {
  try {
    const stored = JSON.parse(localStorage.getItem(key) ?? 'null');
    return stored && findEngine(stored.engine) && Number.isFinite(stored.milliseconds) ? stored : null;
  } catch {
    return null; // localStorage is unavailable, as in private windows
  }
}

/** Store the engine for a key; null removes the entry. */
export function rememberEngine(key: string, value: RememberedEngine | null): void {
  try {
    if (value) localStorage.setItem(key, JSON.stringify(value));
    else localStorage.removeItem(key);
  } catch {
    // localStorage is unavailable: engines are timed again on the next visit.
  }
}
