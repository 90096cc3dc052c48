/** Non-maximum suppression with YOLOv5's options, as in Python's inference/nms.py. */

/** Boxes before suppression. */
export interface Candidates {
  /** (n, 4): left, top, right, bottom in pixels of the input. */
  readonly boxesXyxyPx: Float32Array;
  /** (n, classes) */
  readonly scores: Float32Array;
  readonly classes: number;
}

/** Boxes with a class each. */
export interface Found {
  readonly boxesXyxyPx: Float32Array;
  readonly scores: Float32Array;
  readonly classes: Int32Array;
}

export interface NmsOptions {
  /** Scores must exceed it. */
  readonly confidence: number;
  /** Overlap beyond which the lower box goes. */
  readonly iou: number;
  /** Class indices to keep; all where null. */
  readonly classes: readonly number[] | null;
  readonly agnostic: boolean;
  readonly multiLabel?: boolean;
  readonly maxDetections: number;
}

/** Best candidates that are looked at, as in YOLOv5. */
const MAX_CANDIDATES = 30_000;

export function nonMaxSuppression(candidates: Candidates, options: NmsOptions): Found {
  const { scores, classes } = candidates;
  const wanted = options.classes && new Set(options.classes);
  const rows: number[] = [];
  const labels: number[] = [];
  const take = (row: number, label: number) => {
    if (wanted && !wanted.has(label)) return;
    rows.push(row);
    labels.push(label);
  };
  for (let row = 0, at = 0; at < scores.length; row++, at += classes) {
    let best = 0;
    for (let c = 0; c < classes; c++) {
      if (options.multiLabel && scores[at + c]! > options.confidence) take(row, c);
      if (scores[at + c]! > scores[at + best]!) best = c;
    }
    if (!options.multiLabel && scores[at + best]! > options.confidence) take(row, best);
  }
  const score = Float32Array.from(rows, (row, i) => scores[row * classes + labels[i]!]!);
  return greedy(candidates.boxesXyxyPx, rows, score, labels, options);
}

/**
 * What stricter options leave of detections whose graph has suppressed already.
 *
 * Thresholds looser than the graph's change nothing: what it dropped is gone.
 */
export function refine(found: Found, options: NmsOptions): Found {
  const rows: number[] = [];
  for (let i = 0; i < found.scores.length; i++) {
    const kept = !options.classes || options.classes.includes(found.classes[i]!);
    if (kept && found.scores[i]! > options.confidence) rows.push(i);
  }
  const pick = (values: Float32Array | Int32Array) => rows.map((row) => values[row]!);
  return greedy(found.boxesXyxyPx, rows, Float32Array.from(pick(found.scores)), pick(found.classes), options);
}

/** Keep the boxes that no better box of their class overlaps too much; best first, of equals the earlier one. */
function greedy(
  boxes: Float32Array,
  rows: readonly number[],
  scores: Float32Array,
  labels: readonly number[],
  options: NmsOptions,
): Found {
  let order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
  order = order.slice(0, MAX_CANDIDATES);
  const kept: number[] = [];
  const gone = new Uint8Array(order.length);
  for (let i = 0; i < order.length && kept.length < options.maxDetections; i++) {
    if (gone[i]) continue;
    const best = order[i]!;
    kept.push(best);
    for (let j = i + 1; j < order.length; j++) {
      if (gone[j]) continue;
      const other = order[j]!;
      if (!options.agnostic && labels[other] !== labels[best]) continue;
      if (overlaps(boxes, rows[best]! * 4, rows[other]! * 4, options.iou)) gone[j] = 1;
    }
  }
  const out = new Float32Array(kept.length * 4);
  kept.forEach((i, to) => out.set(boxes.subarray(rows[i]! * 4, rows[i]! * 4 + 4), to * 4));
  return {
    boxesXyxyPx: out,
    scores: Float32Array.from(kept, (i) => scores[i]!),
    classes: Int32Array.from(kept, (i) => labels[i]!),
  };
}

/** In float32 like Python, so that both decide the same where an overlap is just the threshold. */
function overlaps(boxes: Float32Array, a: number, b: number, iou: number): boolean {
  const f = Math.fround;
  const area = (i: number) => f(f(boxes[i + 2]! - boxes[i]!) * f(boxes[i + 3]! - boxes[i + 1]!));
  const width = f(Math.min(boxes[a + 2]!, boxes[b + 2]!) - Math.max(boxes[a]!, boxes[b]!));
  const height = f(Math.min(boxes[a + 3]!, boxes[b + 3]!) - Math.max(boxes[a + 1]!, boxes[b + 1]!));
  const overlap = f(Math.max(width, 0) * Math.max(height, 0));
  const union = f(f(area(a) + area(b)) - overlap);
  return overlap > f(f(iou) * union);
}
