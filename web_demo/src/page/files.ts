/** Tells what a heap of dropped files is. */

export interface SortedFiles<F> {
  /** One `.tflite`, or model.json and what lies beside it; null if there is none. */
  readonly model: { readonly name: string; readonly kind: 'tflite' | 'tfjs'; readonly files: readonly F[] } | null;
  readonly images: readonly F[];
  readonly videos: readonly F[];
  readonly others: readonly F[];
}

/** A file with its folder, which drops and folder inputs tell in different ways. */
export interface FoundFile<F> {
  readonly file: F;
  /** With slashes; its last part is the file's name. */
  readonly path: string;
  readonly type: string;
}

const IMAGE = /\.(jpe?g|png|webp|gif|bmp|avif)$/i;
const VIDEO = /\.(mp4|m4v|mov|webm|mkv|ogv|avi)$/i;

/** A model takes its folder with it: images beside a model.json are of no interest. */
export function sortFiles<F>(found: readonly FoundFile<F>[]): SortedFiles<F> {
  const files = found.filter(({ path }) => !nameOf(path).startsWith('.'));
  const nothing = { images: [], videos: [], others: [] };
  const lite = files.find(({ path }) => /\.tflite$/i.test(path));
  if (lite) return { model: { name: nameOf(lite.path), kind: 'tflite', files: [lite.file] }, ...nothing };
  const description = files.find(({ path }) => nameOf(path) === 'model.json');
  if (description) {
    const folder = folderOf(description.path);
    const beside = files.filter(({ path }) => folderOf(path) === folder);
    const name = folder ? nameOf(folder) : 'model.json';
    return { model: { name, kind: 'tfjs', files: beside.map(({ file }) => file) }, ...nothing };
  }
  const is = (kind: 'image' | 'video', ending: RegExp) => (one: FoundFile<F>) =>
    one.type.startsWith(`${kind}/`) || ending.test(one.path);
  const [isImage, isVideo] = [is('image', IMAGE), is('video', VIDEO)];
  const pick = (wanted: (one: FoundFile<F>) => boolean) => files.filter(wanted).map(({ file }) => file);
  return {
    model: null,
    images: pick(isImage),
    videos: pick((one) => !isImage(one) && isVideo(one)),
    others: pick((one) => !isImage(one) && !isVideo(one)),
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}
