/** Failures as sentences that say what to do. */

import { DetectorError } from '../detector';

const CAMERA: Record<string, string> = {
  NotAllowedError: 'The camera was refused. Allow it in the browser’s address bar or settings, then press Camera again.',
  NotFoundError: 'No camera was found. Connect one, then press Camera again, or choose images instead.',
  OverconstrainedError: 'This camera is gone. Choose another one, or press Camera again.',
  NotReadableError: 'The camera is in use by another program. Close that program, then press Camera again.',
  AbortError: 'The camera did not start. Press Camera again, or connect it anew.',
};

export const NO_CAMERA_HERE =
  'Browsers give the camera to secure pages only. Open this page on https:// or on localhost.';
export const CAMERA_ENDED = 'The camera has stopped. Connect it again, then press Camera.';
export const START_FAILED = 'No model is running. Choose another one under “Model”, or load the page again.';

export function describeCameraError(error: unknown): string {
  return CAMERA[nameOf(error)] ?? `The camera failed: ${sentence(messageOf(error))} Press Camera again.`;
}

export function describeVideoError(name: string): string {
  return `“${name}” does not play in this browser. Use an MP4 (H.264) or WebM file.`;
}

export function describeError(error: unknown): string {
  if (error instanceof DetectorError) return [sentence(error.message), error.fix].filter(Boolean).join(' ');
  if (nameOf(error) === 'RangeError' || /out of memory|allocation/i.test(messageOf(error)))
    return 'The memory is exhausted. Close other tabs, or use a smaller image or model.';
  return `Something failed: ${sentence(messageOf(error))} Load the page again if it does not go on.`;
}

function nameOf(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.name : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.message : String(error);
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
