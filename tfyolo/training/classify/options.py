"""What a training run of a classifier is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from tfyolo.data.classification.augment import ClassificationAugmentationOptions


class ClassifyHyps(BaseModel):
    """Hyperparameters of the optimizer and the loss; the defaults are those of YOLOv5's classification.

    Example:
        >>> ClassifyHyps(lr0=0.01).weight_decay
        5e-05
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lr0: float = Field(0.001, gt=0, le=10, description="learning rate after the warm-up")
    lrf: float = Field(0.01, ge=0, le=1, description="last learning rate, as a share of lr0")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD; first beta of Adam")
    weight_decay: float = Field(5e-5, ge=0, lt=1, description="of kernels")
    warmup_epochs: float = Field(1.0, ge=0, description="at most a tenth of the run; 0 for none")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of a label spread over all classes")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of zeros before the last layer")


@dataclass(frozen=True)
class ClassifyOptions:
    """Flags of `tfyolo classify train`, with the names and defaults of YOLOv5's classify/train.py.

    Args:
        data: folder of the dataset.
        model: name or YAML of a classifier; by default that of `pretrained`.
        pretrained: `.pt` or `.keras` file or release name of a classifier or a detector: layers of equal
            names and shapes begin with its weights; empty for random weights.
        epochs: of the run.
        batch: images in a batch.
        image_size: side of the images in pixels.
        optimizer: `SGD`, `Adam` or `AdamW`.
        cos_lr: a cosine instead of a straight line.
        hyps: of optimizer and loss.
        augmentation: of images.
        freeze: layers not to train: a count of the first, or their numbers.
        patience: epochs without progress after which to stop; never if less than 1.
        save_period: write `epochN.keras` every so many epochs; never if less than 1.
        save: write `best.keras` and `last.keras` after each epoch; otherwise at the end only.
        cache: `auto`, `none`, `ram` or `disk`.
        seed: of weights and pipeline.
        amp: `off`, `bf16` or `fp16`.
        val: validate after each epoch; otherwise after the last only.
        plots: draw batches, curves and the confusion matrix.
        tensorboard: write event files.
    """

    data: Path
    model: str = ""
    pretrained: str = ""
    epochs: int = 10
    batch: int = 64
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
