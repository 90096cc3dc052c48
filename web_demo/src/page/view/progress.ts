/** The progress bar shown while a model loads. */

import { describeProgress } from '../format';
import type { Store } from '../store';
import { byId, setText } from './dom';

export function showProgress(store: Store): void {
  const box = byId('progress');
  const bar = box.querySelector('progress')!;
  const text = box.querySelector('span')!;
  store.listen(({ progress }) => {
    box.hidden = !progress;
    if (!progress) return;
    setText(text, describeProgress(progress));
    if (progress.total > 0) {
      bar.max = progress.total;
      bar.value = progress.done;
    } else bar.removeAttribute('value');
  });
}
