/** The steps before and after the model, by task. To add a task, add an entry to TASK_STEPS. */

import { applyCenterCrop, fitCenterCrop } from '../center_crop';
import type { Contract, Task } from '../contract';
import { type Outputs, readOutputs } from '../decode';
import { applyLetterbox, fitLetterbox, toImage } from '../letterbox';
import { enlargeMask } from '../masks';
import { nonMaxSuppression, refine } from '../nms';
import { readProbabilities, topClasses } from '../probabilities';
import type { Pixels } from '../resize';
import type { ClassificationResult, ClassifyOptions, DetectionResult, DetectOptions, ImageResult } from '../types';

export type RunOptions = DetectOptions & ClassifyOptions;
type Interpreted = Omit<DetectionResult, keyof ImageResult> | Omit<ClassificationResult, keyof ImageResult>;

/**
 * Write an image to the model's input.
 *
 * @param input - uint8 RGB pixels (height, width, 3) of the contract's image size; overwritten.
 * @returns a function that interprets the outputs of the model for this image.
 */
type Prepare = (image: Pixels, contract: Contract, input: Uint8Array) => (outputs: Outputs, options: RunOptions) => Interpreted;

export const TASK_STEPS: Record<Task, Prepare> = { detect: prepareDetection, segment: prepareDetection, classify: prepareClassification };

function prepareDetection(image: Pixels, contract: Contract, input: Uint8Array): ReturnType<Prepare> {
  const letterbox = fitLetterbox([image.height, image.width], contract.imageSize);
  applyLetterbox(letterbox, image, input);
  return (outputs, options) => {
    const nms = {
      confidence: options.confidence ?? 0.25,
      iou: options.iou ?? 0.45,
      classIds: options.classIds ?? null,
      agnostic: options.agnostic ?? false,
      maxDetections: options.maxDetections ?? 300,
    };
    const prediction = readOutputs(outputs, contract, nms.confidence);
    const { masks } = prediction;
    const found = 'detections' in prediction ? refine(prediction.detections, nms) : nonMaxSuppression(prediction.candidates, nms);
    const detections = Array.from(found.scores, (score, i) => {
      const [a, b, c, d] = found.boxesXyxyPx.subarray(4 * i, 4 * i + 4);
      const corners = [a!, b!, c!, d!] as const;
      const [left, top, right, bottom] = toImage(letterbox, corners);
      const classId = found.classIds[i]!;
      return {
        box: { x: left, y: top, width: right - left, height: bottom - top },
        score,
        classId,
        label: nameOf(contract, classId),
        ...(masks ? { mask: enlargeMask(masks, found.rows[i]!, corners, letterbox) } : {}),
      };
    });
    return { detections };
  };
}

function prepareClassification(image: Pixels, contract: Contract, input: Uint8Array): ReturnType<Prepare> {
  const crop = fitCenterCrop([image.height, image.width], contract.imageSize);
  applyCenterCrop(crop, image, input);
  const { left: x, top: y, width, height } = crop;
  return (outputs, options) => {
    const probabilities = readProbabilities(outputs, contract);
    const classes = topClasses(probabilities, options.top ?? 5).map((classId) => ({
      classId,
      label: nameOf(contract, classId),
      probability: probabilities[classId]!,
    }));
    return { classes, crop: { x, y, width, height } };
  };
}

function nameOf({ classNames }: Contract, classId: number): string {
  return classNames[classId] ?? `class ${classId}`;
}
