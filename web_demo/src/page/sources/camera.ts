/** Lists cameras and opens their streams. */

import type { Camera } from '../state';

export type CameraRequest = { readonly id: string } | { readonly facing: 'user' | 'environment' };

export function hasCameraApi(): boolean {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

/** @throws DOMException from getUserMedia; see `describeCameraError`. */
export async function openCamera(request: CameraRequest): Promise<MediaStream> {
  const device = 'id' in request ? { deviceId: { exact: request.id } } : { facingMode: request.facing };
  // Larger than typical model inputs, and small enough for phones to process many frames per second.
  const size = { width: { ideal: 640 }, height: { ideal: 480 } };
  return navigator.mediaDevices.getUserMedia({ audio: false, video: { ...device, ...size } });
}

/** List the cameras. Browsers reveal camera names only after access to one has been granted. */
export async function listCameras(): Promise<Camera[]> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter(({ kind }) => kind === 'videoinput')
    .map(({ deviceId, label }, index) => ({ id: deviceId, label: label || `Camera ${index + 1}` }));
}

/** Device ID and direction of a stream's camera. */
export function describeStream(stream: MediaStream): { id: string; facing: 'user' | 'environment' } {
  const settings = stream.getVideoTracks()[0]?.getSettings() ?? {};
  return { id: settings.deviceId ?? '', facing: settings.facingMode === 'environment' ? 'environment' : 'user' };
}

export function stopStream(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
