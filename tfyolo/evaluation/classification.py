"""Validate a classifier: top-1 and top-5 accuracy, metrics per class, a confusion matrix."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from tfyolo.data.classification.folders import FolderDataset, read_folders, scan_folders
from tfyolo.data.detection.sample import Sample, Scan
from tfyolo.data.images.center_crop import center_crop
from tfyolo.data.images.read import read_sample_image
from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification_plots import save_looks
from tfyolo.evaluation.plots import save_confusion
from tfyolo.files import atomic
from tfyolo.inference.classification import ClassificationPredictor
from tfyolo.libraries import require
from tfyolo.progress import Progress

_TINY = 1e-7


@renamed_arguments(batch="batch_size")
@dataclass(frozen=True)
class ClassifierValOptions:
    """Options of `validate_classifier`.

    Attributes:
        split: `train`, `val` or `test`; defaults to `val`, or `test` if there is no `val`.
        batch_size: number of images per call of the model.
        plots: draw the confusion matrix and example images.

    Example:
        >>> ClassifierValOptions(split="test").batch_size
        64
    """

    split: str = ""
    batch_size: int = 64
    plots: bool = True

    @property
    def batch(self) -> int:
        """Old name of `batch_size`."""
        warn_renamed("`ClassifierValOptions.batch`", "`batch_size`")
        return self.batch_size


@dataclass(frozen=True)
class ClassificationMetrics:
    """Result of `validate_classifier`; `to_dict` is written to metrics.json.

    Attributes:
        confusion: int64 (classes, classes): rows are predicted, columns are true.
        top1: fraction of images whose most probable class is the true class.
        top5: fraction of images whose true class is among the five most probable.
        loss: mean cross-entropy.
        names: class names by class id.
        scan: scan of the split.
        speed_ms: milliseconds per image of `preprocess` and `inference`.
        settings: options of the validation.
        problems: problems of images.

    Example:
        >>> validate_classifier(tfyolo.load("best.keras"), "cells").top5  # doctest: +SKIP
        1.0
    """

    confusion: np.ndarray
    top1: float
    top5: float
    loss: float
    names: tuple[str, ...]
    scan: Scan
    speed_ms: dict[str, float]
    settings: dict[str, Any]
    problems: tuple[str, ...]

    @property
    def images(self) -> np.ndarray:
        """(classes,) int64, number of images per class."""
        return self.confusion.sum(0)

    @property
    def recall(self) -> np.ndarray:
        """(classes,) recall; NaN for classes without images."""
        return _shares(self.confusion.diagonal(), self.images)

    @property
    def precision(self) -> np.ndarray:
        """(classes,) precision; NaN for classes that are never predicted."""
        return _shares(self.confusion.diagonal(), self.confusion.sum(1))

    @property
    def f1(self) -> np.ndarray:
        """(classes,) F1 score; NaN for classes without images and predictions."""
        return _shares(2 * self.confusion.diagonal(), self.images + self.confusion.sum(1))

    @property
    def balanced(self) -> float:
        """Mean recall of classes with images (balanced accuracy)."""
        return float(np.nanmean(self.recall))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values, rounded to reproducible digits."""
        columns = (self.images, self.precision, self.recall, self.f1)
        rows = zip(self.names, *(column.tolist() for column in columns), strict=True)
        return {
            "top1": round(self.top1, 5),
            "top5": round(self.top5, 5),
            "balanced": round(self.balanced, 5),
            "loss": round(self.loss, 5),
            "per_class": [
                {"name": name, "images": count, "precision": _plain(p), "recall": _plain(r), "f1": _plain(f)}
                for name, count, p, r, f in rows
            ],
            "confusion": self.confusion.tolist(),
            "speed_ms": {key: round(value, 2) for key, value in self.speed_ms.items()},
            "images": {"used": int(self.images.sum()), "corrupt": self.scan.corrupt},
            "settings": self.settings,
            "problems": list(self.problems),
        }


def validate_classifier(
    classifier: ClassificationPredictor,
    data: FolderDataset | str | Path,
    options: ClassifierValOptions = ClassifierValOptions(),
    folder: Path | None = None,
    progress: Progress | None = None,
    scan: Scan | None = None,
) -> ClassificationMetrics:
    """Measure top-1 and top-5 accuracy and metrics per class, on center crops as in YOLOv5.

    Args:
        classifier: from `tfyolo.load`; its `image_size` is the size of validation.
        data: folder of a dataset, or a `FolderDataset`.
        options: options of the validation.
        folder: folder for `metrics.json` and plots; None writes nothing.
        progress: called as `progress(label, done, total)` after each batch.
        scan: scan of the split, if there is one already, with class ids of the classifier.

    Returns:
        Metrics such as `top1` and `top5`, 0 to 1.

    Raises:
        TfyoloError: the dataset is wrong, or has classes that the model does not have.

    Example:
        >>> metrics = validate_classifier(tfyolo.load("best.keras"), "cells")  # doctest: +SKIP
        >>> round(metrics.top1, 3)  # doctest: +SKIP
        0.987
    """
    if folder and options.plots:
        require("matplotlib")
    dataset = data if isinstance(data, FolderDataset) else read_folders(data)
    dataset, split = dataset.with_names(classifier.names), options.split or default_split(dataset)
    log = progress or (lambda *_: None)
    scan = scan or scan_folders(
        dataset, split, progress=lambda done, total: log("checking images", done, total)
    )
    step = min(options.batch_size, classifier.runtime.max_batch)
    found: list[np.ndarray] = []
    used: list[Sample] = []
    problems: list[str] = []
    prepare = infer = 0.0
    for batch in _batches(scan.samples, classifier.image_size, step):
        problems += batch.problems
        if not batch.samples:
            continue
        probabilities, speed = classifier.classify_batch(batch.images)
        found.append(probabilities)
        used += batch.samples
        prepare += batch.preprocess_ms
        infer += speed["inference"] * len(batch.samples)
        log("validating", len(used), len(scan.samples))
    if not used:
        fix = "fix the problems listed above"
        raise TfyoloError(f"none of the images in `{split}` can be used", path=dataset.splits[split], fix=fix)
    # Damage that a scan of headers does not detect appears when images are decoded.
    lost = len(scan.samples) - len(used)
    scan = replace(scan, samples=tuple(used), found=len(used), corrupt=scan.corrupt + lost)
    if not dataset.by_name:
        problems.insert(0, _taken_for(dataset))
    probabilities = np.concatenate(found)
    truth = np.array([sample.classes[0] for sample in used])
    metrics = ClassificationMetrics(
        **_figures(probabilities, truth),
        names=tuple(classifier.names),
        scan=scan,
        speed_ms={"preprocess": prepare / len(used), "inference": infer / len(used)},
        settings={
            "data": dataset.root.name,
            "runtime": type(classifier.runtime).__name__,
            "image_size": list(classifier.image_size),
            **asdict(options),
            "split": split,
        },
        problems=(*map(str, scan.problems), *problems),
    )
    if folder:
        if options.plots:
            save_confusion(metrics.confusion, metrics.names, folder, background=False)
            save_looks(used, probabilities, metrics.names, classifier.image_size, folder)
        with atomic(folder / "metrics.json") as temporary:
            temporary.write_text(json.dumps(metrics.to_dict(), indent=1))
    return metrics


def default_split(dataset: FolderDataset) -> str:
    """Return `val` if it exists, or else the first split."""
    return next(split for split in ("val", "test", "train") if split in dataset.splits)


def top_k(scores: np.ndarray, truth: np.ndarray, count: int) -> np.ndarray:
    """Return whether the true class is among those of highest score; ties are broken by class id.

    Args:
        scores: (n, classes) probabilities or logits.
        truth: int (n,) class ids.
        count: number of classes of highest score, the k of top-k.

    Returns:
        bool (n,); False for rows with scores that are not finite.

    Example:
        >>> top_k(np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]), np.array([2, 2]), 2).tolist()
        [True, False]
    """
    order = np.argsort(-scores, 1, kind="stable")[:, :count]
    found: np.ndarray = (order == truth[:, None]).any(1) & np.isfinite(scores).all(1)
    return found


def _figures(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (probabilities.argmax(1), truth), 1)
    likelihood = np.take_along_axis(probabilities, truth[:, None], 1)
    return {
        "confusion": confusion,
        "top1": float(top_k(probabilities, truth, 1).mean()),
        "top5": float(top_k(probabilities, truth, 5).mean()),
        "loss": float(-np.log(np.maximum(likelihood, _TINY)).mean()),
    }


@dataclass(frozen=True)
class _Batch:
    samples: tuple[Sample, ...]
    images: np.ndarray
    preprocess_ms: float
    problems: tuple[str, ...]


def _taken_for(dataset: FolderDataset) -> str:
    """Return a note if folders do not have the names of the model's classes."""
    pairs = [f"{folder} = {dataset.names[number]}" for folder, number in dataset.numbers.items()]
    shown = ", ".join(pairs[:5]) + (", ..." if len(pairs) > 5 else "")
    return f"folders are taken for the model's classes in sorted order: {shown}"


def _batches(
    samples: Sequence[Sample], image_size: tuple[int, int], step: int, ahead: int = 2, threads: int = 2
) -> Iterator[_Batch]:
    """Decode and crop images, a few batches ahead."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_Batch]] = deque()
        for start in range(0, len(samples), step):
            waiting.append(pool.submit(_load, samples[start : start + step], image_size))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _load(samples: Sequence[Sample], image_size: tuple[int, int]) -> _Batch:
    start = perf_counter()
    used, images, problems = [], [], []
    for sample in samples:
        try:
            images.append(center_crop(read_sample_image(sample), image_size))
        except TfyoloError as error:
            problems.append(str(error))
            continue
        used.append(sample)
    stacked = np.stack(images) if images else np.zeros((0, *image_size, 3), np.uint8)
    return _Batch(tuple(used), stacked, 1e3 * (perf_counter() - start), tuple(problems))


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide elementwise; NaN where the denominator is 0."""
    shares: np.ndarray = np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
    return shares


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)
