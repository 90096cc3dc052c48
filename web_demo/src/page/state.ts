/** The state of the page and its reducer, a pure function from state and action to the next state. */

import type { ClassProbability, Contract, Detection, EngineChoice, EngineId, Progress, Result, Task } from '../detector';

export const DEFAULTS = { confidence: 0.25, iou: 0.45 } as const;
/** Number of frames over which the frame rate is averaged. */
const FRAMES = 30;
/** Maximum number of visible alerts; older ones are removed. */
const MAX_ALERTS = 3;

/** The loaded model. */
export interface Model {
  readonly contract: Contract;
  /** Size in bytes. */
  readonly bytes: number;
  /** Name of the model's file or folder. */
  readonly file: string;
}

/** A still image in the thumbnail strip. */
export interface Still {
  readonly id: number;
  readonly title: string;
  /** URL of a sample, or a file of the user. */
  readonly source: string | Blob;
}

/** The displayed image. The owner closes `bitmap` when the image is replaced. */
export interface SourceImage {
  readonly name: string;
  /** Full-resolution width in pixels. */
  readonly width: number;
  /** Full-resolution height in pixels. */
  readonly height: number;
  /** Pixels for display; downscaled if the image is very large. */
  readonly bitmap: ImageBitmap;
  /** The image file at full resolution; null for frames of a camera or video. */
  readonly blob: Blob | null;
}

/** The image at full resolution, for detection: the file if the bitmap is downscaled, otherwise the bitmap. */
export function fullResolution({ bitmap, blob, width }: SourceImage): ImageBitmap | Blob {
  return blob && bitmap.width < width ? blob : bitmap;
}

/** Where the displayed image comes from. */
export type Source =
  | { readonly kind: 'still'; readonly id: number }
  | { readonly kind: 'camera' | 'video'; readonly name: string; readonly paused: boolean };

export interface Alert {
  readonly id: number;
  readonly tone: 'error' | 'notice';
  readonly text: string;
}

export interface Camera {
  readonly id: string;
  readonly label: string;
}

export interface State {
  readonly phase: 'starting' | 'ready' | 'error';
  /** Null when no model is being loaded. */
  readonly progress: Progress | null;
  readonly model: Model | null;
  readonly choice: EngineChoice | null;
  /** The engine that the user selected. */
  readonly engine: EngineId | 'auto';
  /** Confidence threshold that the user selected; `thresholds` limits it to what the model supports. */
  readonly confidence: number;
  /** IoU threshold that the user selected; limited in the same way. */
  readonly iou: number;
  readonly hiddenClasses: ReadonlySet<number>;
  /** Whether the masks of a segmentation model are drawn. */
  readonly showMasks: boolean;
  readonly stills: readonly Still[];
  readonly source: Source | null;
  readonly cameras: readonly Camera[];
  readonly camera: string;
  readonly image: SourceImage | null;
  /** Detections in `image` of all classes, or the classes of `image`. */
  readonly result: Result | null;
  /** True if the model failed on `image`, so that there will be no result. */
  readonly failed: boolean;
  /** Completion times of the most recent frames, in milliseconds (performance.now()). */
  readonly frameTimes: readonly number[];
  readonly alerts: readonly Alert[];
  readonly nextId: number;
}

/** Everything that can change the state. */
export type Action =
  | { readonly type: 'load'; readonly engine: EngineId | 'auto' }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'loaded'; readonly model: Model; readonly choice: EngineChoice }
  | { readonly type: 'not-loaded'; readonly engine: EngineId | 'auto'; readonly running: boolean; readonly text: string }
  | { readonly type: 'engine-settled'; readonly choice: EngineChoice }
  | { readonly type: 'engine-changed'; readonly choice: EngineChoice }
  | { readonly type: 'engine-lost'; readonly text: string }
  | { readonly type: 'thresholds'; readonly confidence?: number; readonly iou?: number }
  | { readonly type: 'hide-classes'; readonly classes: ReadonlySet<number> }
  | { readonly type: 'show-masks'; readonly shown: boolean }
  | { readonly type: 'add-stills'; readonly stills: readonly Omit<Still, 'id'>[] }
  | { readonly type: 'remove-still'; readonly id: number }
  | { readonly type: 'source'; readonly source: Source | null }
  | { readonly type: 'pause'; readonly paused: boolean }
  | { readonly type: 'cameras'; readonly cameras: readonly Camera[]; readonly camera: string }
  | { readonly type: 'image'; readonly image: SourceImage | null }
  | { readonly type: 'result'; readonly result: Result }
  | { readonly type: 'failed' }
  | { readonly type: 'frame'; readonly image: SourceImage; readonly result: Result | null; readonly time: number }
  | { readonly type: 'alert'; readonly tone?: Alert['tone']; readonly text: string }
  | { readonly type: 'dismiss'; readonly id: number };

export const INITIAL: State = {
  phase: 'starting',
  progress: null,
  model: null,
  choice: null,
  engine: 'auto',
  ...DEFAULTS,
  hiddenClasses: new Set(),
  showMasks: true,
  stills: [],
  source: null,
  cameras: [],
  camera: '',
  image: null,
  result: null,
  failed: false,
  frameTimes: [],
  alerts: [],
  nextId: 1,
};

/** The state after an action; the same object if nothing changed. */
export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'load':
      return {
        ...state,
        phase: state.phase === 'ready' ? 'ready' : 'starting',
        engine: action.engine,
        progress: { stage: 'start', done: 0, total: 0 },
      };
    case 'progress':
      return { ...state, progress: action.progress };
    case 'loaded': {
      const sameClasses = state.model?.contract.classNames.join('\n') === action.model.contract.classNames.join('\n');
      return {
        ...state,
        phase: 'ready',
        progress: null,
        model: action.model,
        choice: action.choice,
        hiddenClasses: sameClasses ? state.hiddenClasses : new Set(),
        result: null,
        failed: false,
        frameTimes: [],
      };
    }
    case 'not-loaded': {
      const phase = action.running ? 'ready' : 'error';
      return withAlert({ ...state, phase, progress: null, engine: action.engine }, 'error', action.text);
    }
    case 'engine-settled':
      return { ...state, choice: action.choice };
    case 'engine-changed':
      // The selected engine no longer works, so the selection falls back to `auto`.
      return withAlert({ ...state, choice: action.choice, engine: 'auto' }, 'notice', action.choice.reason);
    case 'engine-lost':
      return withAlert({ ...state, phase: 'error' }, 'error', action.text);
    case 'thresholds':
      return { ...state, confidence: action.confidence ?? state.confidence, iou: action.iou ?? state.iou };
    case 'hide-classes':
      return { ...state, hiddenClasses: action.classes };
    case 'show-masks':
      return { ...state, showMasks: action.shown };
    case 'add-stills': {
      const added = action.stills.map((still, index) => ({ ...still, id: state.nextId + index }));
      return { ...state, stills: [...state.stills, ...added], nextId: state.nextId + added.length };
    }
    case 'remove-still':
      return { ...state, stills: state.stills.filter((still) => still.id !== action.id) };
    case 'source':
      return { ...state, source: action.source, failed: false, frameTimes: [] };
    case 'pause':
      return state.source === null || state.source.kind === 'still'
        ? state
        : { ...state, source: { ...state.source, paused: action.paused }, frameTimes: [] };
    case 'cameras':
      return { ...state, cameras: action.cameras, camera: action.camera };
    case 'image':
      return { ...state, image: action.image, result: null, failed: false };
    case 'result':
      return { ...state, result: action.result, failed: false };
    case 'failed':
      return { ...state, failed: true };
    case 'frame':
      return {
        ...state,
        image: action.image,
        result: action.result,
        failed: false,
        frameTimes: [...state.frameTimes, action.time].slice(-FRAMES),
      };
    case 'alert':
      return withAlert(state, action.tone ?? 'error', action.text);
    case 'dismiss':
      return { ...state, alerts: state.alerts.filter((alert) => alert.id !== action.id) };
  }
}

function withAlert(state: State, tone: Alert['tone'], text: string): State {
  const others = state.alerts.filter((alert) => alert.text !== text);
  const alerts = [...others, { id: state.nextId, tone, text }].slice(-MAX_ALERTS);
  return { ...state, alerts, nextId: state.nextId + 1 };
}

/** Smallest and largest value of each threshold slider. */
export interface ThresholdBounds {
  readonly confidence: readonly [number, number];
  readonly iou: readonly [number, number];
}

/** Bounds of the sliders: NMS inside the graph has already dropped everything beyond its own thresholds. */
export function thresholdBounds(model: Model | null): ThresholdBounds {
  const embeddedNms = model?.contract.embeddedNms;
  // Rounded inwards to the slider's step of 0.01.
  const minConfidence = embeddedNms ? Math.min(Math.ceil(embeddedNms.confidence * 100 - 1e-6) / 100, 0.99) : 0.01;
  const maxIou = embeddedNms ? Math.min(Math.floor(embeddedNms.iou * 100 + 1e-6) / 100, 0.95) : 0.95;
  return { confidence: [Math.max(minConfidence, 0.01), 0.99], iou: [Math.min(0.05, maxIou), maxIou] };
}

/** The thresholds to detect with: those that the user selected, clamped to the bounds. */
export function thresholds(state: Pick<State, 'model' | 'confidence' | 'iou'>): { confidence: number; iou: number } {
  const { confidence, iou } = thresholdBounds(state.model);
  return { confidence: clamp(state.confidence, confidence), iou: clamp(state.iou, iou) };
}

function clamp(value: number, [min, max]: readonly [number, number]): number {
  return Math.min(Math.max(value, min), max);
}

/** Task of the model; `detect` until one is loaded. */
export function taskOf({ model }: Pick<State, 'model'>): Task {
  return model?.contract.task ?? 'detect';
}

/** The most probable classes of a classifier, sorted by descending probability. */
export function topClasses({ result }: Pick<State, 'result'>): readonly ClassProbability[] {
  return result && 'classes' in result ? result.classes : [];
}

/** Detections of all classes. */
export function allDetections({ result }: Pick<State, 'result'>): readonly Detection[] {
  return result && 'detections' in result ? result.detections : [];
}

/** Detections of the classes that are not hidden. */
export function visibleDetections(state: Pick<State, 'result' | 'hiddenClasses'>): readonly Detection[] {
  const all = allDetections(state);
  return state.hiddenClasses.size ? all.filter(({ classId }) => !state.hiddenClasses.has(classId)) : all;
}

/** True for camera and video. */
export function isLive(state: Pick<State, 'source'>): boolean {
  return state.source !== null && state.source.kind !== 'still';
}

/** Frame rate from completion times in milliseconds; null for fewer than two frames. */
export function framesPerSecond(times: readonly number[]): number | null {
  const span = times.length > 1 ? times.at(-1)! - times[0]! : 0;
  return span > 0 ? ((times.length - 1) * 1000) / span : null;
}
