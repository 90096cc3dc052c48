import type { Contract, Detection } from '../../../src/detector';
import type { Model } from '../../../src/page/state';

export function makeModel(embeddedNms: Contract['embeddedNms'] = null, classNames = ['Platelets', 'RBC', 'WBC']): Model {
  const contract: Contract = {
    task: 'detect',
    classNames,
    imageSize: [320, 416],
    anchorsPx: [[10, 13]],
    strides: [8],
    version: '0.1.0',
    modelName: 'yolov5n',
    nms: embeddedNms ? 'builtin' : 'none',
    precision: 'int8',
    embeddedNms,
  };
  return { contract, bytes: 2_069_211, file: 'cells.tflite' };
}

export function makeDetection(classId: number, label: string, score = 0.5): Detection {
  return { box: { x: 1.25, y: 2, width: 30.04, height: 40 }, score, classId, label };
}
