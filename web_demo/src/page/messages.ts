/** Converts errors to messages that say what went wrong and what the user can do. */

import { DetectorError } from '../detector';

const CAMERA: Record<string, string> = {
  NotAllowedError: 'Camera access was denied. Allow it in the browser’s address bar or settings, then press Camera again.',
  NotFoundError: 'No camera was found. Connect a camera and press Camera again, or choose images instead.',
  OverconstrainedError: 'This camera is no longer available. Choose another one, or press Camera again.',
  NotReadableError: 'The camera is in use by another application. Close it, then press Camera again.',
  AbortError: 'The camera could not be started. Press Camera again, or reconnect the camera.',
};

export const CAMERA_NEEDS_HTTPS =
  'The camera is only available on secure pages. Open this page with https:// or on localhost.';
export const CAMERA_ENDED = 'The camera was disconnected. Reconnect it, then press Camera.';
export const NO_MODEL_RUNNING = 'No model is running. Choose another model under “Model”, or reload the page.';

export function describeCameraError(error: unknown): string {
  return CAMERA[nameOf(error)] ?? `The camera failed: ${sentence(messageOf(error))} Press Camera again.`;
}

export function describeVideoError(name: string): string {
  return `“${name}” cannot be played in this browser. Use an MP4 (H.264) or WebM file.`;
}

export function describeError(error: unknown): string {
  if (error instanceof DetectorError) return [sentence(error.message), error.fix].filter(Boolean).join(' ');
  if (nameOf(error) === 'RangeError' || /out of memory|allocation/i.test(messageOf(error)))
    return 'Out of memory. Close other tabs, or use a smaller image or model.';
  return `Unexpected error: ${sentence(messageOf(error))} If the problem persists, reload the page.`;
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
