/** Displays the image with its boxes and masks. */

import { isLive, type State, visibleDetections } from '../state';
import type { Store } from '../store';
import { drawBoxes } from './boxes';
import { drawCrop } from './classification';
import { byId } from './dom';
import { drawMasks } from './masks';
import { describeResult } from './summary';

/** On displays narrower than this (phones), labels are smaller so that they cover less of the image. */
const NARROW_PX = 500;

export class Stage {
  /** Duration of the last drawing. */
  milliseconds = 0;
  private readonly stage = byId('stage');
  private readonly image = byId<HTMLCanvasElement>('image-canvas');
  private readonly overlay = byId<HTMLCanvasElement>('overlay');

  constructor(private readonly store: Store) {
    store.listen((state, before) => this.update(state, before));
    new ResizeObserver(() => this.draw(true)).observe(this.stage);
  }

  private update(state: State, before: State): void {
    const imageChanged = state.image !== before.image;
    const resultChanged = state.result !== before.result || state.hiddenClasses !== before.hiddenClasses;
    if (imageChanged || resultChanged || state.showMasks !== before.showMasks) this.draw(imageChanged);
    this.stage.dataset.empty = String(!state.image);
    if (state.image && (imageChanged || resultChanged)) {
      // For camera and video only the summary is announced: a label that changes with every frame would be noise.
      const found = state.result && !isLive(state) ? `. ${describeResult(state)}` : '';
      this.image.setAttribute('aria-label', state.image.name + found);
    }
  }

  private draw(redrawImage: boolean): void {
    const start = performance.now();
    const { state } = this.store;
    const { image, result } = state;
    if (!image) {
      for (const canvas of [this.image, this.overlay]) canvas.width = canvas.height = 0;
      return;
    }
    const fit = Math.min(this.stage.clientWidth / image.width, this.stage.clientHeight / image.height);
    const pixels = window.devicePixelRatio || 1;
    const [width, height] = [image.width * fit, image.height * fit];
    const resized = [this.image, this.overlay].map((canvas) => fitCanvas(canvas, width, height, pixels)).some(Boolean);
    if (redrawImage || resized) {
      const context = this.image.getContext('2d', { alpha: false })!;
      context.imageSmoothingQuality = 'high';
      // Transparent images are drawn on white.
      context.fillStyle = '#fff';
      context.fillRect(0, 0, this.image.width, this.image.height);
      context.drawImage(image.bitmap, 0, 0, this.image.width, this.image.height);
    }
    const context = this.overlay.getContext('2d')!;
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    const unit = width < NARROW_PX ? 0.85 * pixels : pixels;
    const [detections, zoom] = [visibleDetections(state), this.overlay.width / image.width];
    if (result && 'crop' in result) drawCrop(context, result.crop, zoom);
    if (state.showMasks) drawMasks(context, detections, zoom);
    drawBoxes(context, detections, zoom, unit);
    this.milliseconds = performance.now() - start;
  }
}

/** Resize the canvas if its size differs, and return whether it did: resizing clears the canvas and allocates memory. */
function fitCanvas(canvas: HTMLCanvasElement, width: number, height: number, pixels: number): boolean {
  const [pixelWidth, pixelHeight] = [Math.max(Math.round(width * pixels), 1), Math.max(Math.round(height * pixels), 1)];
  if (canvas.width === pixelWidth && canvas.height === pixelHeight) return false;
  canvas.width = pixelWidth;
  canvas.height = pixelHeight;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  return true;
}
