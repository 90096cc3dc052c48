import type { ClassificationResult, Contract, Detection, Mask } from '../../../src/detector';
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

/** A mask whose rows are given as text: `#` is inside. */
export function makeMask(x: number, y: number, ...rows: string[]): Mask {
  const data = Uint8Array.from(rows.join(''), (letter) => Number(letter === '#'));
  return { x, y, width: rows[0]!.length, height: rows.length, data, area: data.reduce((a, b) => a + b, 0) };
}

export function makeClassification(...probabilities: number[]): ClassificationResult {
  return {
    classes: probabilities.map((probability, classId) => ({ classId, label: `class ${classId}`, probability })),
    crop: { x: 0, y: 0, width: 3, height: 3 },
    timing: { preprocess: 1, inference: 2, postprocess: 3 },
    width: 4,
    height: 3,
  };
}
