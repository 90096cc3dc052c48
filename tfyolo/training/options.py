"""What a training run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrainOptions:
    """Flags of `tfyolo train`, with YOLOv5's names and defaults.

    Args:
        data: dataset YAML.
        weights: `.pt` or `.keras` file or release name to begin from; empty for random weights.
        cfg: model name or YAML; by default the configuration of `weights`.
        hyp: hyperparameters, by name or file.
        hyp_overrides: single hyperparameters that win over the file's.
        epochs: of the run.
        batch: images in a batch, of all workers together; -1 lets the GPU's memory decide.
        image_size: side of the training images in pixels.
        optimizer: `SGD`, `Adam` or `AdamW`.
        rect: rectangular batches, without mosaics.
        multi_scale: vary each batch's size by half.
        single_cls: train all classes as one.
        image_weights: draw images of badly detected classes more often.
        cos_lr: a cosine schedule.
        nominal_batch: images in one update of the weights, by accumulation where a batch is smaller.
        autobalance: let the scales' objectness weights follow their losses.
        autoanchor: check the anchors before training, and make better ones where they do not fit.
        freeze: layers not to train: a count of the first, or their numbers.
        patience: epochs without progress after which to stop; never if less than 1.
        save_period: write `epochN.keras` every so many epochs; never if less than 1.
        save: write `best.keras` and `last.keras` after each epoch; otherwise at the end only.
        cache: `none`, `ram` or `disk`.
        seed: of weights, pipeline and AutoAnchor.
        amp: `off`, `bf16` or `fp16`.
        sync_bn: batch-norm over all devices.
        strategy: `none`, `mirrored` or `multiworker`.
        val: validate after each epoch; otherwise after the last only.
        plots: draw labels, batches and curves.
        tensorboard: write event files.
    """

    data: Path
    weights: str = "yolov5n"
    cfg: str = ""
    hyp: str = "scratch-low"
    hyp_overrides: dict[str, Any] = field(default_factory=dict)
    epochs: int = 100
    batch: int = 16
    image_size: int = 640
    optimizer: str = "SGD"
    rect: bool = False
    multi_scale: bool = False
    single_cls: bool = False
    image_weights: bool = False
    cos_lr: bool = False
    nominal_batch: int = 64
    autobalance: bool = False
    autoanchor: bool = True
    freeze: tuple[int, ...] = (0,)
    patience: int = 100
    save_period: int = 0
    save: bool = True
    cache: str = "none"
    seed: int = 0
    amp: str = "off"
    sync_bn: bool = False
    strategy: str = "none"
    val: bool = True
    plots: bool = True
    tensorboard: bool = True
