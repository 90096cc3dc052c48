/** The strip of thumbnails: radio buttons, so that it can be operated with the arrow keys. */

import { openThumbnail } from '../sources/stills';
import type { State, Still } from '../state';
import type { Store } from '../store';
import { byId, make } from './dom';

const HEIGHT_PX = 64;

export interface ThumbnailActions {
  openStill(id: number): void;
  /** Called for an image that cannot be decoded. */
  reject(still: Still, error: unknown): void;
}

export function showThumbnails(store: Store, actions: ThumbnailActions): void {
  const strip = byId('thumbnails');
  const items = new Map<number, { item: HTMLElement; radio: HTMLInputElement }>();
  // Thumbnails are decoded one after the other: a hundred photos at once could exhaust the memory.
  let queue = Promise.resolve();
  strip.onchange = (event) => actions.openStill(Number((event.target as HTMLInputElement).value));

  const add = (still: Still) => {
    const radio = make('input', { type: 'radio', name: 'still', value: String(still.id), className: 'visually-hidden' });
    radio.setAttribute('aria-label', still.title);
    const canvas = make('canvas', { width: HEIGHT_PX, height: HEIGHT_PX });
    const item = make('label', { className: 'thumbnail', title: still.title }, radio, canvas);
    items.set(still.id, { item, radio });
    strip.append(item);
    queue = queue.then(() => paint(canvas, still)).catch((error) => actions.reject(still, error));
  };

  const update = (state: State, before: State) => {
    if (state.stills !== before.stills) {
      const ids = new Set(state.stills.map(({ id }) => id));
      for (const [id, { item }] of items) if (!ids.has(id) && items.delete(id)) item.remove();
      for (const still of state.stills) if (!items.has(still.id)) add(still);
    }
    if (state.source === before.source && state.stills === before.stills) return;
    const chosen = state.source?.kind === 'still' ? state.source.id : -1;
    for (const [id, { item, radio }] of items) {
      radio.checked = id === chosen;
      // Not scrollIntoView(), which would also scroll the page.
      if (radio.checked) strip.scrollLeft = item.offsetLeft - (strip.clientWidth - item.offsetWidth) / 2;
    }
  };
  store.listen(update);
}

async function paint(canvas: HTMLCanvasElement, still: Still): Promise<void> {
  const bitmap = await openThumbnail(still, HEIGHT_PX * Math.min(Math.ceil(window.devicePixelRatio || 1), 2));
  canvas.height = bitmap.height;
  // Cropped, because a panorama would fill the strip.
  canvas.width = Math.min(bitmap.width, 2 * bitmap.height);
  canvas.getContext('2d')!.drawImage(bitmap, (canvas.width - bitmap.width) / 2, 0);
  bitmap.close();
}
