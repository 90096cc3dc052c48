/** Entry point of the page: connects the elements of index.html to state, model and image sources. */

import { DetectionLoop } from './detection_loop';
import { type FileEntry, groupFiles } from './files';
import { registerServiceWorker } from './service_worker';
import { offerOutputs } from './output/actions';
import { plural } from './format';
import { Player } from './player';
import { describeError } from './messages';
import { type ModelSource, DEFAULT_MODEL, Session } from './session';
import { listenForFiles, MAX_FILES } from './sources/drop';
import { listSamples } from './sources/stills';
import { showSeek } from './sources/video';
import { createStore, type Store } from './store';
import { modelName, readUrlSettings, writeUrlSettings } from './url';
import { showAlerts } from './view/alerts';
import { showClasses } from './view/classes';
import { showLiveControls, showSliders } from './view/controls';
import { byId } from './view/dom';
import { showEngine } from './view/engine';
import { showFacts } from './view/facts';
import { showProgress } from './view/progress';
import { Stage } from './view/stage';
import { showSummary } from './view/summary';
import { showTask } from './view/task';
import { showTheme } from './view/theme';
import { showThumbnails } from './view/thumbnails';
import { showTiming } from './view/timing';
import { showTopClasses } from './view/top_classes';

/** Maximum number of images in the thumbnail strip. */
const MAX_IMAGES = 200;
/** Delay before the URL is updated: browsers limit history.replaceState() to some calls per second. */
const URL_UPDATE_MS = 300;

const store = createStore();
const session = new Session(store);
const stage = new Stage(store);
const detectionLoop = new DetectionLoop(store, session);
const player = new Player(store, detectionLoop, byId<HTMLVideoElement>('video'));
void start();

async function start(): Promise<void> {
  showViews();
  listenForFiles(openFiles);
  const { settings, problems } = readUrlSettings(location.search, document.baseURI);
  store.send({ type: 'thresholds', confidence: settings.confidence, iou: settings.iou });
  for (const text of problems) store.send({ type: 'alert', text });
  await registerServiceWorker();
  void openSamples();
  await session.load(settings.model === null ? DEFAULT_MODEL : modelFromUrl(settings.model), settings.engine);
  syncUrl(store);
}

function showViews(): void {
  showTheme();
  showAlerts(store);
  showProgress(store);
  showSummary(store);
  showTask(store);
  showTopClasses(store);
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
  // A bitmap holds memory until it is closed. This listener runs last, when no view uses the bitmap any more.
  store.listen((state, before) => {
    if (state.image !== before.image) before.image?.bitmap.close();
  });
}

async function openSamples(): Promise<void> {
  try {
    store.send({ type: 'add-stills', stills: await listSamples() });
  } catch (error) {
    return store.send({ type: 'alert', text: describeError(error) });
  }
  const [first] = store.state.stills;
  // Unless the user has already opened something else.
  if (first && !store.state.source) await player.openStill(first.id);
}

function openFiles(entries: FileEntry<File>[], isCut: boolean): void {
  if (isCut)
    store.send({ type: 'alert', tone: 'notice', text: `At most ${MAX_FILES} files can be dropped at once; the others were skipped.` });
  const { model, images, videos, others } = groupFiles(entries);
  if (model) {
    void session.replace({ input: model.files, name: model.name, kind: model.kind });
    return;
  }
  if (others.length) {
    const names = others.length === 1 ? `“${others[0]!.name}” is` : `${plural(others.length, 'file')} are`;
    const text = `${names} not an image, video or model. Use JPEG, PNG, WebP, MP4, WebM, .tflite, or a TF.js folder.`;
    store.send({ type: 'alert', text });
  }
  const free = Math.max(MAX_IMAGES - store.state.stills.length, 0);
  if (images.length > free)
    store.send({ type: 'alert', tone: 'notice', text: `At most ${MAX_IMAGES} images can be open; the others were skipped.` });
  const stills = images.slice(0, free).map((file) => ({ title: file.name || 'Pasted image', source: file }));
  const first = store.state.nextId;
  if (stills.length) store.send({ type: 'add-stills', stills });
  if (videos[0]) player.openVideo(videos[0]);
  else if (stills.length) void player.openStill(first);
}

function modelFromUrl(model: string): ModelSource {
  const name = modelName(model, document.baseURI);
  return { input: model, name, kind: name.endsWith('.json') ? 'tfjs' : 'tflite' };
}

/** Write the user's settings into the page's URL, so that it can be bookmarked and shared. */
function syncUrl(store: Store): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  // The initial query stays as the user wrote it, including invalid values, until a setting changes.
  let last = store.state;
  store.listen((state) => {
    const { engine, confidence, iou, model } = state;
    if (engine === last.engine && confidence === last.confidence && iou === last.iou && model === last.model) return;
    last = state;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const { input } = session.source;
      const url = session.source !== DEFAULT_MODEL && typeof input === 'string' ? input : null;
      const query = writeUrlSettings(location.search, { model: url, engine, confidence, iou });
      history.replaceState(null, '', location.pathname + query + location.hash);
    }, URL_UPDATE_MS);
  });
}
