/** The camera: which there are, and the stream of one. */

import type { Camera } from '../state';

export type CameraWish = { readonly id: string } | { readonly facing: 'user' | 'environment' };

export function hasCameraApi(): boolean {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

/** @throws DOMException of getUserMedia, see `describeCameraError`. */
export async function openCamera(wish: CameraWish): Promise<MediaStream> {
  const device = 'id' in wish ? { deviceId: { exact: wish.id } } : { facingMode: wish.facing };
  // More than networks look at, and little enough for phones to convert many times a second.
  const size = { width: { ideal: 640 }, height: { ideal: 480 } };
  return navigator.mediaDevices.getUserMedia({ audio: false, video: { ...device, ...size } });
}

/** Names are only told once a camera has been allowed. */
export async function listCameras(): Promise<Camera[]> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter(({ kind }) => kind === 'videoinput')
    .map(({ deviceId, label }, index) => ({ id: deviceId, label: label || `Camera ${index + 1}` }));
}

export function describeStream(stream: MediaStream): { id: string; facing: 'user' | 'environment' } {
  const settings = stream.getVideoTracks()[0]?.getSettings() ?? {};
  return { id: settings.deviceId ?? '', facing: settings.facingMode === 'environment' ? 'environment' : 'user' };
}

export function stopStream(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
