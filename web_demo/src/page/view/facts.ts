/** Shows the model's metadata. */

import { formatBytes } from '../format';
import type { Model } from '../state';
import type { Store } from '../store';
import { byId, make, setText } from './dom';

export function showFacts(store: Store): void {
  const [list, line] = [byId('facts'), byId('model-line')];
  store.listen((state, before) => {
    if (state.model === before.model) return;
    setText(line, state.model ? describeModel(state.model) : '');
    const rows = state.model ? factsOf(state.model) : [];
    list.replaceChildren(...rows.map(([term, value]) => make('div', {}, make('dt', {}, term), make('dd', { title: value }, value))));
  });
}

export function factsOf({ contract, bytes, file }: Model): [term: string, value: string][] {
  const [height, width] = contract.imageSize;
  return [
    ['Name', contract.modelName],
    ['Task', contract.task],
    ['File', file],
    ['Classes', `${contract.classNames.length}: ${shorten(contract.classNames)}`],
    ['Input', `${width} × ${height} pixels`],
    ['Precision', contract.precision],
    ...nmsOf(contract),
    ['Size', formatBytes(bytes)],
    ['Exported by', `tfyolo ${contract.version}`],
  ];
}

function nmsOf({ task, embeddedNms, nms }: Model['contract']): [string, string][] {
  if (task === 'classify') return [];
  return [['NMS', embeddedNms ? `in the model (${nms})` : `on this page (${nms})`]];
}

/** The most important metadata in one line. */
function describeModel({ contract, bytes }: Model): string {
  const [height, width] = contract.imageSize;
  return `by ${contract.modelName}, ${contract.precision}, ${width} × ${height} pixels, ${formatBytes(bytes)}`;
}

function shorten(names: readonly string[]): string {
  const first = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${first}, …` : first;
}
