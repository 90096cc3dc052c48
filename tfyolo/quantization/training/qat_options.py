"""Options of QAT, separate from qat.py, which imports TFMOT."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from tfyolo.argument_checks import check_whole
from tfyolo.errors import TfyoloError

Loss = Literal["distill", "labels", "both"]


@dataclass(frozen=True)
class QatOptions:
    """Options of QAT.

    Attributes:
        steps: number of updates.
        learning_rate: approximate change of a weight per update, in quantization steps.
        warmup: number of updates of the warm-up.
        loss: `distill` follows the float network and needs no labels; `labels` is YOLOv5's loss; `both`.
        save_every: number of updates between writes of the progress file.

    Example:
        >>> QatOptions(steps=200).loss
        'distill'
    """

    steps: int = 1000
    learning_rate: float = 0.01
    warmup: int = 50
    loss: Loss = "distill"
    save_every: int = 100

    def __post_init__(self) -> None:
        check_whole(save_every=self.save_every)
        check_whole(0, steps=self.steps, warmup=self.warmup)
        if not self.learning_rate > 0:
            raise TfyoloError(f"learning_rate must be above 0, not {self.learning_rate!r}")

    def to_json(self) -> str:
        """Return JSON that identifies the options of a run."""
        return json.dumps(asdict(self))
