/** What can go wrong, for a program to tell apart and a person to read. */

export type ErrorCode =
  /** The model cannot be fetched. */
  | 'model-download'
  /** No `.tflite` and no TF.js folder. */
  | 'model-unknown'
  /** Damaged, or cut short. */
  | 'model-corrupt'
  /** Not written by tfyolo: no contract inside. */
  | 'model-without-contract'
  /** Of another task than detection. */
  | 'model-task'
  /** Inputs or outputs are not what the contract says. */
  | 'model-shape'
  /** This browser lacks the engine, or the engine cannot run this model. */
  | 'engine-unavailable'
  /** The engine stopped, and no other could go on. */
  | 'engine-failed'
  /** The source does not decode, or is empty. */
  | 'image'
  | 'memory'
  | 'disposed';

/** Of a source that gives no pixels. */
export function undecodable(): DetectorError {
  return new DetectorError(
    'image',
    'This image does not decode, or is empty.',
    'Use a JPEG, PNG or WebP file, or wait until it has loaded.',
  );
}

/**
 * An error that a person can act on.
 *
 * @example
 * try { await createDetector({ model: '/cells.tflite' }); }
 * catch (error) { if (error instanceof DetectorError) show(`${error.message} ${error.fix}`); }
 */
export class DetectorError extends Error {
  override readonly name = 'DetectorError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    /** What to do, a sentence. */
    readonly fix = '',
  ) {
    super(message);
  }
}
