"""Training data and models for Keras' `fit`, in a line each."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.scan import Scan, check_usable, read_dataset, scan_split
from tfyolo.evaluation.validator import ValOptions
from tfyolo.progress import Log, no_log
from tfyolo.training.callbacks import Validation
from tfyolo.training.hyps import DEFAULT, read_hyps
from tfyolo.training.initialization import make_model, plan_start, with_anchors
from tfyolo.training.model import TrainingModel

_SHOWN = 5
"""Problems of a dataset named in a warning."""


class TrainingData:
    """A dataset ready for `fit`.

    Args:
        data: dataset YAML.
        image_size: side of the training images in pixels.
        batch: images in a batch.
        hyp: hyperparameters, by name or file; those of augmentation count here.
        seed: of the pipeline.
        cache: keep decoded images in `ram`, on `disk`, or not at all (`none`).

    Raises:
        TfyoloError: the dataset is wrong, or no image of `train` has a label.

    Warns:
        UserWarning: images or labels that cannot be used and are left out; with the first of them.

    Example:
        >>> data = TrainingData("bccd.yaml", image_size=320, batch=16)  # doctest: +SKIP
        >>> data.steps  # doctest: +SKIP
        13
    """

    def __init__(
        self,
        data: str | Path,
        image_size: int = 640,
        batch: int = 16,
        hyp: str | Path = DEFAULT,
        seed: int = 0,
        cache: str = "none",
    ) -> None:
        self.dataset, self.image_size, self.batch = read_dataset(data), image_size, batch
        self.hyps, self.seed = read_hyps(hyp), seed
        options = PipelineOptions(image_size=image_size, batch=batch, seed=seed, cache=cache)
        scan = scan_split(self.dataset, "train")
        check_usable(self.dataset, "train", scan, labeled=True)
        _warn(scan)
        self.samples = scan.samples
        self.pipeline = Pipeline(self.samples, self.hyps.augmentation(), options)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.dataset.names

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return self.pipeline.steps_per_epoch

    def stream(self) -> Any:
        """A `tf.data.Dataset` of batches without end; an epoch of `fit` has as many as `compile` was told."""
        return self.pipeline.stream()

    def validation(self) -> Validation:
        """A callback that measures the averaged weights on `val` after each epoch."""
        return Validation(self.dataset, None, ValOptions(plots=False), self.image_size)


def _warn(scan: Scan) -> None:
    """Log what is left out, as the command line does."""
    wrong = [str(problem) for problem in scan.problems if problem.severity == "error"]
    if wrong:
        shown = "\n".join(f"  {text}" for text in wrong[:_SHOWN])
        more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        warnings.warn(
            f"{scan.corrupt} of {scan.corrupt + len(scan.samples)} images are left out:\n{shown}{more}",
            stacklevel=3,
        )


def training_model(
    weights: str | Path,
    data: TrainingData,
    cfg: str = "",
    *,
    autoanchor: bool = True,
    log: Log = no_log,
) -> TrainingModel:
    """A model for `fit` with the classes of `data`, and with anchors that fit its boxes.

    Args:
        weights: `.pt` or `.keras` file or release name to begin from; "" for random weights.
        data: to be trained on.
        cfg: model name or YAML, by default that of `weights`.
        autoanchor: check the anchors, and make better ones where they do not fit.
        log: is given sentences on the weights taken over and on the anchors; `print`, for example.

    Raises:
        TfyoloError: weights or configuration cannot be read.
    """
    start = plan_start(str(weights), cfg, data.names, data.image_size, data.hyps.anchors)
    log(start.describe())
    start = with_anchors(
        start, data.samples, data.image_size, data.hyps.anchor_t, check=autoanchor, seed=data.seed, log=log
    )
    return make_model(start, data.image_size)
