"""Validation of a detector or segmentation model on a dataset, by YOLOv5's protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.class_map import ClassMap, is_unnamed, match_classes
from tfyolo.data.detection.scan import Dataset, Sample, Scan, check_usable, read_dataset, scan_split
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.accumulator import DetectionAccumulator
from tfyolo.evaluation.batches import Batch, load_batches, plan_batches
from tfyolo.evaluation.coco_figures import coco_figures
from tfyolo.evaluation.confusion import ConfusionMatrix
from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
from tfyolo.evaluation.mosaic import MAX_TILES, Example, save_examples
from tfyolo.evaluation.plots import save_confusion, save_curves
from tfyolo.evaluation.segmentation.accumulator import InstanceAccumulator
from tfyolo.files import atomic
from tfyolo.inference.detection import BoxPredictor
from tfyolo.inference.nms import NmsOptions
from tfyolo.libraries import require
from tfyolo.models.tasks import TASKS
from tfyolo.progress import Progress

MAX_MOSAICS = 3
_ACCUMULATORS: dict[str, type[DetectionAccumulator]] = {
    "detect": DetectionAccumulator,
    "segment": InstanceAccumulator,
}
"""By task."""


def validate(
    detector: BoxPredictor,
    data: Dataset | str | Path,
    options: ValOptions | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    scan: Scan | None = None,
    observe: Callable[[Batch], None] | None = None,
) -> Metrics:
    """Compute precision, recall and mAP of a detector or segmentation model by YOLOv5's protocol.

    Boxes and masks are measured on their own: the true positives of one are matched by the IoU of boxes, of
    the other by that of masks, at a quarter of the size of the input.

    Args:
        detector: detector or segmentation model from `tfyolo.load`; images are scaled to its `image_size`.
        data: dataset YAML in YOLOv5's format, or a dataset that was read already.
        options: split, thresholds and outputs.
        folder: folder for `metrics.json`, plots and `predictions.json`; None writes nothing.
        progress: called as `progress(label, done, total)` after each step.
        scan: result of scanning the split, if the caller has it.
        observe: called with each batch after the model has run on it.

    Returns:
        Metrics such as `map50` and `map50_95`, and of masks `mask_map50` and `mask_map50_95`, in 0..1.

    Raises:
        TfyoloError: the dataset is invalid, has a class that the model does not have, or has no polygons for
            a segmentation model.

    Example:
        >>> import tfyolo
        >>> metrics = validate(tfyolo.load("bccd-n"), "bccd-mini")
        >>> round(metrics.map50, 2)
        0.9
    """
    options = options or ValOptions()
    check_task(detector, options)
    dataset = data if isinstance(data, Dataset) else read_dataset(data)
    classes = _class_map(detector, dataset, options)
    names = _names(detector, dataset, options)
    if folder and options.plots:
        require("matplotlib")
    log = progress or (lambda *_: None)
    masks = _has_masks(detector)
    scan = scan or scan_split(
        dataset,
        options.split,
        progress=lambda done, total: log("checking labels", done, total),
        segmentation=masks,
    )
    check_usable(dataset, options.split, scan, segmentation=masks and scan.found > 0)
    samples = [_single(sample) for sample in scan.samples] if options.single_cls else list(scan.samples)
    accumulator = _run(detector, samples, names, classes, options, log, folder, observe)
    if not accumulator.detections:
        raise TfyoloError(
            f"none of the images in `{options.split}` can be used",
            path=dataset.yaml_path,
            fix=f"fix the images or labels: {accumulator.problems[0]}" if accumulator.problems else None,
        )
    rect = options.rect and detector.runtime.input_hw is None
    coco = coco_figures(accumulator, names, options.annotations, folder) if options.save_json else {}
    metrics = Metrics(
        result=accumulator.result(),
        names=tuple(names),
        scan=scan,
        speed_ms={key: value / len(accumulator.detections) for key, value in accumulator.speed_ms.items()},
        settings=_settings(detector, dataset, options, rect),
        problems=(*map(str, scan.problems), *accumulator.problems),
        coco=coco.get("bbox"),
        notes=_notes(classes, options),
        mask_result=accumulator.mask_result(),
        mask_coco=coco.get("segm"),
    )
    if folder:
        if options.plots:
            save_curves(metrics.result, names, folder)
            if metrics.mask_result:
                save_curves(metrics.mask_result, names, folder, masks=True)
            save_confusion(accumulator.confusion.counts, names, folder)
        with atomic(folder / "metrics.json") as temporary:
            temporary.write_text(json.dumps(metrics.to_dict(), indent=1))
    return metrics


def check_task(detector: BoxPredictor, options: ValOptions) -> None:
    """Refuse options that the task of the model does not have.

    Raises:
        TfyoloError: test-time augmentation of a segmentation model, or masks of a detector.
    """
    if options.augment and _has_masks(detector):
        raise TfyoloError("segmentation models have no test-time augmentation", fix="leave out --augment")
    if options.retina_masks and not _has_masks(detector):
        raise TfyoloError("a detector has no masks", fix="leave out --retina-masks")


def _has_masks(detector: BoxPredictor) -> bool:
    return "coefficients" in TASKS[detector.contract.task].parts


def _class_map(detector: BoxPredictor, dataset: Dataset, options: ValOptions) -> ClassMap:
    """Map the dataset's classes to the model's; with --single-cls both have one class."""
    if options.single_cls:
        return ClassMap((0,), 1)
    return match_classes(dataset.names, detector.names, dataset.yaml_path)


def _names(detector: BoxPredictor, dataset: Dataset, options: ValOptions) -> tuple[str, ...]:
    """Return the class names of the metrics: the dataset's, or the model's if those are numbers."""
    if options.single_cls:
        return ("object",)
    same = len(dataset.names) == len(detector.names)
    return tuple(detector.names if same and is_unnamed(dataset.names) else dataset.names)


def _notes(classes: ClassMap, options: ValOptions) -> tuple[str, ...]:
    """Return a sentence on the matching of classes, if their numbers differ."""
    if options.single_cls or (classes.by_name and classes.is_identity):
        return ()
    if not classes.by_name:
        return ("one side's classes have no names: matched by their numbers",)
    few = len(classes.model_ids) < classes.num_model_classes
    part = (
        f"; {len(classes.model_ids)} of the model's {classes.num_model_classes} are measured" if few else ""
    )
    return (f"the dataset's classes were matched to the model's by name{part}",)


def _run(
    detector: BoxPredictor,
    samples: Sequence[Sample],
    names: Sequence[str],
    classes: ClassMap,
    options: ValOptions,
    log: Progress,
    folder: Path | None,
    observe: Callable[[Batch], None] | None,
) -> DetectionAccumulator:
    """Run the model on all images; return their predictions and ground truth."""
    accumulator = _ACCUMULATORS[detector.contract.task](options, ConfusionMatrix(len(names)))
    nms = NmsOptions(
        options.confidence,
        options.iou_threshold,
        # Classes that the dataset does not label would use up part of `max_detections`.
        None if options.single_cls or len(names) == classes.num_model_classes else classes.model_ids,
        options.single_cls,
        not options.single_cls,
        options.max_detections,
    )
    rect = options.rect and detector.runtime.input_hw is None
    batch_size = min(options.batch_size, detector.runtime.max_batch)
    plans = plan_batches(samples, detector.image_size, batch_size, detector.stride, rect)
    shown: list[Example] = []
    for batch in load_batches(plans, detector.image_size):
        accumulator.problems += batch.problems
        if not len(batch.images):
            continue
        found, speed = detector.detect_batch(batch.images, nms, options.augment)
        accumulator.add_speed(batch, speed)
        if observe:
            observe(batch)
        for sample, box, image, detections in zip(
            batch.samples, batch.letterboxes, batch.images, found, strict=True
        ):
            ids = detections.class_ids
            own = np.zeros_like(ids) if options.single_cls else classes.to_data(ids)
            detections = replace(detections, class_ids=own)
            if folder and options.plots and len(shown) < MAX_MOSAICS * MAX_TILES:
                shown.append(accumulator.example(image, sample, box, detections))
            accumulator.add(sample, box, detections)
        log("validating", len(accumulator.detections), len(samples))
    if accumulator.faulty:
        count = len(accumulator.faulty)
        accumulator.problems.append(
            f"the model's output for {count} images has rows that are not boxes; "
            f"first {accumulator.faulty[0]}"
        )
    if folder and options.plots:
        save_examples(shown, names, folder)
    return accumulator


def _settings(detector: BoxPredictor, dataset: Dataset, options: ValOptions, rect: bool) -> dict[str, Any]:
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}
    return {
        "data": dataset.yaml_path.name,
        "runtime": type(detector.runtime).__name__,
        "image_size": list(detector.image_size),
        **plain,
        "rect": rect,
    }


def _single(sample: Sample) -> Sample:
    return replace(sample, classes=np.zeros_like(sample.classes))
