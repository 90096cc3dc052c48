/** Settings in the page's address: ?model= ?engine= ?conf= ?iou= */

import { type EngineId, ENGINES } from '../detector';
import { DEFAULTS } from './state';

export interface AddressSettings {
  /** Null for the model that the page brings along. */
  readonly model: string | null;
  readonly engine: EngineId | 'auto';
  readonly confidence: number;
  readonly iou: number;
}

/**
 * Read the settings; what is wrong falls back to the default, and a sentence says so.
 *
 * @param base address of the page: models of other addresses are refused, as they would see who looks.
 */
export function readAddress(search: string, base: string): { settings: AddressSettings; problems: string[] } {
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

/** The address's query with these settings; defaults are left out, parameters of others stay. */
export function writeAddress(search: string, settings: AddressSettings): string {
  const values = new URLSearchParams(search);
  const put = (name: string, value: string | number | null, otherwise: string | number | null) =>
    value === otherwise ? values.delete(name) : values.set(name, String(value));
  put('model', settings.model, null);
  put('engine', settings.engine, 'auto');
  put('conf', settings.confidence, DEFAULTS.confidence);
  put('iou', settings.iou, DEFAULTS.iou);
  // A slash may stand in a query, and reads better.
  const text = values.toString().replaceAll('%2F', '/');
  return text ? `?${text}` : '';
}

function readModel(text: string | null, base: string, problems: string[]): string | null {
  if (!text) return null;
  const address = URL.canParse(text, base) ? new URL(text, base) : null;
  if (address && /^https?:$/.test(address.protocol) && address.origin === new URL(base).origin) return text;
  problems.push(
    `A model is only loaded from this page’s own address, and ?model=${quoted(text)} names another. ` +
      'Download it and drop it here; the page’s own model runs meanwhile.',
  );
  return null;
}

function readEngine(text: string | null, problems: string[]): EngineId | 'auto' {
  if (!text || text === 'auto') return 'auto';
  const engine = ENGINES.find(({ id }) => id === text);
  if (engine) return engine.id;
  const known = ENGINES.map((one) => one.id).join(', ');
  problems.push(`There is no engine named ${quoted(text)}, so the quickest one is taken. Known are auto, ${known}.`);
  return 'auto';
}

function readFraction(values: URLSearchParams, name: string, otherwise: number, problems: string[]): number {
  const text = values.get(name);
  if (text === null) return otherwise;
  const value = text.trim() === '' ? NaN : Number(text);
  if (value >= 0 && value <= 1) return value;
  problems.push(`?${name}=${quoted(text)} is no number from 0 to 1, so ${otherwise} is taken. Move the slider to change it.`);
  return otherwise;
}

function quoted(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
