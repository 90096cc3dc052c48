/** Frames of a video element, one detection at a time. */

import type { SourceImage } from '../state';

export interface LiveActions {
  /** Answers when the frame has been dealt with; owns the image from then on. */
  onFrame(image: SourceImage): Promise<void>;
  onError(error: unknown): void;
}

/** Play until `signal` aborts. What is on screen is the frame that was detected in, not a later one. */
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
      const shown = await createImageBitmap(video);
      if (signal.aborted) return shown.close();
      await actions.onFrame({ name, width: shown.width, height: shown.height, shown, blob: null });
    }
  } catch (error) {
    if (!signal.aborted) actions.onError(error);
  }
}

/** Resolves with the next frame that the browser presents, or when `signal` aborts. */
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
    // Browsers without it: any animation frame while the video runs.
    const element: HTMLVideoElement = video;
    const poll = () => (element.readyState >= 2 && !element.paused ? done() : void requestAnimationFrame(poll));
    if (!signal.aborted) requestAnimationFrame(poll);
  });
}
