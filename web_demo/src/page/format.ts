/** Formats numbers and counts for display. */

import type { ClassProbability, Detection, Progress } from '../detector';

/** "1 file", "2 files"; `several` is the plural if it is irregular. */
export function plural(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}

/** Bytes in decimal units (1 kB = 1000 bytes), as file managers show them; number and unit stay on one line. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes}\u00a0B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)}\u00a0kB`;
  return `${(bytes / 1e6).toFixed(1)}\u00a0MB`;
}

export function formatMilliseconds(milliseconds: number): string {
  return `${milliseconds.toFixed(milliseconds < 9.95 ? 1 : 0)} ms`;
}

/** "97.3%" */
export function formatPercent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)}%`;
}

/** Minutes and seconds, 1:05. */
export function formatClock(seconds: number): string {
  const whole = Number.isFinite(seconds) ? Math.floor(seconds) : 0;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** Number of detections per class id. */
export function countByClass(detections: readonly Pick<Detection, 'classId'>[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { classId } of detections) counts.set(classId, (counts.get(classId) ?? 0) + 1);
  return counts;
}

/** "12 objects: 10 RBC, 2 Platelets", the most frequent first. */
export function summarize(detections: readonly Pick<Detection, 'classId' | 'label'>[]): string {
  if (!detections.length) return 'No objects found';
  const labels = new Map(detections.map(({ classId, label }) => [classId, label]));
  const parts = [...countByClass(detections)]
    .sort(([a, m], [b, n]) => n - m || a - b)
    .map(([classId, count]) => `${count} ${labels.get(classId)}`);
  return `${plural(detections.length, 'object')}: ${parts.join(', ')}`;
}

/** "RBC 97.3%, WBC 2.1%, Platelets 0.6%", the three most probable classes. */
export function summarizeClasses(classes: readonly Pick<ClassProbability, 'label' | 'probability'>[]): string {
  return classes
    .slice(0, 3)
    .map(({ label, probability }) => `${label} ${formatPercent(probability)}`)
    .join(', ');
}

export function describeProgress({ stage, done, total }: Progress): string {
  if (stage === 'download')
    return `Downloading the model, ${total ? `${formatBytes(done)} of ${formatBytes(total)}` : formatBytes(done)}`;
  if (stage === 'choose') return `Timing the engines of this browser, ${Math.min(done + 1, total)} of ${total}`;
  return 'Starting the model';
}
