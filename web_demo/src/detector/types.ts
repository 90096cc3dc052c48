/** What the library takes and gives. */

import type { Contract } from './contract';
import type { EngineId } from './engines/table';

/** A rectangle in pixels of the source: left, top, width, height. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Detection {
  readonly box: Box;
  /** 0..1 */
  readonly score: number;
  readonly classId: number;
  /** Name of the class, from the model. */
  readonly label: string;
}

/** Milliseconds. */
export interface Timing {
  /** Reading pixels, letterbox. */
  readonly preprocess: number;
  /** The network, with the suppression that is inside the file. */
  readonly inference: number;
  /** Suppression that is not in the file, and back to pixels of the source. */
  readonly postprocess: number;
}

export interface DetectionResult {
  /** Best first. */
  readonly detections: Detection[];
  readonly timing: Timing;
  /** Size of the source in pixels. */
  readonly width: number;
  readonly height: number;
}

export interface DetectOptions {
  /** Lowest score; at least what the file's own suppression was exported with. Default 0.25. */
  readonly confidence?: number;
  /** Overlap beyond which the lower box of a class goes; at most what the file was exported with. Default 0.45. */
  readonly iou?: number;
  /** Class indices to keep; all by default. */
  readonly classes?: readonly number[];
  /** Boxes of different classes suppress each other too. */
  readonly agnostic?: boolean;
  /** Most boxes. Default 300. */
  readonly maxDetections?: number;
}

/** Whatever can be drawn on a canvas. */
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

/** An address of a `.tflite` or a `model.json`, or the files themselves: one `.tflite`, or model.json and its shards. */
export type ModelInput = string | URL | Blob | ArrayBuffer | readonly File[] | FileList;

export interface Progress {
  readonly stage: 'download' | 'choose' | 'start';
  /** Bytes, or engines. */
  readonly done: number;
  /** 0 where it is not known. */
  readonly total: number;
}

export interface DetectorOptions {
  readonly model: ModelInput;
  /** `auto` begins with the first that runs, times all that this browser has, and remembers the quickest. */
  readonly engine?: EngineId | 'auto';
  readonly onProgress?: (progress: Progress) => void;
  /** Folder of LiteRT's and TF.js' wasm files; where the library was built to expect them, by default. */
  readonly wasmFolder?: string | URL;
  /** Called when a running engine failed (a lost GPU, memory) and another went on in its place. */
  readonly onEngineChange?: (choice: EngineChoice) => void;
  /** Forget what was remembered of this model's engines, and time them again. */
  readonly retime?: boolean;
}

/** What `auto` found out about one engine. */
export interface EngineTrial {
  readonly engine: EngineId;
  /** Median of some runs after a warm-up, in milliseconds; null if it was not run. */
  readonly milliseconds: number | null;
  /** Why it was not run, or why it failed. */
  readonly reason: string | null;
}

export interface EngineChoice {
  readonly engine: EngineId;
  /** One sentence, to be shown. */
  readonly why: string;
  readonly trials: readonly EngineTrial[];
}

/** Memory of the worker, where it can be known. */
export interface MemoryUse {
  /** Live tensors of TF.js; 0 with LiteRT. */
  readonly tensors: number;
  /** Bytes of the engine's tensors or of its wasm memory; null where it cannot be known. */
  readonly bytes: number | null;
}

export interface Detector {
  /** What the model says about itself. */
  readonly contract: Contract;
  /** Bytes of the model. */
  readonly modelBytes: number;
  /** With `auto`, of the first engine that ran, until all are timed. */
  readonly choice: EngineChoice;
  /** Resolves when `auto` has timed all engines and the quickest one runs; at once otherwise. */
  readonly settled: Promise<void>;
  /** Find objects. Throws `DetectorError`. Calls are answered one after the other. */
  detect(source: Source, options?: DetectOptions): Promise<DetectionResult>;
  memory(): Promise<MemoryUse>;
  dispose(): void;
}
