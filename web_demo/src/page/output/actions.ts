/** The buttons that save or copy detections. */

import { requestImage } from '../images/images';
import { describeError } from '../messages';
import { type State, thresholds, visibleDetections } from '../state';
import type { Store } from '../store';
import { byId, setText } from '../view/dom';
import { toCsv } from './csv';
import { toJson } from './json';
import { saveFile, savedName } from './save';

const CONFIRMATION_MS = 2000;

export function offerOutputs(store: Store): void {
  const act = (id: string, action: (state: State) => Promise<void> | void) => {
    const button = byId<HTMLButtonElement>(id);
    button.onclick = async () => {
      try {
        await action(store.state);
      } catch (error) {
        store.send({ type: 'alert', text: describeError(error) });
      }
    };
    return button;
  };
  const buttons = [
    act('save-image', async (state) => {
      const { name, blob, bitmap } = state.image!;
      const image = blob ?? (await createImageBitmap(bitmap));
      const png = await requestImage('png', { image, detections: visibleDetections(state) }, blob ? [] : [image as ImageBitmap]);
      saveFile(savedName(name, 'png'), png);
    }),
    act('copy-json', (state) => copy(store, jsonOf(state))),
    act('save-json', (state) => saveText(state, 'json', 'application/json', jsonOf(state))),
    act('save-csv', (state) => saveText(state, 'csv', 'text/csv', toCsv(state.image!.name, visibleDetections(state)))),
  ];
  store.listen((state) => {
    for (const button of buttons) button.disabled = !state.image || !state.result;
  });
}

function jsonOf(state: State): string {
  const { name, width, height } = state.image!;
  const metadata = { image: name, width, height, model: state.model?.file ?? '', ...thresholds(state) };
  return toJson(metadata, visibleDetections(state));
}

function saveText(state: State, extension: string, type: string, text: string): void {
  saveFile(savedName(state.image!.name, extension), new Blob([text], { type }));
}

async function copy(store: Store, text: string): Promise<void> {
  const label = byId('copy-json').querySelector('.text')!;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    store.send({ type: 'alert', text: 'The browser does not allow copying to the clipboard. Use “Save JSON” instead.' });
    return;
  }
  setText(label, 'Copied');
  setTimeout(() => setText(label, 'Copy JSON'), CONFIRMATION_MS);
}
