/** Adapts the page to the task of the model: its title, and the controls that have an effect. */

import { taskOf } from '../state';
import type { Store } from '../store';
import { TASK_PAGES } from '../tasks';
import { byId, setText } from './dom';

export function showTask(store: Store): void {
  const [title, lead, thresholds, filter] = [byId('title'), byId('lead'), byId('thresholds'), byId('all-or-none')];
  const [masks, showMasks] = [byId('masks'), byId<HTMLInputElement>('show-masks')];
  showMasks.onchange = () => store.send({ type: 'show-masks', shown: showMasks.checked });
  store.listen((state) => {
    const task = taskOf(state);
    const page = TASK_PAGES[task];
    document.documentElement.dataset.task = task;
    document.title = `tfyolo: ${page.title[0]!.toLowerCase()}${page.title.slice(1)}`;
    setText(title, page.title);
    setText(lead, page.lead);
    thresholds.hidden = filter.hidden = !page.hasBoxes;
    masks.hidden = !page.hasMasks;
    showMasks.checked = state.showMasks;
  });
}
