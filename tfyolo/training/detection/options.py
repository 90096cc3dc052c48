"""Options of a detector's training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfyolo.deprecation import renamed_arguments
from tfyolo.training.resume import RunOptions


@renamed_arguments(batch="batch_size")
@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Options of `tfyolo train`, with YOLOv5's defaults.

    Attributes:
        data: dataset YAML file.
        weights: `.pt` or `.keras` file or release name that provides the initial weights; empty for random
            weights.
        cfg: model name or YAML file; defaults to the configuration of `weights`.
        hyp: hyperparameters, by name or file.
        hyp_overrides: hyperparameters that replace those of `hyp`.
        epochs: number of epochs.
        batch_size: images per batch, over all devices; -1 chooses the largest batch that fits in 80 % of the
            GPU's memory.
        image_size: side of the training images in pixels.
        optimizer: `SGD`, `Adam` or `AdamW`.
        rect: rectangular batches, without mosaics.
        multi_scale: vary the image size of each batch by up to 50 %.
        single_cls: train all classes as one.
        image_weights: sample images of classes with low mAP more often.
        cos_lr: decay the learning rate along a cosine instead of a line.
        nominal_batch: images per weight update; gradients of smaller batches are accumulated.
        autobalance: adapt the objectness weight of each feature map to its loss.
        autoanchor: check the anchors before training, and compute better ones if they do not fit.
        freeze: layers that are not trained: the number of first layers, or several layer numbers.
        patience: epochs without improvement after which training stops; 0 disables early stopping.
        save_period: epochs between `epochN.keras` files; 0 disables them.
        save: write `best.keras` and `last.keras` after each epoch; otherwise only at the end.
        cache: `none`, `ram` or `disk`.
        seed: seed of initial weights, data pipeline and AutoAnchor.
        amp: mixed precision: `off`, `bf16` or `fp16`.
        sync_bn: compute batch-norm statistics over all devices.
        strategy: `none`, `mirrored` or `multiworker`.
        val: validate after each epoch; otherwise only after the last.
        plots: draw labels, batches and training curves.
        tensorboard: write TensorBoard event files.

    Example:
        >>> TrainOptions(Path("bccd.yaml"), weights="yolov5n.pt", epochs=30).batch_size
        16
    """

    file_fields = ("weights", "cfg", "hyp")

    data: Path
    weights: str = "yolov5n"
    cfg: str = ""
    hyp: str = "scratch-low"
    hyp_overrides: dict[str, Any] = field(default_factory=dict)
    epochs: int = 100
    batch_size: int = 16
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
