/** The engine selector, the reason for the selection, and the times of all engines. */

import { type Engine, type EngineId, ENGINES, type EngineTrial } from '../../detector';
import { formatMilliseconds } from '../format';
import type { Store } from '../store';
import { byId, make, setText } from './dom';

export interface EngineActions {
  changeEngine(engine: EngineId | 'auto'): void;
  retime(): void;
}

export function showEngine(store: Store, actions: EngineActions): void {
  const select = byId<HTMLSelectElement>('engine');
  const [reason, trials, rows] = [byId('engine-why'), byId('trials'), byId('trial-rows')];
  select.onchange = () => actions.changeEngine(select.value as EngineId | 'auto');
  byId('retime').onclick = () => actions.retime();

  store.listen((state, before) => {
    const kind = state.choice && findEngine(state.choice.engine)?.kind;
    if (state.choice !== before.choice || !select.options.length) {
      const offered = ENGINES.filter((engine) => !kind || engine.kind === kind);
      select.replaceChildren(
        new Option('Automatic', 'auto'),
        ...offered.map(({ id, label }) => new Option(label, id)),
      );
      setText(reason, state.choice?.reason ?? '');
      trials.hidden = !state.choice;
      rows.replaceChildren(...(state.choice?.trials ?? []).map(makeRow));
      byId('trial-table').hidden = !state.choice?.trials.length;
    }
    if (select.value !== state.engine) select.value = state.engine;
  });
}

function findEngine(engineId: EngineId): Engine | undefined {
  return ENGINES.find(({ id }) => id === engineId);
}

function makeRow({ engine, milliseconds, reason }: EngineTrial): HTMLTableRowElement {
  const name = make('th', { scope: 'row' }, findEngine(engine)?.label ?? engine);
  const result = make('td', {}, milliseconds === null ? (reason ?? 'not run') : formatMilliseconds(milliseconds));
  result.className = milliseconds === null ? 'reason' : 'number';
  return make('tr', {}, name, result);
}
