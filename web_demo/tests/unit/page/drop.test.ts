import { describe, expect, it } from 'vitest';
import { MAX_FILES, readDropped } from '../../../src/page/sources/drop';

const file = (path: string) =>
  ({ isFile: true, fullPath: path, file: (resolve: (file: File) => void) => resolve(new File([], path)) }) as unknown as FileSystemEntry;

/** A folder that returns its entries in batches of at most 100, as Chrome does. */
function folder(...entries: FileSystemEntry[]): FileSystemEntry {
  const createReader = () => {
    let at = 0;
    return { readEntries: (resolve: (batch: FileSystemEntry[]) => void) => resolve(entries.slice(at, (at += 100))) };
  };
  return { isFile: false, createReader } as unknown as FileSystemEntry;
}

const files = (count: number) => Array.from({ length: count }, (_, i) => file(`/m/${i}.jpg`));

describe('readDropped', () => {
  it('reads files, and folders in folders', async () => {
    const dropped = await readDropped([new File([], 'a.jpg'), null, folder(file('/m/b.jpg'), folder(file('/m/c/d.jpg')))]);
    expect(dropped.files.map(({ path }) => path)).toEqual(['a.jpg', 'm/b.jpg', 'm/c/d.jpg']);
    expect(dropped.isCut).toBe(false);
  });

  it('reads as many files as allowed', async () => {
    const dropped = await readDropped([folder(...files(MAX_FILES), folder())]);
    expect([dropped.files.length, dropped.isCut]).toEqual([MAX_FILES, false]);
  });

  it('reports that files were skipped', async () => {
    for (const entry of [folder(...files(MAX_FILES + 1)), folder(...files(MAX_FILES), folder(file('/m/n/a.jpg')))]) {
      const dropped = await readDropped([entry]);
      expect([dropped.files.length, dropped.isCut]).toEqual([MAX_FILES, true]);
    }
  });
});
