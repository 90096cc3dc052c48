/** All that the page knows, and how it changes: a reducer without side effects. */

import type { Contract, Detection, DetectionResult, EngineChoice, EngineId, Progress } from '../detector';

export const DEFAULTS = { confidence: 0.25, iou: 0.45 } as const;
/** Times of this many frames give the rate. */
const FRAMES = 30;
/** Older sentences go. */
const MOST_ALERTS = 3;

export interface Model {
  readonly contract: Contract;
  readonly bytes: number;
  /** Name of the file or folder it came from. */
  readonly file: string;
}

/** An image of the strip. */
export interface Still {
  readonly id: number;
  readonly title: string;
  /** Address of a sample, or the user's file. */
  readonly source: string | Blob;
}

/** What is shown and detected in. Its owner closes `shown` when another takes its place. */
export interface SourceImage {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** At most some megapixels. */
  readonly shown: ImageBitmap;
  /** The file of an image, in full resolution; null for frames, which are shown as they are. */
  readonly blob: Blob | null;
}

/** What to detect in: what is shown, unless that is a smaller copy. */
export function fullResolution({ shown, blob, width }: SourceImage): ImageBitmap | Blob {
  return blob && shown.width < width ? blob : shown;
}

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
  /** What the user asked for. */
  readonly engine: EngineId | 'auto';
  /** What the user asked for; `thresholds` gives what the model allows of it. */
  readonly confidence: number;
  readonly iou: number;
  readonly hiddenClasses: ReadonlySet<number>;
  readonly stills: readonly Still[];
  readonly source: Source | null;
  readonly cameras: readonly Camera[];
  readonly camera: string;
  readonly image: SourceImage | null;
  /** Of `image`, all classes. */
  readonly result: DetectionResult | null;
  /** When the last frames were done, in milliseconds. */
  readonly frameTimes: readonly number[];
  readonly alerts: readonly Alert[];
  readonly nextId: number;
}

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
  | { readonly type: 'add-stills'; readonly stills: readonly Omit<Still, 'id'>[] }
  | { readonly type: 'remove-still'; readonly id: number }
  | { readonly type: 'source'; readonly source: Source | null }
  | { readonly type: 'pause'; readonly paused: boolean }
  | { readonly type: 'cameras'; readonly cameras: readonly Camera[]; readonly camera: string }
  | { readonly type: 'image'; readonly image: SourceImage | null }
  | { readonly type: 'detected'; readonly result: DetectionResult }
  | { readonly type: 'frame'; readonly image: SourceImage; readonly result: DetectionResult | null; readonly time: number }
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
  stills: [],
  source: null,
  cameras: [],
  camera: '',
  image: null,
  result: null,
  frameTimes: [],
  alerts: [],
  nextId: 1,
};

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
      const sameClasses = state.model?.contract.names.join('\n') === action.model.contract.names.join('\n');
      return {
        ...state,
        phase: 'ready',
        progress: null,
        model: action.model,
        choice: action.choice,
        hiddenClasses: sameClasses ? state.hiddenClasses : new Set(),
        result: null,
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
      // The engine that was asked for does not run any more: from now on the page chooses.
      return withAlert({ ...state, choice: action.choice, engine: 'auto' }, 'notice', action.choice.why);
    case 'engine-lost':
      return withAlert({ ...state, phase: 'error' }, 'error', action.text);
    case 'thresholds':
      return { ...state, confidence: action.confidence ?? state.confidence, iou: action.iou ?? state.iou };
    case 'hide-classes':
      return { ...state, hiddenClasses: action.classes };
    case 'add-stills': {
      const added = action.stills.map((still, index) => ({ ...still, id: state.nextId + index }));
      return { ...state, stills: [...state.stills, ...added], nextId: state.nextId + added.length };
    }
    case 'remove-still':
      return { ...state, stills: state.stills.filter((still) => still.id !== action.id) };
    case 'source':
      return { ...state, source: action.source, frameTimes: [] };
    case 'pause':
      return state.source === null || state.source.kind === 'still'
        ? state
        : { ...state, source: { ...state.source, paused: action.paused }, frameTimes: [] };
    case 'cameras':
      return { ...state, cameras: action.cameras, camera: action.camera };
    case 'image':
      return { ...state, image: action.image, result: null };
    case 'detected':
      return { ...state, result: action.result };
    case 'frame':
      return {
        ...state,
        image: action.image,
        result: action.result,
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
  const alerts = [...others, { id: state.nextId, tone, text }].slice(-MOST_ALERTS);
  return { ...state, alerts, nextId: state.nextId + 1 };
}

export interface Bounds {
  readonly confidence: readonly [number, number];
  readonly iou: readonly [number, number];
}

/** Where the sliders may stand: suppression inside the file has dropped what lies beyond its own thresholds. */
export function bounds(model: Model | null): Bounds {
  const inside = model?.contract.inside;
  // In whole hundredths, inwards.
  const least = inside ? Math.min(Math.ceil(inside.confidence * 100 - 1e-6) / 100, 0.99) : 0.01;
  const most = inside ? Math.min(Math.floor(inside.iou * 100 + 1e-6) / 100, 0.95) : 0.95;
  return { confidence: [Math.max(least, 0.01), 0.99], iou: [Math.min(0.05, most), most] };
}

/** What to detect with. */
export function thresholds(state: Pick<State, 'model' | 'confidence' | 'iou'>): { confidence: number; iou: number } {
  const { confidence, iou } = bounds(state.model);
  return { confidence: clamp(state.confidence, confidence), iou: clamp(state.iou, iou) };
}

function clamp(value: number, [least, most]: readonly [number, number]): number {
  return Math.min(Math.max(value, least), most);
}

/** Detections of the classes that are switched on. */
export function visibleDetections(state: Pick<State, 'result' | 'hiddenClasses'>): readonly Detection[] {
  const all = state.result?.detections ?? [];
  return state.hiddenClasses.size ? all.filter((one) => !state.hiddenClasses.has(one.classId)) : all;
}

export function isLive(state: Pick<State, 'source'>): boolean {
  return state.source !== null && state.source.kind !== 'still';
}

/** Null until there are two. */
export function framesPerSecond(times: readonly number[]): number | null {
  const span = times.length > 1 ? times.at(-1)! - times[0]! : 0;
  return span > 0 ? ((times.length - 1) * 1000) / span : null;
}
