/** Detections as CSV. Source: RFC 4180. */

import type { Detection } from '../../detector';

const COLUMNS = ['image', 'class_id', 'label', 'score', 'x', 'y', 'width', 'height'] as const;

/** One row per detection; boxes as left, top, width, height in pixels of the image. */
export function toCsv(image: string, detections: readonly Detection[]): string {
  const rows = detections.map(({ box, classId, label, score }) => [
    text(image),
    classId,
    text(label),
    score.toFixed(4),
    ...[box.x, box.y, box.width, box.height].map((value) => value.toFixed(1)),
  ]);
  return [COLUMNS, ...rows].map((row) => `${row.join(',')}\r\n`).join('');
}

/** Quote a text cell. Names come from untrusted files, so text that a spreadsheet would run as a formula gets an apostrophe. */
function text(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
