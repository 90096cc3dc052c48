/** The most probable classes of a classifier, with bars and percentages. */

import { formatPercent } from '../format';
import { taskOf, topClasses } from '../state';
import type { Store } from '../store';
import { byId, make, setText } from './dom';

interface Row {
  readonly row: HTMLElement;
  readonly name: HTMLElement;
  readonly value: HTMLElement;
}

export function showTopClasses(store: Store): void {
  const list = byId('top-classes');
  const rows: Row[] = [];
  store.listen((state, before) => {
    list.hidden = taskOf(state) !== 'classify';
    if (state.result === before.result) return;
    const classes = topClasses(state);
    // Rows are reused: new elements for every frame would lose the selection of text and cost time.
    while (rows.length < classes.length) {
      const added = makeRow();
      rows.push(added);
      list.append(added.row);
    }
    for (const { row } of rows.splice(classes.length)) row.remove();
    for (const [rank, { label, probability }] of classes.entries()) {
      const { row, name, value } = rows[rank]!;
      setText(name, label);
      name.title = label;
      setText(value, formatPercent(probability));
      row.style.setProperty('--share', `${100 * probability}%`);
    }
  });
}

function makeRow(): Row {
  const [name, value] = [make('span', { className: 'class-name' }), make('span', { className: 'class-count' })];
  const bar = make('span', { className: 'share' });
  bar.setAttribute('aria-hidden', 'true');
  return { name, value, row: make('li', {}, name, ' ', value, bar) };
}
