/** The threshold sliders, and the controls of camera and video. */

import { thresholdBounds, isLive, thresholds } from '../state';
import type { Store } from '../store';
import { byId, setText } from './dom';

export function showSliders(store: Store): void {
  const sliders = { confidence: byId<HTMLInputElement>('confidence'), iou: byId<HTMLInputElement>('iou') };
  const hint = byId('thresholds-hint');
  for (const name of ['confidence', 'iou'] as const)
    sliders[name].oninput = () => store.send({ type: 'thresholds', [name]: sliders[name].valueAsNumber });

  store.listen((state, before) => {
    if (state.model === before.model && state.confidence === before.confidence && state.iou === before.iou && state !== before)
      return;
    const [limits, values] = [thresholdBounds(state.model), thresholds(state)];
    for (const name of ['confidence', 'iou'] as const) {
      const slider = sliders[name];
      [slider.min, slider.max] = limits[name].map(String) as [string, string];
      slider.value = String(values[name]);
      const [min, max] = limits[name];
      slider.style.setProperty('--filled', `${(100 * (values[name] - min)) / (max - min || 1)}%`);
      setText(byId(`${name}-value`), values[name].toFixed(2));
    }
    const embeddedNms = state.model?.contract.embeddedNms;
    hint.hidden = !embeddedNms;
    if (embeddedNms)
      setText(
        hint,
        `NMS runs inside this model: the confidence threshold cannot go below ${limits.confidence[0].toFixed(2)}, ` +
          `the IoU threshold cannot go above ${limits.iou[1].toFixed(2)}.`,
      );
  });
}

export interface LiveActions {
  toggleCamera(): void;
  chooseCamera(id: string): void;
  flipCamera(): void;
  togglePause(): void;
}

export function showLiveControls(store: Store, actions: LiveActions): void {
  const [camera, flip, pause] = [byId('camera'), byId('flip'), byId('pause')];
  const choice = byId<HTMLSelectElement>('camera-choice');
  camera.onclick = () => actions.toggleCamera();
  flip.onclick = () => actions.flipCamera();
  pause.onclick = () => actions.togglePause();
  choice.onchange = () => actions.chooseCamera(choice.value);

  document.addEventListener('keydown', (event) => {
    // If a control has the focus, the space bar operates that control.
    const onControl = (event.target as Element).closest?.('button, input, select, summary, a, label');
    if (event.key !== ' ' || onControl || event.repeat || !isLive(store.state)) return;
    event.preventDefault();
    actions.togglePause();
  });

  store.listen((state, before) => {
    const live = isLive(state) && state.source?.kind !== 'still' ? state.source : null;
    const fromCamera = live?.kind === 'camera';
    pause.hidden = !live;
    setText(pause.querySelector('.text')!, live && 'paused' in live && live.paused ? 'Play' : 'Pause');
    pause.dataset.paused = String(live && 'paused' in live && live.paused);
    setText(camera.querySelector('.text')!, fromCamera ? 'Stop camera' : 'Camera');
    flip.hidden = choice.hidden = !fromCamera || state.cameras.length < 2;
    if (state.cameras !== before.cameras)
      choice.replaceChildren(...state.cameras.map(({ id, label }) => new Option(label, id)));
    if (choice.value !== state.camera) choice.value = state.camera;
  });
}
