/** The buttons that save or copy detections or classes. */

import { requestImage } from '../images/images';
import { describeError } from '../messages';
import { type State, taskOf, thresholds, topClasses, visibleDetections } from '../state';
import type { Store } from '../store';
import { TASK_PAGES } from '../tasks';
import { byId, setText } from '../view/dom';
import { classesToCsv, toCsv } from './csv';
import { classesToJson, toJson } from './json';
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
      const { blob, bitmap } = state.image!;
      const image = blob ?? (await createImageBitmap(bitmap));
      const drawn = { detections: visibleDetections(state), classes: topClasses(state), masks: state.showMasks };
      const png = await requestImage('png', { image, ...drawn }, blob ? [] : [image as ImageBitmap]);
      saveFile(nameOf(state, 'png'), png);
    }),
    act('copy-json', (state) => copy(store, jsonOf(state))),
    act('save-json', (state) => saveText(state, 'json', 'application/json', jsonOf(state))),
    act('save-csv', (state) => saveText(state, 'csv', 'text/csv', csvOf(state))),
  ];
  store.listen((state) => {
    for (const button of buttons) button.disabled = !state.image || !state.result;
  });
}

function jsonOf(state: State): string {
  const { name, width, height } = state.image!;
  const metadata = { image: name, width, height, model: state.model?.file ?? '' };
  return isClassified(state)
    ? classesToJson(metadata, topClasses(state))
    : toJson({ ...metadata, ...thresholds(state) }, visibleDetections(state));
}

function csvOf(state: State): string {
  const { name } = state.image!;
  return isClassified(state) ? classesToCsv(name, topClasses(state)) : toCsv(name, visibleDetections(state));
}

function isClassified({ result }: State): boolean {
  return result !== null && 'classes' in result;
}

function nameOf(state: State, extension: string): string {
  return savedName(state.image!.name, extension, TASK_PAGES[taskOf(state)].saved);
}

function saveText(state: State, extension: string, type: string, text: string): void {
  saveFile(nameOf(state, extension), new Blob([text], { type }));
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
