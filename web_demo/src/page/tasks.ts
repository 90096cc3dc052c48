/** Words and controls of the page by task of the model. */

import type { Task } from '../detector';

export interface TaskPage {
  readonly title: string;
  /** What the model does, as a sentence. */
  readonly lead: string;
  /** Shown until the first result. */
  readonly waiting: string;
  /** End of the names of saved files. */
  readonly saved: string;
  /** Whether the results are boxes, which thresholds and a class filter select. */
  readonly hasBoxes: boolean;
  readonly hasMasks: boolean;
}

export const TASK_PAGES: Record<Task, TaskPage> = {
  detect: {
    title: 'Object detection in your browser',
    lead: 'A YOLOv5 model detects and counts objects.',
    waiting: 'Detecting…',
    saved: 'detected',
    hasBoxes: true,
    hasMasks: false,
  },
  segment: {
    title: 'Instance segmentation in your browser',
    lead: 'A YOLOv5 model detects and segments objects.',
    waiting: 'Detecting…',
    saved: 'segmented',
    hasBoxes: true,
    hasMasks: true,
  },
  classify: {
    title: 'Image classification in your browser',
    lead: 'A YOLOv5 model classifies images.',
    waiting: 'Classifying…',
    saved: 'classified',
    hasBoxes: false,
    hasMasks: false,
  },
};
