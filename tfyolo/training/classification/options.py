"""Options and hyperparameters of a classifier's training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from tfyolo.data.classification.augment import ClassificationAugmentationOptions
from tfyolo.deprecation import renamed_arguments
from tfyolo.training.resume import RunOptions


class ClassifyHyps(BaseModel):
    """Hyperparameters of optimizer and loss, with the defaults of YOLOv5's classification.

    Attributes:
        lr0: learning rate after the warm-up.
        lrf: last learning rate relative to `lr0`.
        momentum: momentum of SGD; beta 1 of Adam.
        weight_decay: weight decay of kernels.
        warmup_epochs: length of the warm-up, limited to a tenth of the run; 0 disables it.
        label_smoothing: share of each label that is spread over all classes.
        dropout: dropout rate before the last layer.

    Example:
        >>> ClassifyHyps(lr0=0.01).weight_decay
        5e-05
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lr0: float = Field(0.001, gt=0, le=10, description="learning rate after the warm-up")
    lrf: float = Field(0.01, ge=0, le=1, description="last learning rate relative to lr0")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD; beta 1 of Adam")
    weight_decay: float = Field(5e-5, ge=0, lt=1, description="weight decay of kernels")
    warmup_epochs: float = Field(1.0, ge=0, description="at most a tenth of the run; 0 disables the warm-up")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of a label spread over all classes")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout rate before the last layer")


@renamed_arguments(batch="batch_size")
@dataclass(frozen=True)
class ClassifyOptions(RunOptions):
    """Options of `tfyolo classify train`, with the defaults of YOLOv5's classify/train.py.

    Attributes:
        data: folder of the dataset.
        model: name or YAML file of a classifier; defaults to that of `pretrained`.
        pretrained: `.pt` or `.keras` file or release name of a classifier or a detector, whose weights are
            copied into layers of the same name and shape; empty for random weights.
        epochs: number of epochs.
        batch_size: images per batch.
        image_size: side of the images in pixels.
        optimizer: `SGD`, `Adam` or `AdamW`.
        cos_lr: decay the learning rate along a cosine instead of a line.
        hyps: hyperparameters of optimizer and loss.
        augmentation: augmentation of the training images.
        freeze: layers that are not trained: the number of first layers, or several layer numbers.
        patience: epochs without improvement after which training stops; 0 disables early stopping.
        save_period: epochs between `epochN.keras` files; 0 disables them.
        save: write `best.keras` and `last.keras` after each epoch; otherwise only at the end.
        cache: `auto`, `none`, `ram` or `disk`.
        seed: seed of initial weights and data pipeline.
        amp: mixed precision: `off`, `bf16` or `fp16`.
        val: validate after each epoch; otherwise only after the last.
        plots: draw batches, training curves and the confusion matrix.
        tensorboard: write TensorBoard event files.

    Example:
        >>> ClassifyOptions(Path("cells"), "yolov5n-cls", image_size=64).batch_size
        64
    """

    file_fields = ("model", "pretrained")
    models: ClassVar[dict[str, type[BaseModel]]] = {
        "hyps": ClassifyHyps,
        "augmentation": ClassificationAugmentationOptions,
    }

    data: Path
    model: str = ""
    pretrained: str = ""
    epochs: int = 10
    batch_size: int = 64
    image_size: int = 224
    optimizer: str = "Adam"
    cos_lr: bool = True
    hyps: ClassifyHyps = field(default_factory=ClassifyHyps)
    augmentation: ClassificationAugmentationOptions = field(default_factory=ClassificationAugmentationOptions)
    freeze: tuple[int, ...] = (0,)
    patience: int = 100
    save_period: int = 0
    save: bool = True
    cache: str = "auto"
    seed: int = 0
    amp: str = "off"
    val: bool = True
    plots: bool = True
    tensorboard: bool = True
