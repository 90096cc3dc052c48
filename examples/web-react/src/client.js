// best.tflite: detector with 3 classes, int8, tfyolo 0.1.0
// in:  images (1, 320, 320, 3) uint8 = 0.00392157 * (value - 0)
// out: detection_boxes (1, 100, 4) float32
// out: detection_classes (1, 100) float32
// out: detection_scores (1, 100) float32
// out: num_detections (1) float32
// NMS inside: score over 0.25, IoU up to 0.45, at most 100 boxes
// npm install @litertjs/core, and serve node_modules/@litertjs/core/wasm/ at the URL `wasm`.
import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';

const [HEIGHT, WIDTH] = [320, 320];
const CLASS_NAMES = ["Platelets", "RBC", "WBC"];

export async function load(url = "best.tflite", wasm = '/wasm/') {
  await loadLiteRt(wasm);
  return loadAndCompile(url, { accelerator: 'wasm' });
}

/** Detect objects in an image, canvas, video or blob: {name, score, box: [left, top, right, bottom]}, in pixels of the source. */
export async function detect(model, source) {
  const image = await createImageBitmap(source);
  const [imageHeight, imageWidth] = [image.height, image.width];
  const ratio = Math.min(HEIGHT / imageHeight, WIDTH / imageWidth);
  const [height, width] = [imageHeight, imageWidth].map((side) => Math.max(roundHalfEven(side * ratio), 1));
  const pixels = preprocess(image, [(WIDTH - width) >> 1, (HEIGHT - height) >> 1, width, height]);
  image.close();
  const outputs = await run(model, pixels);
  const [padX, padY] = [(WIDTH - width) / 2, (HEIGHT - height) / 2];
  const toImage = (value, side, pad, limit) => Math.min(Math.max((value * side - pad) / ratio, 0), limit);
  const boxOf = ([ymin, xmin, ymax, xmax]) => [
    toImage(xmin, WIDTH, padX, imageWidth),
    toImage(ymin, HEIGHT, padY, imageHeight),
    toImage(xmax, WIDTH, padX, imageWidth),
    toImage(ymax, HEIGHT, padY, imageHeight),
  ];
  return Array.from({ length: outputs.num_detections[0] }, (_, i) => ({
    name: CLASS_NAMES[outputs.detection_classes[i]],
    score: outputs.detection_scores[i],
    box: boxOf(outputs.detection_boxes.subarray(4 * i, 4 * i + 4)),
  }));
}

/** Round half to even, as Python's round(). */
function roundHalfEven(x) {
  return x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
}

/** Letterbox: RGB pixels of the input, with the image resized as in OpenCV (fixed-point bilinear) and gray padding. */
function preprocess(image, [left, top, width, height]) {
  const context = new OffscreenCanvas(image.width, image.height).getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const [rows, columns] = [taps(image.height, height), taps(image.width, width)];
  const rgb = new Uint8Array(3 * HEIGHT * WIDTH).fill(114);
  rows.forEach(([above, below, down], y) =>
    columns.forEach(([before, after, right], x) => {
      for (let c = 0; c < 3; c++) {
        const value = (row, column) => data[4 * (row * image.width + column) + c];
        const upper = (value(above, before) * (2048 - right) + value(above, after) * right) >> 4;
        const lower = (value(below, before) * (2048 - right) + value(below, after) * right) >> 4;
        rgb[3 * ((top + y) * WIDTH + left + x) + c] = (((upper * (2048 - down)) >> 16) + ((lower * down) >> 16) + 2) >> 2;
      }
    }),
  );
  return Uint8Array.from(rgb);
}

/** Linear interpolation: per output pixel, two source indices and the weight of the second in 1/2048. */
function taps(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const position = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    const first = Math.floor(position);
    return [first, Math.min(first + 1, from - 1), Math.round((position - first) * 2048)];
  });
}

/** Run the model. Returns output arrays by name. */
async function run(model, pixels) {
  const images = new Tensor(pixels, [1, HEIGHT, WIDTH, 3]);
  const results = await model.run({ images });
  images.delete();
  const outputs = {};
  for (const [name, result] of Object.entries(results)) {
    outputs[name] = (await result.data()).slice();
    result.delete();
  }
  return outputs;
}
