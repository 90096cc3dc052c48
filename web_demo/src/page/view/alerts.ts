/** Shows error messages and notices until the user dismisses them. */

import type { Store } from '../store';
import { byId, make } from './dom';

export function showAlerts(store: Store): void {
  const region = byId('alert');
  const shown = new Map<number, HTMLElement>();
  store.listen(({ alerts }, before) => {
    if (alerts === before.alerts) return;
    const ids = new Set(alerts.map(({ id }) => id));
    for (const [id, element] of shown) if (!ids.has(id) && shown.delete(id)) element.remove();
    for (const { id, tone, text } of alerts) {
      if (shown.has(id)) continue;
      const dismiss = make('button', { type: 'button', className: 'dismiss', title: 'Dismiss' }, '×');
      dismiss.setAttribute('aria-label', 'Dismiss');
      dismiss.onclick = () => store.send({ type: 'dismiss', id });
      const element = make('div', { className: 'alert' }, make('p', {}, text), dismiss);
      element.dataset.tone = tone;
      shown.set(id, element);
      region.append(element);
    }
  });
}
