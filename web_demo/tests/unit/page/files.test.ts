import { describe, expect, it } from 'vitest';
import { sortFiles } from '../../../src/page/files';

const found = (path: string, type = '') => ({ file: path, path, type });

describe('sortFiles', () => {
  it('tells images, videos and others by type or name', () => {
    const files = [found('a', 'image/jpeg'), found('b.PNG'), found('c.mp4', 'video/mp4'), found('d.mkv'), found('e.pt'), found('.DS_Store')];
    expect(sortFiles(files)).toEqual({ model: null, images: ['a', 'b.PNG'], videos: ['c.mp4', 'd.mkv'], others: ['e.pt'] });
  });

  it('finds a .tflite', () => {
    expect(sortFiles([found('x/notes.txt'), found('x/best.tflite')]).model).toEqual({
      name: 'best.tflite',
      kind: 'tflite',
      files: ['x/best.tflite'],
    });
  });

  it('takes a TF.js folder with what lies in it, and nothing else', () => {
    const files = ['m/other/a.bin', 'm/best_web_model/model.json', 'm/best_web_model/group1-shard1of1.bin', 'm/cat.jpg'];
    expect(sortFiles(files.map((path) => found(path))).model).toEqual({
      name: 'best_web_model',
      kind: 'tfjs',
      files: files.slice(1, 3),
    });
  });

  it('takes files of a TF.js model that were chosen together', () => {
    expect(sortFiles([found('a.bin'), found('model.json')]).model).toEqual({
      name: 'model.json',
      kind: 'tfjs',
      files: ['a.bin', 'model.json'],
    });
  });
});
