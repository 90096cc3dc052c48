"""How a quantized network is trained. Apart from qat.py, which imports TFMOT."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Loss = Literal["distill", "labels", "both"]


@dataclass(frozen=True)
class QatOptions:
    """How to train.

    Attributes:
        steps: updates.
        learning_rate: in quantization steps: how far an update moves a weight, about.
        warmup: updates until the full learning rate.
        loss: `distill` follows the float network and needs no labels; `labels` is YOLOv5's loss; `both`.
        save_every: updates between two files of progress.
    """

    steps: int = 1000
    learning_rate: float = 0.01
    warmup: int = 50
    loss: Loss = "distill"
    save_every: int = 100

    def to_json(self) -> str:
        """To tell one run from another."""
        return json.dumps(asdict(self))
