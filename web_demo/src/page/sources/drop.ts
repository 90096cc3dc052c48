/** Receives files that the user drops (with folders), pastes or chooses. */

import type { FileEntry } from '../files';
import { byId } from '../view/dom';

/** Of dropped files and folders, at most this number of files is read. */
export const MAX_FILES = 2000;

/** `isCut`: there were more files, which have been skipped. */
export type OnFiles = (files: FileEntry<File>[], isCut: boolean) => void;

/** The files that were dropped, and whether there were more than MAX_FILES. */
export interface DroppedFiles {
  readonly files: FileEntry<File>[];
  isCut: boolean;
}

export function listenForFiles(onFiles: OnFiles): void {
  for (const id of ['file', 'model-file', 'model-folder']) {
    const input = byId<HTMLInputElement>(id);
    input.onchange = () => {
      const files = fromList(input.files);
      input.value = ''; // so that choosing the same file again fires another change event
      if (files.length) onFiles(files, false);
    };
  }
  document.addEventListener('paste', (event) => {
    const files = fromList(event.clipboardData?.files);
    if (files.length) onFiles(files, false);
  });
  listenForDrops(onFiles);
}

function listenForDrops(onFiles: OnFiles): void {
  const { dataset } = document.documentElement;
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  document.addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dataset.dragging = 'true';
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) delete dataset.dragging;
  });
  document.addEventListener('drop', (event) => {
    delete dataset.dragging;
    if (!hasFiles(event)) return;
    event.preventDefault();
    // DataTransfer items are only valid until this function returns, so all entries are collected before any is read.
    const items = [...event.dataTransfer!.items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
    void readDropped(items).then(({ files, isCut }) => files.length && onFiles(files, isCut));
  });
}

/** Read dropped files, and the files in dropped folders. */
export async function readDropped(items: readonly (FileSystemEntry | File | null)[]): Promise<DroppedFiles> {
  const dropped: DroppedFiles = { files: [], isCut: false };
  for (const item of items) {
    if (item instanceof File) dropped.files.push(fileEntry(item, item.name));
    else if (item) await walk(item, dropped);
  }
  return dropped;
}

async function walk(entry: FileSystemEntry, dropped: DroppedFiles): Promise<void> {
  const { files } = dropped;
  if (entry.isFile) {
    if (files.length >= MAX_FILES) {
      dropped.isCut = true;
      return;
    }
    const file = await new Promise<File | null>((resolve) =>
      (entry as FileSystemFileEntry).file(resolve, () => resolve(null)),
    );
    if (file) files.push(fileEntry(file, entry.fullPath.slice(1)));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // Chrome returns at most 100 entries per call, and an empty list at the end.
    const batch = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!batch.length) return;
    for (const child of batch) {
      await walk(child, dropped);
      if (dropped.isCut) return;
    }
  }
}

function fromList(list: FileList | null | undefined): FileEntry<File>[] {
  return [...(list ?? [])].map((file) => fileEntry(file, file.webkitRelativePath || file.name));
}

function fileEntry(file: File, path: string): FileEntry<File> {
  return { file, path, type: file.type };
}
