"""Training on several devices: the table of `--strategy`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfyolo.errors import TfyoloError


def _multiworker() -> Any:
    """Workers that know each other by TF_CONFIG, all with equal weights."""
    try:
        config = json.loads(os.environ.get("TF_CONFIG", ""))
        workers, index = config["cluster"]["worker"], config["task"]["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise TfyoloError(
            "--strategy multiworker needs TF_CONFIG with the worker addresses and the index of this worker",
            fix="""set TF_CONFIG='{"cluster": {"worker": ["host1:2222", "host2:2222"]}, """
            """"task": {"type": "worker", "index": 0}}' on the first host, index 1 on the second""",
        ) from error
    if not 0 <= int(index) < len(workers):
        raise TfyoloError(
            f"TF_CONFIG sets worker index {index}, but lists {len(workers)} workers", fix="number them from 0"
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def _mirrored() -> Any:
    """All GPUs of this machine, or its CPU."""
    return tf.distribute.MirroredStrategy()


STRATEGIES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "mirrored": _mirrored,
    "multiworker": _multiworker,
}


def open_strategy(name: str) -> Any:
    """A `tf.distribute` strategy, or None for one device.

    Call it before anything else of TensorFlow is used: workers connect on first use.

    Raises:
        TfyoloError: no such strategy, or TF_CONFIG is missing or wrong.
    """
    if name not in STRATEGIES:
        raise TfyoloError(f"unknown strategy `{name}`", fix=f"use one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]()
