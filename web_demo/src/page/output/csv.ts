/** Detections as a table for spreadsheets: RFC 4180. */

import type { Detection } from '../../detector';

const COLUMNS = ['image', 'class_id', 'label', 'score', 'x', 'y', 'width', 'height'] as const;

/** Boxes are left, top, width, height in pixels of the image. */
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

/** Names come from strangers' files: what a spreadsheet would take for a formula gets an apostrophe. */
function text(value: string): string {
  const tame = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame;
}
