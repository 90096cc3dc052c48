/** The list of classes with color, count and a checkbox that shows or hides the class. */

import { classColor } from '../colors';
import { countByClass } from '../format';
import { allDetections } from '../state';
import type { Store } from '../store';
import { TASK_PAGES } from '../tasks';
import { byId, make, setText } from './dom';

export function showClasses(store: Store): void {
  const list = byId('classes');
  let rows: { box: HTMLInputElement; count: HTMLElement; row: HTMLElement }[] = [];
  const hide = (hidden: Iterable<number>) => store.send({ type: 'hide-classes', classes: new Set(hidden) });
  byId('all-classes').onclick = () => hide([]);
  byId('no-classes').onclick = () => hide(rows.keys());
  list.onchange = () => hide(rows.flatMap(({ box }, classId) => (box.checked ? [] : [classId])));

  store.listen((state, before) => {
    if (state.model !== before.model) {
      const { model } = state;
      rows = model && TASK_PAGES[model.contract.task].hasBoxes ? model.contract.classNames.map(makeRow) : [];
      list.replaceChildren(...rows.map(({ row }) => row));
    } else if (state.result === before.result && state.hiddenClasses === before.hiddenClasses) return;
    const counts = countByClass(allDetections(state));
    for (const [classId, { box, count, row }] of rows.entries()) {
      box.checked = !state.hiddenClasses.has(classId);
      setText(count, String(counts.get(classId) ?? 0));
      row.dataset.found = String(counts.has(classId));
    }
  });
}

function makeRow(name: string, classId: number) {
  const box = make('input', { type: 'checkbox', checked: true });
  const swatch = make('span', { className: 'swatch' });
  swatch.style.backgroundColor = classColor(classId);
  const count = make('span', { className: 'class-count' }, '0');
  const label = make('span', { className: 'class-name', title: name }, name);
  return { box, count, row: make('li', {}, make('label', {}, box, swatch, label, count)) };
}
