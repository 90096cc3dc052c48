/** Non-maximum suppression (NMS) with YOLOv5's options; the same results as tfyolo/inference/nms.py. */

/** Boxes before NMS. */
export interface Candidates {
  /** (n, 4): left, top, right, bottom in pixels of the input. */
  readonly boxesXyxyPx: Float32Array;
  /** (n, numClasses): objectness times class score, 0..1. */
  readonly scores: Float32Array;
  readonly numClasses: number;
}

/** Detections as arrays: one class per box. */
export interface DetectionArrays {
  /** (n, 4): left, top, right, bottom in pixels of the input. */
  readonly boxesXyxyPx: Float32Array;
  /** (n,): 0..1. */
  readonly scores: Float32Array;
  /** (n,) */
  readonly classIds: Int32Array;
}

/** Detections, and the row of each in the arrays that NMS was applied to. */
export interface KeptDetections extends DetectionArrays {
  /** (n,) */
  readonly rows: Int32Array;
}

export interface NmsOptions {
  /** Confidence threshold: a score must exceed it. */
  readonly confidence: number;
  /** IoU threshold: above it, the box with the lower score is suppressed. */
  readonly iou: number;
  /** Classes to keep; null keeps all. */
  readonly classIds: readonly number[] | null;
  /** Class-agnostic NMS: boxes of different classes suppress each other. */
  readonly agnostic: boolean;
  /** One detection per class above the confidence threshold, instead of the best class only. */
  readonly multiLabel?: boolean;
  /** Maximum number of detections per image. */
  readonly maxDetections: number;
}

/** Only this many candidates with the highest scores enter NMS, as in YOLOv5. */
const MAX_CANDIDATES = 30_000;

/**
 * Run NMS on the candidates of one image.
 *
 * @returns detections sorted by descending score; equal scores keep the order of the candidates.
 */
export function nonMaxSuppression(candidates: Candidates, options: NmsOptions): KeptDetections {
  const { scores, numClasses } = candidates;
  const allowed = options.classIds && new Set(options.classIds);
  const rows: number[] = [];
  const classIds: number[] = [];
  const add = (row: number, classId: number) => {
    if (allowed && !allowed.has(classId)) return;
    rows.push(row);
    classIds.push(classId);
  };
  for (let row = 0, offset = 0; offset < scores.length; row++, offset += numClasses) {
    let best = 0;
    for (let c = 0; c < numClasses; c++) {
      if (options.multiLabel && scores[offset + c]! > options.confidence) add(row, c);
      if (scores[offset + c]! > scores[offset + best]!) best = c;
    }
    if (!options.multiLabel && scores[offset + best]! > options.confidence) add(row, best);
  }
  const rowScores = Float32Array.from(rows, (row, i) => scores[row * numClasses + classIds[i]!]!);
  return greedyNms(candidates.boxesXyxyPx, rows, rowScores, classIds, options);
}

/**
 * Apply stricter options to detections from a graph that contains NMS.
 *
 * Looser thresholds than those of the graph have no effect: the boxes that the graph suppressed are lost.
 */
export function refine(detections: DetectionArrays, options: NmsOptions): KeptDetections {
  const rows: number[] = [];
  for (let i = 0; i < detections.scores.length; i++) {
    const allowed = !options.classIds || options.classIds.includes(detections.classIds[i]!);
    if (allowed && detections.scores[i]! > options.confidence) rows.push(i);
  }
  const pick = (values: Float32Array | Int32Array) => rows.map((row) => values[row]!);
  return greedyNms(detections.boxesXyxyPx, rows, Float32Array.from(pick(detections.scores)), pick(detections.classIds), options);
}

/** Greedy NMS: keep the best remaining box, suppress the boxes that overlap it too much, repeat. */
function greedyNms(
  boxes: Float32Array,
  rows: readonly number[],
  scores: Float32Array,
  classIds: readonly number[],
  options: NmsOptions,
): KeptDetections {
  let order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
  order = order.slice(0, MAX_CANDIDATES);
  const kept: number[] = [];
  const suppressed = new Uint8Array(order.length);
  for (let i = 0; i < order.length && kept.length < options.maxDetections; i++) {
    if (suppressed[i]) continue;
    const best = order[i]!;
    kept.push(best);
    for (let j = i + 1; j < order.length; j++) {
      if (suppressed[j]) continue;
      const other = order[j]!;
      if (!options.agnostic && classIds[other] !== classIds[best]) continue;
      if (iouExceeds(boxes, rows[best]! * 4, rows[other]! * 4, options.iou)) suppressed[j] = 1;
    }
  }
  const out = new Float32Array(kept.length * 4);
  kept.forEach((i, to) => out.set(boxes.subarray(rows[i]! * 4, rows[i]! * 4 + 4), to * 4));
  return {
    boxesXyxyPx: out,
    scores: Float32Array.from(kept, (i) => scores[i]!),
    classIds: Int32Array.from(kept, (i) => classIds[i]!),
    rows: Int32Array.from(kept, (i) => rows[i]!),
  };
}

/**
 * True if the IoU of the boxes at offsets `a` and `b` exceeds the threshold.
 *
 * Computed in float32 as in Python, so that both decide alike when the IoU equals the threshold. The comparison
 * multiplies by the union instead of dividing, so boxes without area cause no division by zero.
 */
function iouExceeds(boxes: Float32Array, a: number, b: number, threshold: number): boolean {
  const f = Math.fround;
  const area = (i: number) => f(f(boxes[i + 2]! - boxes[i]!) * f(boxes[i + 3]! - boxes[i + 1]!));
  const width = f(Math.min(boxes[a + 2]!, boxes[b + 2]!) - Math.max(boxes[a]!, boxes[b]!));
  const height = f(Math.min(boxes[a + 3]!, boxes[b + 3]!) - Math.max(boxes[a + 1]!, boxes[b + 1]!));
  const intersection = f(Math.max(width, 0) * Math.max(height, 0));
  const union = f(f(area(a) + area(b)) - intersection);
  return intersection > f(f(threshold) * union);
}
