/** Settings in the page's URL: ?model= ?engine= ?conf= ?iou= */

import { type EngineId, ENGINES } from '../detector';
import { DEFAULTS } from './state';

export interface UrlSettings {
  /** URL of the model; null for the default model. */
  readonly model: string | null;
  readonly engine: EngineId | 'auto';
  readonly confidence: number;
  readonly iou: number;
}

/**
 * Read the settings. Each invalid value is replaced by its default and reported in `problems`.
 *
 * @param base - URL of the page. Models from other origins are rejected: a shared link must not make the page contact
 *   another host.
 */
export function readUrlSettings(search: string, base: string): { settings: UrlSettings; problems: string[] } {
  const values = new URLSearchParams(search);
  const problems: string[] = [];
  return {
    settings: {
      model: readModel(values.get('model'), base, problems),
      engine: readEngine(values.get('engine'), problems),
      confidence: readFraction(values, 'conf', DEFAULTS.confidence, problems),
      iou: readFraction(values, 'iou', DEFAULTS.iou, problems),
    },
    problems,
  };
}

/** The file name in a URL of a model, as the user knows it: `best 2.tflite` for `model/best%202.tflite`. */
export function modelName(model: string, base: string): string {
  const { pathname } = new URL(model, base);
  const name = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a percent sign that encodes nothing
  }
}

/** The query with these settings; defaults are omitted, unrelated parameters are kept. */
export function writeUrlSettings(search: string, settings: UrlSettings): string {
  const values = new URLSearchParams(search);
  const put = (name: string, value: string | number | null, fallback: string | number | null) =>
    value === fallback ? values.delete(name) : values.set(name, String(value));
  put('model', settings.model, null);
  put('engine', settings.engine, 'auto');
  put('conf', settings.confidence, DEFAULTS.confidence);
  put('iou', settings.iou, DEFAULTS.iou);
  // Slashes are allowed in a query and are easier to read than %2F.
  const text = values.toString().replaceAll('%2F', '/');
  return text ? `?${text}` : '';
}

function readModel(text: string | null, base: string, problems: string[]): string | null {
  if (!text) return null;
  const address = URL.canParse(text, base) ? new URL(text, base) : null;
  if (address && /^https?:$/.test(address.protocol) && address.origin === new URL(base).origin) return text;
  problems.push(
    `Models can only be loaded from this page’s own host, but ?model=${quoted(text)} is on another host. ` +
      'Download the model and drop it here. The default model is used instead.',
  );
  return null;
}

function readEngine(text: string | null, problems: string[]): EngineId | 'auto' {
  if (!text || text === 'auto') return 'auto';
  const engine = ENGINES.find(({ id }) => id === text);
  if (engine) return engine.id;
  const known = ENGINES.map(({ id }) => id).join(', ');
  problems.push(`There is no engine named ${quoted(text)}, so the fastest engine is used. Available: auto, ${known}.`);
  return 'auto';
}

function readFraction(values: URLSearchParams, name: string, fallback: number, problems: string[]): number {
  const text = values.get(name);
  if (text === null) return fallback;
  const value = text.trim() === '' ? NaN : Number(text);
  if (value >= 0 && value <= 1) return value;
  problems.push(`?${name}=${quoted(text)} is not a number from 0 to 1, so ${fallback} is used. Use the slider to change it.`);
  return fallback;
}

function quoted(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
