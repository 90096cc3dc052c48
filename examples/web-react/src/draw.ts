import type { Detection } from './client.js';

const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00'];

/** Draw an image or video frame with its detections on a canvas of the same size. */
export function draw(canvas: HTMLCanvasElement, image: CanvasImageSource, width: number, height: number, detections: Detection[]) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d')!;
  context.drawImage(image, 0, 0, width, height);
  context.lineWidth = Math.max(width / 320, 2);
  context.font = `${Math.max(width / 40, 12)}px system-ui, sans-serif`;
  const names = [...new Set(detections.map(({ name }) => name))].sort();
  for (const { name, score, box } of detections) {
    const [left, top, right, bottom] = box;
    context.fillStyle = context.strokeStyle = COLORS[names.indexOf(name) % COLORS.length]!;
    context.strokeRect(left, top, right - left, bottom - top);
    context.fillText(`${name} ${score.toFixed(2)}`, left, Math.max(top - 4, 12));
  }
}
