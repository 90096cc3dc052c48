/** Groups files that the user dropped or chose: a model, or images and videos. */

import { isTfliteName } from '../detector/tflite_file';

export interface GroupedFiles<F> {
  /** One `.tflite`, or a model.json with all files of its folder; null if there is no model. */
  readonly model: { readonly name: string; readonly kind: 'tflite' | 'tfjs'; readonly files: readonly F[] } | null;
  readonly images: readonly F[];
  readonly videos: readonly F[];
  readonly others: readonly F[];
}

/** A file and its path; drag and drop and folder inputs report paths in different ways. */
export interface FileEntry<F> {
  readonly file: F;
  /** Relative path with slashes; ends with the file name. */

  readonly path: string;
  /** MIME type; empty if unknown. */
  readonly type: string;
}

const IMAGE = /\.(jpe?g|png|webp|gif|bmp|avif)$/i;
const VIDEO = /\.(mp4|m4v|mov|webm|mkv|ogv|avi)$/i;

/** Group files by kind. If they contain a model, all other files are ignored: a model folder may contain images. */
export function groupFiles<F>(entries: readonly FileEntry<F>[]): GroupedFiles<F> {
  const files = entries.filter(({ path }) => !nameOf(path).startsWith('.'));
  const noOthers = { images: [], videos: [], others: [] };
  const tflite = files.find(({ path }) => isTfliteName(path));
  if (tflite) return { model: { name: nameOf(tflite.path), kind: 'tflite', files: [tflite.file] }, ...noOthers };
  const modelJson = files.find(({ path }) => nameOf(path) === 'model.json');
  if (modelJson) {
    const folder = folderOf(modelJson.path);
    const siblings = files.filter(({ path }) => folderOf(path) === folder);
    const name = folder ? nameOf(folder) : 'model.json';
    return { model: { name, kind: 'tfjs', files: siblings.map(({ file }) => file) }, ...noOthers };
  }
  const is = (kind: 'image' | 'video', extension: RegExp) => (entry: FileEntry<F>) =>
    entry.type.startsWith(`${kind}/`) || extension.test(entry.path);
  const [isImage, isVideo] = [is('image', IMAGE), is('video', VIDEO)];
  const pick = (matches: (entry: FileEntry<F>) => boolean) => files.filter(matches).map(({ file }) => file);
  return {
    model: null,
    images: pick(isImage),
    videos: pick((entry) => !isImage(entry) && isVideo(entry)),
    others: pick((entry) => !isImage(entry) && !isVideo(entry)),
  };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}
