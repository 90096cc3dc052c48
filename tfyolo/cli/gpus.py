"""Choose GPUs before TensorFlow starts: `--device`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tfyolo.errors import TfyoloError


def choose_devices(device: str, drivers: Path = Path("/dev")) -> None:
    """Let TensorFlow see the chosen GPUs only.

    Args:
        device: "cpu", indices of GPUs such as "0,1", or "" for all GPUs.
        drivers: folder of device files, by which the GPUs of a Linux machine are counted.

    Raises:
        TfyoloError: this machine has no GPU of that index.
    """
    if not device:
        return
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        return
    count = _count_gpus(drivers)
    missing = [index for index in device.split(",") if count is not None and int(index) >= count]
    if missing:
        number = f"{count} GPU{'' if count == 1 else 's'}" if count else "no GPU"
        raise TfyoloError(
            f"--device {device}: this machine has {number}", fix="pass --device cpu, or leave it out"
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = device


def _count_gpus(drivers: Path) -> int | None:
    """Return the number of NVIDIA GPUs without loading CUDA; None where device files do not tell."""
    # WSL (dxg) and ROCm (kfd) have one device file for all GPUs.
    if sys.platform != "linux" or (drivers / "dxg").exists() or (drivers / "kfd").exists():
        return None
    return sum(bool(re.fullmatch(r"nvidia\d+", path.name)) for path in drivers.iterdir())
