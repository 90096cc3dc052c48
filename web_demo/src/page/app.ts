/** The page: what is in index.html, wired to state, model and sources. */

import { Detecting } from './detecting';
import { type FoundFile, sortFiles } from './files';
import { goOffline } from './offline';
import { offerOutputs } from './output/actions';
import { plural } from './format';
import { Player } from './player';
import { describeError } from './sentences';
import { type ModelSource, OWN_MODEL, Session } from './session';
import { listenForFiles } from './sources/drop';
import { listSamples } from './sources/stills';
import { showSeek } from './sources/video';
import { createStore, type Store } from './store';
import { readAddress, writeAddress } from './url';
import { showAlerts } from './view/alerts';
import { showClasses } from './view/classes';
import { showLiveControls, showSliders } from './view/controls';
import { byId } from './view/dom';
import { showEngine } from './view/engine';
import { showFacts } from './view/facts';
import { showProgress } from './view/progress';
import { Stage } from './view/stage';
import { showSummary } from './view/summary';
import { showTheme } from './view/theme';
import { showThumbnails } from './view/thumbnails';
import { showTiming } from './view/timing';

/** Images in the strip. */
const MOST_STILLS = 200;
/** Browsers refuse addresses that change with every move of a slider. */
const ADDRESS_MS = 300;

const store = createStore();
const session = new Session(store);
const stage = new Stage(store);
const detecting = new Detecting(store, session);
const player = new Player(store, detecting, byId<HTMLVideoElement>('video'));
void start();

async function start(): Promise<void> {
  showViews();
  listenForFiles(takeFiles);
  const { settings, problems } = readAddress(location.search, document.baseURI);
  store.send({ type: 'thresholds', confidence: settings.confidence, iou: settings.iou });
  for (const text of problems) store.send({ type: 'alert', text });
  await goOffline();
  void openSamples();
  await session.load(settings.model === null ? OWN_MODEL : fromAddress(settings.model), settings.engine);
  keepAddress(store);
}

function showViews(): void {
  showTheme();
  showAlerts(store);
  showProgress(store);
  showSummary(store);
  showClasses(store);
  showSliders(store);
  showTiming(store, () => stage.milliseconds);
  showEngine(store, {
    changeEngine: (engine) => void session.restart(engine),
    retime: () => void session.restart('auto', true),
  });
  showFacts(store);
  showLiveControls(store, {
    toggleCamera: () => player.toggleCamera(),
    chooseCamera: (id) => void player.startCamera({ id }),
    flipCamera: () => player.flipCamera(),
    togglePause: () => player.togglePause(),
  });
  showSeek(byId<HTMLVideoElement>('video'));
  showThumbnails(store, {
    openStill: (id) => void player.openStill(id),
    reject: (still, error) => player.reject(still, error),
  });
  offerOutputs(store);
  // A bitmap holds memory until it is closed; all views have let go of it here.
  store.listen((state, before) => {
    if (state.image !== before.image) before.image?.shown.close();
  });
}

async function openSamples(): Promise<void> {
  try {
    store.send({ type: 'add-stills', stills: await listSamples() });
  } catch (error) {
    return store.send({ type: 'alert', text: describeError(error) });
  }
  const [first] = store.state.stills;
  // The user may have been quicker.
  if (first && !store.state.source) await player.openStill(first.id);
}

function takeFiles(found: FoundFile<File>[]): void {
  const { model, images, videos, others } = sortFiles(found);
  if (model) {
    void session.replace({ input: model.files, name: model.name, kind: model.kind });
    return;
  }
  if (others.length) {
    const names = others.length === 1 ? `“${others[0]!.name}” is` : `${plural(others.length, 'file')} are`;
    const text = `${names} no image, video or model. Use JPEG, PNG, WebP, MP4, WebM, .tflite, or a TF.js folder.`;
    store.send({ type: 'alert', text });
  }
  const free = Math.max(MOST_STILLS - store.state.stills.length, 0);
  if (images.length > free)
    store.send({ type: 'alert', tone: 'notice', text: `The strip holds ${MOST_STILLS} images; the rest was left out.` });
  const stills = images.slice(0, free).map((file) => ({ title: file.name || 'Pasted image', source: file }));
  const first = store.state.nextId;
  if (stills.length) store.send({ type: 'add-stills', stills });
  if (videos[0]) player.openVideo(videos[0]);
  else if (stills.length) void player.openStill(first);
}

function fromAddress(model: string): ModelSource {
  const { pathname } = new URL(model, document.baseURI);
  const name = pathname.slice(pathname.lastIndexOf('/') + 1).replaceAll('%20', ' ');
  return { input: model, name, kind: name.endsWith('.json') ? 'tfjs' : 'tflite' };
}

/** Write what the user changes into the page's address, so that it can be kept and sent. */
function keepAddress(store: Store): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  // What the page started with stays as it was written, mistakes included.
  let kept = store.state;
  store.listen((state) => {
    const { engine, confidence, iou, model } = state;
    if (engine === kept.engine && confidence === kept.confidence && iou === kept.iou && model === kept.model) return;
    kept = state;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const { input } = session.source;
      const named = session.source !== OWN_MODEL && typeof input === 'string' ? input : null;
      const query = writeAddress(location.search, { model: named, engine, confidence, iou });
      history.replaceState(null, '', location.pathname + query + location.hash);
    }, ADDRESS_MS);
  });
}
