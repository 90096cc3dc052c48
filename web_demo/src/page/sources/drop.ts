/** Files from the user: dropped with their folders, pasted, or chosen. */

import type { FoundFile } from '../files';
import { byId } from '../view/dom';

/** A folder of photographs is read to here. */
const MOST_FILES = 2000;

export type TakeFiles = (files: FoundFile<File>[]) => void;

export function listenForFiles(take: TakeFiles): void {
  for (const id of ['file', 'model-file', 'model-folder']) {
    const input = byId<HTMLInputElement>(id);
    input.onchange = () => {
      const files = fromList(input.files);
      input.value = ''; // so that the same file can be chosen again
      if (files.length) take(files);
    };
  }
  document.addEventListener('paste', (event) => {
    const files = fromList(event.clipboardData?.files);
    if (files.length) take(files);
  });
  listenForDrops(take);
}

function listenForDrops(take: TakeFiles): void {
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
    // Entries are gone once this function has returned: all are taken before the first is read.
    const items = [...event.dataTransfer!.items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
    void readDropped(items).then((files) => files.length && take(files));
  });
}

async function readDropped(items: (FileSystemEntry | File | null)[]): Promise<FoundFile<File>[]> {
  const files: FoundFile<File>[] = [];
  for (const item of items) {
    if (item instanceof File) files.push(found(item, item.name));
    else if (item) await walk(item, files);
  }
  return files;
}

async function walk(entry: FileSystemEntry, files: FoundFile<File>[]): Promise<void> {
  if (files.length >= MOST_FILES) return;
  if (entry.isFile) {
    const file = await new Promise<File | null>((resolve) =>
      (entry as FileSystemFileEntry).file(resolve, () => resolve(null)),
    );
    if (file) files.push(found(file, entry.fullPath.slice(1)));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // Chrome answers a hundred at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return;
    for (const one of some) await walk(one, files);
  }
}

function fromList(list: FileList | null | undefined): FoundFile<File>[] {
  return [...(list ?? [])].map((file) => found(file, file.webkitRelativePath || file.name));
}

function found(file: File, path: string): FoundFile<File> {
  return { file, path, type: file.type };
}
