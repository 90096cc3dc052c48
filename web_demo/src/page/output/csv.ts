/** Detections and classes as CSV. Source: RFC 4180. */

import type { ClassProbability, Detection } from '../../detector';

const COLUMNS = ['image', 'class_id', 'label', 'score', 'x', 'y', 'width', 'height'];
const MASK_COLUMN = 'mask_area';
const CLASS_COLUMNS = ['image', 'class_id', 'label', 'probability'];

/** One row per detection; boxes as left, top, width, height in pixels of the image. Detections with masks have their number of pixels. */
export function toCsv(image: string, detections: readonly Detection[]): string {
  const hasMasks = detections.some(({ mask }) => mask);
  const rows = detections.map(({ box, classId, label, score, mask }) => [
    text(image),
    classId,
    text(label),
    score.toFixed(4),
    ...[box.x, box.y, box.width, box.height].map((value) => value.toFixed(1)),
    ...(hasMasks ? [mask?.area ?? 0] : []),
  ]);
  return lines([hasMasks ? [...COLUMNS, MASK_COLUMN] : COLUMNS, ...rows]);
}

/** One row per class, in descending order of probability. */
export function classesToCsv(image: string, classes: readonly ClassProbability[]): string {
  const rows = classes.map(({ classId, label, probability }) => [text(image), classId, text(label), probability.toFixed(4)]);
  return lines([CLASS_COLUMNS, ...rows]);
}

function lines(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map((row) => `${row.join(',')}\r\n`).join('');
}

/** Quote a text cell. Names come from untrusted files, so text that a spreadsheet would run as a formula gets an apostrophe. */
function text(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
