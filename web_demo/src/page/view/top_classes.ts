/** The most probable classes of a classifier, with bars and percentages. */

import type { Result } from '../../detector';
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
  const [list, cropHint] = [byId('top-classes'), byId('crop-hint')];
  const rows: Row[] = [];
  store.listen((state, before) => {
    list.hidden = taskOf(state) !== 'classify';
    if (state.result === before.result) return;
    cropHint.hidden = !isCropped(state.result);
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

/** Whether the model sees only a part of the image. */
function isCropped(result: Result | null): boolean {
  return result !== null && 'crop' in result && (result.crop.width < result.width || result.crop.height < result.height);
}

function makeRow(): Row {
  const [name, value] = [make('span', { className: 'class-name' }), make('span', { className: 'class-count' })];
  const bar = make('span', { className: 'share' });
  bar.setAttribute('aria-hidden', 'true');
  return { name, value, row: make('li', {}, name, ' ', value, bar) };
}
