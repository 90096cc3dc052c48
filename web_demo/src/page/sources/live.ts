/** Plays a video element frame by frame: the next frame is taken when the previous one has been processed. */

import type { SourceImage } from '../state';

export interface LiveActions {
  /** Process a frame; resolves when done. The callee owns the image and closes its bitmap. */
  onFrame(image: SourceImage): Promise<void>;
  onError(error: unknown): void;
}

/** Play until `signal` aborts. The displayed frame is always the one that the boxes belong to, never a later one. */
export async function playLive(
  video: HTMLVideoElement,
  name: string,
  signal: AbortSignal,
  actions: LiveActions,
): Promise<void> {
  try {
    await video.play();
    for (;;) {
      await nextFrame(video, signal);
      if (signal.aborted) return;
      const bitmap = await createImageBitmap(video);
      if (signal.aborted) return bitmap.close();
      await actions.onFrame({ name, width: bitmap.width, height: bitmap.height, bitmap, blob: null });
    }
  } catch (error) {
    if (!signal.aborted) actions.onError(error);
  }
}

/** Resolve at the next frame of the video, or when `signal` aborts. */
function nextFrame(video: HTMLVideoElement, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done, { once: true });
    if ('requestVideoFrameCallback' in video) {
      video.requestVideoFrameCallback(done);
      return;
    }
    // Fallback for browsers without requestVideoFrameCallback: any animation frame while the video plays.
    const element: HTMLVideoElement = video;
    const poll = () => (element.readyState >= 2 && !element.paused ? done() : void requestAnimationFrame(poll));
    if (!signal.aborted) requestAnimationFrame(poll);
  });
}
