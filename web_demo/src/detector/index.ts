/**
 * Runs detectors, segmentation models and classifiers exported by tfyolo in a browser.
 *
 * @example
 * import { createDetector } from 'tfyolo-web';
 * const detector = await createDetector({ model: '/models/cells.tflite' });
 * const { detections } = await detector.detect(document.querySelector('img'));
 */

export { createClassifier, createDetector, createModel } from './create';
export type { Contract, Task } from './contract';
export { DetectorError, type ErrorCode } from './errors';
export { ENGINES, type Engine, type EngineId, type ModelKind } from './engines/table';
export type { Mask } from './masks';
export type * from './types';
