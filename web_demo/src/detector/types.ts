/** Types of the public API: options, results and the detector itself. */

import type { Contract } from './contract';
import type { EngineId } from './engines/table';
import type { Mask } from './masks';

/** A box in pixels of the source image. */
export interface Box {
  /** Left edge. */
  readonly x: number;
  /** Top edge. */
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One detected object. */
export interface Detection {
  readonly box: Box;
  /** Objectness times class score, 0..1. */
  readonly score: number;
  /** Index into `Contract.classNames`. */
  readonly classId: number;
  /** Name of the class. */
  readonly label: string;
  /** The pixels of the object; only from segmentation models. */
  readonly mask?: Mask;
}

/** The probability of one class. */
export interface ClassProbability {
  /** Index into `Contract.classNames`. */
  readonly classId: number;
  /** Name of the class. */
  readonly label: string;
  /** 0..1 */
  readonly probability: number;
}

/** Duration of each step for one image, in milliseconds. */
export interface Timing {
  /** Reading the pixels, and letterboxing or cropping them. */
  readonly preprocess: number;
  /** Running the model, including NMS if the graph contains it. */
  readonly inference: number;
  /** Decoding, NMS outside of the graph, and scaling boxes and masks to the source image. */
  readonly postprocess: number;
}

/** What every task returns for one image. */
export interface ImageResult {
  readonly timing: Timing;
  /** Width of the source image in pixels. */
  readonly width: number;
  /** Height of the source image in pixels. */
  readonly height: number;
}

/** Detections of one image. */
export interface DetectionResult extends ImageResult {
  /** Sorted by descending score. */
  readonly detections: Detection[];
}

/** Classes of one image. */
export interface ClassificationResult extends ImageResult {
  /** The most probable classes, sorted by descending probability. */
  readonly classes: ClassProbability[];
  /** The centered region that the model sees, in pixels of the source image. */
  readonly crop: Box;
}

/** Result of a model of any task: it has `detections` or `classes`. */
export type Result = DetectionResult | ClassificationResult;

/** Options of one `detect` call. */
export interface DetectOptions {
  /** Confidence threshold, 0..1; values below the threshold inside the exported graph have no effect. Default: 0.25. */
  readonly confidence?: number;
  /**
   * IoU threshold, 0..1, above which the lower-scoring box of a class is suppressed; values above the threshold inside
   * the exported graph have no effect. Default: 0.45.
   */
  readonly iou?: number;
  /** Class IDs to keep. Default: all. */
  readonly classIds?: readonly number[];
  /** Class-agnostic NMS: boxes of different classes suppress each other. Default: false. */
  readonly agnostic?: boolean;
  /** Maximum number of detections per image. Default: 300. */
  readonly maxDetections?: number;
}

/** Options of one `classify` call. */
export interface ClassifyOptions {
  /** Number of classes to return. Default: 5. */
  readonly top?: number;
}

/** An image: everything that a canvas can draw. */
export type Source =
  | HTMLImageElement
  | SVGImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | ImageData
  | VideoFrame
  | Blob;

/**
 * A model: the URL of a `.tflite` file or of a TF.js `model.json`, the content of a `.tflite` file, or the files of a
 * model (one `.tflite`, or model.json with its shards).
 */
export type ModelInput = string | URL | Blob | ArrayBuffer | readonly File[] | FileList;

/** Progress of loading a model. */
export interface Progress {
  readonly stage: 'download' | 'choose' | 'start';
  /** Bytes (`download`) or timed engines (`choose`) so far. */
  readonly done: number;
  /** Bytes or engines in total; 0 if unknown. */
  readonly total: number;
}

/** Options of `createDetector`, `createClassifier` and `createModel`. */
export interface ModelOptions {
  readonly model: ModelInput;
  /**
   * `auto` (the default) starts with the first engine that works, times all engines of this browser in the background,
   * switches to the fastest and remembers it for the next visit.
   */
  readonly engine?: EngineId | 'auto';
  readonly onProgress?: (progress: Progress) => void;
  /** Folder with the wasm files of LiteRT and TF.js. Default: the folder of the page. */
  readonly wasmFolder?: string | URL;
  /** Called when the running engine failed (GPU lost, out of memory) and another engine replaced it. */
  readonly onEngineChange?: (choice: EngineChoice) => void;
  /** Ignore the remembered engine and time all engines again. Default: false. */
  readonly retime?: boolean;
}

/** @deprecated The former name of `ModelOptions`, which works for one release. */
export type DetectorOptions = ModelOptions;

/** Result of timing one engine. */
export interface EngineTrial {
  readonly engine: EngineId;
  /** Median inference time in milliseconds after a warm-up; null if the engine was not run. */
  readonly milliseconds: number | null;
  /** Why the engine was skipped or failed; null if it ran. */
  readonly reason: string | null;
}

/** The selected engine. */
export interface EngineChoice {
  readonly engine: EngineId;
  /** Why this engine was selected, as a sentence for the user. */
  readonly reason: string;
  /** One entry per timed engine; empty if the engine was requested by name or remembered. */
  readonly trials: readonly EngineTrial[];
}

/** Memory that the worker uses. */
export interface MemoryUse {
  /** Number of live TF.js tensors; 0 with LiteRT. */
  readonly tensors: number;
  /** Bytes of TF.js tensors or of LiteRT's wasm memory; null if unknown. */
  readonly bytes: number | null;
}

/** A loaded model of any task; created by `createModel`. */
export interface Model {
  /** Metadata of the model: task, class names, input size, thresholds. */
  readonly contract: Contract;
  /** Size of the model in bytes. */
  readonly modelBytes: number;
  /** The engine in use. With `auto` it may change until `settled` resolves. */
  readonly choice: EngineChoice;
  /** Resolves when `auto` has timed all engines and the fastest one is in use; immediately for other engines. */
  readonly settled: Promise<void>;
  /**
   * Run the model on one image. Concurrent calls are processed one after the other.
   *
   * @param options - those of the model's task have an effect.
   * @throws DetectorError `image` if the source cannot be decoded, `disposed` after `dispose()`.
   */
  run(source: Source, options?: DetectOptions & ClassifyOptions): Promise<Result>;
  /** Memory that the worker uses now. */
  memory(): Promise<MemoryUse>;
  /** End the worker and free its memory. */
  dispose(): void;
}

/** A detector or segmentation model; created by `createDetector`. */
export interface Detector extends Model {
  /**
   * Detect objects in one image. Concurrent calls are processed one after the other.
   *
   * @returns detections with boxes, and masks of a segmentation model, in pixels of `source`.
   * @throws DetectorError `image` if the source cannot be decoded, `disposed` after `dispose()`.
   */
  detect(source: Source, options?: DetectOptions): Promise<DetectionResult>;
}

/** A classifier; created by `createClassifier`. */
export interface Classifier extends Model {
  /**
   * Classify one image. Concurrent calls are processed one after the other.
   *
   * @returns the most probable classes.
   * @throws DetectorError `image` if the source cannot be decoded, `disposed` after `dispose()`.
   */
  classify(source: Source, options?: ClassifyOptions): Promise<ClassificationResult>;
}
