/** Errors of the library: a code for programs, a message and a remedy for people. */

/** Identifies the kind of a `DetectorError`. */
export type ErrorCode =
  /** The model cannot be downloaded. */
  | 'model-download'
  /** The file is neither a `.tflite` nor a TF.js graph model. */
  | 'model-unknown'
  /** The model is damaged or truncated. */
  | 'model-corrupt'
  /** The model has no tfyolo contract: it was not exported by tfyolo. */
  | 'model-without-contract'
  /** The model's task is unknown, or not the one that was asked for. */
  | 'model-task'
  /** Shapes of inputs or outputs do not match the contract. */
  | 'model-shape'
  /** The browser does not support the engine, or the engine cannot run this model. */
  | 'engine-unavailable'
  /** The engine stopped, and no other engine could replace it. */
  | 'engine-failed'
  /** The image cannot be decoded, or is empty. */
  | 'image'
  /** Out of memory. */
  | 'memory'
  /** `dispose()` was called. */
  | 'disposed';

/** The error for an image that cannot be decoded. */
export function undecodable(): DetectorError {
  return new DetectorError(
    'image',
    'This image cannot be decoded, or is empty.',
    'Use a JPEG, PNG or WebP file, or wait until the image has loaded.',
  );
}

/**
 * An error with a remedy.
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
    /** The remedy, as a sentence; may be empty. */
    readonly fix = '',
  ) {
    super(message);
  }
}
