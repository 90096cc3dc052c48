import { describe, expect, it } from 'vitest';
import { groupFiles } from '../../../src/page/files';

const entry = (path: string, type = '') => ({ file: path, path, type });

describe('groupFiles', () => {
  it('distinguishes images, videos and other files by type or name', () => {
    const files = [entry('a', 'image/jpeg'), entry('b.PNG'), entry('c.mp4', 'video/mp4'), entry('d.mkv'), entry('e.pt'), entry('.DS_Store')];
    expect(groupFiles(files)).toEqual({ model: null, images: ['a', 'b.PNG'], videos: ['c.mp4', 'd.mkv'], others: ['e.pt'] });
  });

  it('finds a .tflite', () => {
    expect(groupFiles([entry('x/notes.txt'), entry('x/best.tflite')]).model).toEqual({
      name: 'best.tflite',
      kind: 'tflite',
      files: ['x/best.tflite'],
    });
  });

  it('takes the files of a TF.js folder, and ignores all others', () => {
    const files = ['m/other/a.bin', 'm/best_web_model/model.json', 'm/best_web_model/group1-shard1of1.bin', 'm/cat.jpg'];
    expect(groupFiles(files.map((path) => entry(path))).model).toEqual({
      name: 'best_web_model',
      kind: 'tfjs',
      files: files.slice(1, 3),
    });
  });

  it('accepts the files of a TF.js model without a folder', () => {
    expect(groupFiles([entry('a.bin'), entry('model.json')]).model).toEqual({
      name: 'model.json',
      kind: 'tfjs',
      files: ['a.bin', 'model.json'],
    });
  });
});
