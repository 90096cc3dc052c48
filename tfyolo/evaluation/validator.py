"""Measuring a detector on a dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.data.detection.class_map import ClassMap, distinct_names, is_unnamed, match_classes
from tfyolo.data.detection.scan import Dataset, Sample, Scan, check_usable, read_dataset, scan_split
from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.errors import TfyoloError
from tfyolo.evaluation import coco
from tfyolo.evaluation.batches import Batch, load_batches, plan_batches
from tfyolo.evaluation.confusion import ConfusionMatrix
from tfyolo.evaluation.metrics import ApResult, average_precision, match
from tfyolo.evaluation.mosaic import MAX_TILES, mosaic
from tfyolo.evaluation.plots import save_confusion, save_curves
from tfyolo.export.runtime.predictions import Detections
from tfyolo.files import atomic
from tfyolo.inference.boxes import xywh_to_xyxy
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.nms import NmsOptions
from tfyolo.libraries import require
from tfyolo.progress import Progress

MOSAICS = 3


@renamed_arguments(batch="batch_size")
@dataclass(frozen=True)
class ValOptions:
    """How to validate; the defaults are YOLOv5's.

    Attributes:
        split: `train`, `val` or `test`.
        batch_size: images in one call of the model, where it takes several.
        confidence: lowest score that counts.
        iou: overlap of suppression.
        max_detections: most boxes an image.
        rect: rectangular batches, where the input is not fixed.
        augment: test-time augmentation.
        single_cls: all classes count as one.
        plots: draw curves, confusion matrix and mosaics.
        save_json: write predictions.json and compute COCO's own figures.
        annotations: COCO JSON of the ground truth for these; made from the labels by default.
    """

    split: str = "val"
    batch_size: int = 32
    confidence: float = 0.001
    iou: float = 0.6
    max_detections: int = 300
    rect: bool = True
    augment: bool = False
    single_cls: bool = False
    plots: bool = True
    save_json: bool = False
    annotations: Path | None = None

    @property
    def batch(self) -> int:
        """Old name of `batch_size`."""
        warn_renamed("`ValOptions.batch`", "`batch_size`")
        return self.batch_size


@dataclass(frozen=True)
class Metrics:
    """What validation measured; `to_dict` is metrics.json.

    Attributes:
        result: figures and curves; class indices are those of `names`.
        names: class names of the dataset.
        scan: of the split.
        speed_ms: milliseconds per image of each step.
        settings: how it was measured.
        problems: what was wrong with images or labels.
        coco: COCO's own figures, where they were asked for.
        notes: how the model's classes were matched to the dataset's, where their numbers differ.
    """

    result: ApResult
    names: tuple[str, ...]
    scan: Scan
    speed_ms: dict[str, float]
    settings: dict[str, Any]
    problems: tuple[str, ...]
    coco: dict[str, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def map50(self) -> float:
        """Mean average precision at IoU 0.5."""
        return self.result.map50

    @property
    def map50_95(self) -> float:
        """Mean average precision over IoU 0.5 to 0.95."""
        return self.result.map50_95

    def to_dict(self) -> dict[str, Any]:
        """Plain values, rounded to what can be reproduced."""
        r = self.result
        rows = zip(r.class_ids, r.labels, r.precision, r.recall, r.f1, r.ap50, r.ap.mean(1), strict=True)
        keys = ("labels", "precision", "recall", "f1", "map50", "map50_95")
        names = distinct_names(self.names)
        per_class = {
            names[row[0]]: {
                key: int(value) if key == "labels" else round(float(value), 5)
                for key, value in zip(keys, row[1:], strict=True)
            }
            for row in rows
        }
        scan = self.scan
        return {
            "precision": round(r.mean_precision, 5),
            "recall": round(r.mean_recall, 5),
            "map50": round(r.map50, 5),
            "map50_95": round(r.map50_95, 5),
            "per_class": per_class,
            "speed_ms": {key: round(value, 2) for key, value in self.speed_ms.items()},
            "images": {
                "used": len(scan.samples), "with_labels": scan.found, "without_label_file": scan.missing,
                "with_empty_label_file": scan.empty, "corrupt": scan.corrupt,
            },
            "settings": self.settings,
            "problems": list(self.problems),
            **({"notes": list(self.notes)} if self.notes else {}),
            **({"coco": self.coco} if self.coco else {}),
        }  # fmt: skip


@dataclass
class _Tally:
    """What accumulates image by image."""

    classes: int
    confusion: ConfusionMatrix
    correct: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    labeled: list[np.ndarray] = field(default_factory=list)
    found: list[tuple[Sample, Detections]] = field(default_factory=list)
    speed_ms: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)
    """Images for which the model's output holds rows that are no boxes."""

    def add(self, sample: Sample, detections: Detections) -> None:
        """Count one image; boxes in its pixels."""
        truth = labels_xyxy_px(sample)
        self.correct.append(match(detections.boxes_xyxy_px, detections.class_ids, truth, sample.classes))
        self.scores.append(detections.scores)
        self.predicted.append(detections.class_ids)
        self.labeled.append(sample.classes)
        self.found.append((sample, detections))
        self.confusion.add(
            detections.boxes_xyxy_px, detections.scores, detections.class_ids, truth, sample.classes
        )

    def add_speed(self, batch: Batch, speed: dict[str, float]) -> None:
        """Milliseconds of one batch; `speed` is an image."""
        parts = {
            "preprocess": batch.preprocess_ms,
            **{key: value * len(batch.images) for key, value in speed.items()},
        }
        for key, value in parts.items():
            self.speed_ms[key] = self.speed_ms.get(key, 0.0) + value

    def result(self) -> ApResult:
        """Precision, recall and average precision of all images so far."""
        return average_precision(
            *map(np.concatenate, (self.correct, self.scores, self.predicted, self.labeled))
        )


def validate(
    detector: DetectionPredictor,
    data: Dataset | str | Path,
    options: ValOptions = ValOptions(),
    folder: Path | None = None,
    progress: Progress | None = None,
    scan: Scan | None = None,
    observe: Callable[[Batch], None] | None = None,
) -> Metrics:
    """Precision, recall and mAP by YOLOv5's protocol.

    Args:
        detector: from `tfyolo.load`; its `image_size` is the size of validation.
        data: a dataset YAML as in YOLOv5, or one read already.
        options: what to measure and how.
        folder: where metrics.json, plots and predictions go; nothing is written without.
        progress: is told how far it is.
        scan: of the split, where the caller has one.
        observe: is shown each batch after it went through the model.

    Raises:
        TfyoloError: the dataset is wrong, or has a class that the model does not have.

    Example:
        >>> metrics = validate(tfyolo.load("yolov5n.pt"), "coco128.yaml")  # doctest: +SKIP
        >>> round(metrics.map50_95, 3)  # doctest: +SKIP
        0.343
    """
    dataset = data if isinstance(data, Dataset) else read_dataset(data)
    classes = _class_map(detector, dataset, options)
    names = _names(detector, dataset, options)
    if folder and options.plots:
        require("matplotlib")
    log = progress or (lambda *_: None)
    scan = scan or scan_split(
        dataset, options.split, progress=lambda done, total: log("checking labels", done, total)
    )
    check_usable(dataset, options.split, scan)
    samples = [_single(sample) for sample in scan.samples] if options.single_cls else list(scan.samples)
    tally = _run(detector, samples, names, classes, options, log, folder, observe)
    if not tally.found:
        raise TfyoloError(
            f"no image of `{options.split}` can be used",
            path=dataset.yaml_path,
            fix=f"correct what is named: {tally.problems[0]}" if tally.problems else None,
        )
    rect = options.rect and detector.runtime.input_hw is None
    metrics = Metrics(
        result=tally.result(),
        names=tuple(names),
        scan=scan,
        speed_ms={key: value / len(tally.found) for key, value in tally.speed_ms.items()},
        settings=_settings(detector, dataset, options, rect),
        problems=(*map(str, scan.problems), *tally.problems),
        coco=_coco(tally, names, options, folder) if options.save_json else None,
        notes=_notes(classes, options),
    )
    if folder:
        if options.plots:
            save_curves(metrics.result, names, folder)
            save_confusion(tally.confusion.counts, names, folder)
        with atomic(folder / "metrics.json") as temporary:
            temporary.write_text(json.dumps(metrics.to_dict(), indent=1))
    return metrics


def _class_map(detector: DetectionPredictor, dataset: Dataset, options: ValOptions) -> ClassMap:
    """Which class of the model each class of the dataset is; with --single-cls that plays no part."""
    if options.single_cls:
        return ClassMap((0,), 1)
    return match_classes(dataset.names, detector.names, dataset.yaml_path)


def _names(detector: DetectionPredictor, dataset: Dataset, options: ValOptions) -> tuple[str, ...]:
    """Names of the rows: the dataset's, or the model's where the dataset has but numbers."""
    if options.single_cls:
        return ("object",)
    same = len(dataset.names) == len(detector.names)
    return tuple(detector.names if same and is_unnamed(dataset.names) else dataset.names)


def _notes(classes: ClassMap, options: ValOptions) -> tuple[str, ...]:
    if options.single_cls or (classes.by_name and classes.is_identity):
        return ()
    if not classes.by_name:
        return ("one side's classes have no names: matched by their numbers",)
    few = len(classes.model_ids) < classes.num_model_classes
    part = (
        f"; {len(classes.model_ids)} of the model's {classes.num_model_classes} are measured" if few else ""
    )
    return (f"the dataset's classes were matched to the model's by name{part}",)


def labels_xyxy_px(sample: Sample) -> np.ndarray:
    """(n, 4) float32 labels of an image in its pixels."""
    height, width = sample.hw
    return xywh_to_xyxy(sample.boxes_xywh_norm) * np.array([width, height, width, height], np.float32)


def _run(
    detector: DetectionPredictor,
    samples: Sequence[Sample],
    names: Sequence[str],
    classes: ClassMap,
    options: ValOptions,
    log: Progress,
    folder: Path | None,
    observe: Callable[[Batch], None] | None,
) -> _Tally:
    tally = _Tally(len(names), ConfusionMatrix(len(names)))
    nms = NmsOptions(
        options.confidence,
        options.iou,
        # Of other classes the dataset says nothing; they would take places among the most boxes per image.
        None if options.single_cls or len(names) == classes.num_model_classes else classes.model_ids,
        options.single_cls,
        not options.single_cls,
        options.max_detections,
    )
    rect = options.rect and detector.runtime.input_hw is None
    batch_size = min(options.batch_size, detector.runtime.max_batch)
    plans = plan_batches(samples, detector.image_size, batch_size, detector.stride, rect)
    shown: list[tuple[np.ndarray, np.ndarray, Detections, Sample]] = []
    for batch in load_batches(plans, detector.image_size):
        tally.problems += batch.problems
        if not len(batch.images):
            continue
        found, speed = detector.detect_batch(batch.images, nms, options.augment)
        tally.add_speed(batch, speed)
        if observe:
            observe(batch)
        for sample, box, image, detections in zip(
            batch.samples, batch.letterboxes, batch.images, found, strict=True
        ):
            if detections.problem:
                tally.faulty.append(f"{sample.image}: {detections.problem}")
            own = (
                np.zeros_like(detections.class_ids)
                if options.single_cls
                else classes.to_data(detections.class_ids)
            )
            detections = Detections(detections.boxes_xyxy_px, detections.scores, own)
            if folder and options.plots and len(shown) < MOSAICS * MAX_TILES:
                shown.append((image, box.to_input(labels_xyxy_px(sample)), detections, sample))
            in_image = Detections(
                box.to_image(detections.boxes_xyxy_px), detections.scores, detections.class_ids
            )
            tally.add(sample, in_image)
        log("validating", len(tally.found), len(samples))
    if tally.faulty:
        count = len(tally.faulty)
        tally.problems.append(
            f"the model's output for {count} images holds what is no box; first {tally.faulty[0]}"
        )
    if folder and options.plots:
        _mosaics(shown, names, folder)
    return tally


def _mosaics(
    shown: Sequence[tuple[np.ndarray, np.ndarray, Detections, Sample]], names: Sequence[str], folder: Path
) -> None:
    """Labels beside confident detections of the first images."""
    for number in range(0, len(shown), MAX_TILES):
        images, truths, found, samples = zip(*shown[number : number + MAX_TILES], strict=True)
        titles = [sample.name for sample in samples]
        confident = [detections[detections.scores > 0.25] for detections in found]
        stem = f"val_batch{number // MAX_TILES}"
        classes = [sample.classes for sample in samples]
        mosaic(images, truths, classes, names, folder / f"{stem}_labels.jpg", titles=titles)
        mosaic(
            images,
            [d.boxes_xyxy_px for d in confident],
            [d.class_ids for d in confident],
            names,
            folder / f"{stem}_pred.jpg",
            confidences=[d.scores for d in confident],
            titles=titles,
        )


def _coco(tally: _Tally, names: Sequence[str], options: ValOptions, folder: Path | None) -> dict[str, float]:
    """COCO's own figures, and predictions.json."""
    samples = [sample for sample, _ in tally.found]
    given = coco.read_annotations(options.annotations) if options.annotations else None
    truth = given or coco.ground_truth(samples, names)
    ids = coco.image_ids([sample.image.with_name(sample.name) for sample in samples], given)
    categories = coco.category_ids(names, given)
    rows = []
    for image_id, (sample, found), frame in zip(
        ids, tally.found, coco.frames(samples, ids, given), strict=True
    ):
        boxes = found.boxes_xyxy_px
        if frame.size_wh != (sample.hw[1], sample.hw[0]):
            boxes = frame.boxes_to_pixels(boxes / np.tile(sample.hw[::-1], 2))
        rows += coco.results(image_id, boxes, found.scores, found.class_ids, categories)
    if folder:
        coco.save_results(rows, folder / "predictions.json")
    return coco.evaluate(truth, rows, ids)


def _settings(
    detector: DetectionPredictor, dataset: Dataset, options: ValOptions, rect: bool
) -> dict[str, Any]:
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
