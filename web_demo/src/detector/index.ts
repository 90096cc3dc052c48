/**
 * Runs detectors exported by tfyolo in a browser.
 *
 * @example
 * import { createDetector } from 'tfyolo-web';
 * const detector = await createDetector({ model: '/models/cells.tflite' });
 * const { detections } = await detector.detect(document.querySelector('img'));
 */

export { createDetector } from './create';
export type { Contract } from './contract';
export { DetectorError, type ErrorCode } from './errors';
export { ENGINES, type Engine, type EngineId, type ModelKind } from './engines/table';
export type * from './types';
