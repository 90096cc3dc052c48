/** Switches between still images, camera and video. */

import type { DetectionLoop } from './detection_loop';
import {
  CAMERA_ENDED,
  describeCameraError,
  describeError,
  describeVideoError,
  CAMERA_NEEDS_HTTPS,
} from './messages';
import { type CameraRequest, describeStream, hasCameraApi, listCameras, openCamera, stopStream } from './sources/camera';
import { playLive } from './sources/live';
import { openImage } from './sources/stills';
import { attachVideo } from './sources/video';
import { isLive, type Still } from './state';
import type { Store } from './store';

export class Player {
  /** Stops the current camera or video and frees it; null if none is playing. */
  private stop: (() => void) | null = null;
  /** Number of the newest request: when an older one completes, its result is dropped. */
  private requestId = 0;
  private lastStill: number | null = null;
  private facing: 'user' | 'environment' = 'user';

  constructor(
    private readonly store: Store,
    private readonly detectionLoop: DetectionLoop,
    private readonly video: HTMLVideoElement,
  ) {}

  async openStill(id: number): Promise<void> {
    const requestId = ++this.requestId;
    const still = this.store.state.stills.find(({ id: other }) => other === id);
    if (!still) return;
    try {
      const image = await openImage(still);
      if (requestId !== this.requestId) return image.bitmap.close();
      this.stopLive();
      this.lastStill = id;
      this.store.send({ type: 'source', source: { kind: 'still', id } });
      this.store.send({ type: 'image', image });
    } catch (error) {
      this.reject(still, error);
    }
  }

  /** Remove an image that cannot be opened from the strip, and show the error. */
  reject(still: Still, error: unknown): void {
    // Already removed: the image and its thumbnail both fail.
    if (!this.store.state.stills.includes(still)) return;
    this.store.send({ type: 'remove-still', id: still.id });
    this.store.send({ type: 'alert', text: describeError(error) });
  }

  openVideo(file: File): void {
    this.requestId++;
    this.stopLive();
    const detach = attachVideo(this.video, file);
    this.play('video', file.name, detach, (error) =>
      this.video.error || (error as Error).name === 'NotSupportedError'
        ? this.store.send({ type: 'alert', text: describeVideoError(file.name) })
        : this.detectionLoop.fail(error),
    );
  }

  toggleCamera(): void {
    if (this.store.state.source?.kind === 'camera') this.backToStill();
    else void this.startCamera({ facing: this.facing });
  }

  flipCamera(): void {
    void this.startCamera({ facing: this.facing === 'user' ? 'environment' : 'user' });
  }

  async startCamera(request: CameraRequest): Promise<void> {
    const requestId = ++this.requestId;
    if (!hasCameraApi()) return this.store.send({ type: 'alert', text: CAMERA_NEEDS_HTTPS });
    // Phones can open only one camera at a time.
    if (this.store.state.source?.kind === 'camera') this.stopLive();
    try {
      const stream = await openCamera(request);
      if (requestId !== this.requestId) return stopStream(stream);
      this.stopLive();
      const { id, facing } = describeStream(stream);
      this.facing = 'facing' in request ? request.facing : facing;
      this.video.srcObject = stream;
      stream.getVideoTracks()[0]!.onended = () => {
        this.store.send({ type: 'alert', text: CAMERA_ENDED });
        this.backToStill();
      };
      const free = () => {
        this.video.srcObject = null;
        stopStream(stream);
      };
      this.play('camera', 'Camera', free, (error) => this.detectionLoop.fail(error));
      this.store.send({ type: 'cameras', cameras: await listCameras(), camera: id });
    } catch (error) {
      if (requestId !== this.requestId) return;
      this.store.send({ type: 'alert', text: describeCameraError(error) });
      this.backToStill();
    }
  }

  togglePause(): void {
    const { source } = this.store.state;
    if (!source || source.kind === 'still') return;
    const paused = !source.paused;
    if (paused) this.video.pause();
    else void this.video.play().catch((error) => this.detectionLoop.fail(error));
    this.store.send({ type: 'pause', paused });
  }

  private play(kind: 'camera' | 'video', name: string, free: () => void, onError: (error: unknown) => void): void {
    const controller = new AbortController();
    this.stop = () => {
      controller.abort();
      this.video.pause();
      free();
    };
    this.store.send({ type: 'source', source: { kind, name, paused: false } });
    void playLive(this.video, name, controller.signal, {
      onFrame: (image) => this.detectionLoop.detectFrame(image, () => !controller.signal.aborted),
      onError: (error) => {
        onError(error);
        this.backToStill();
      },
    });
  }

  private stopLive(): void {
    this.stop?.();
    this.stop = null;
  }

  private backToStill(): void {
    if (!isLive(this.store.state)) return;
    this.stopLive();
    const { stills } = this.store.state;
    const still = stills.find(({ id }) => id === this.lastStill) ?? stills[0];
    if (still) void this.openStill(still.id);
    else {
      this.store.send({ type: 'source', source: null });
      this.store.send({ type: 'image', image: null });
    }
  }
}
