"""Worker process that loads and runs mutated files: `python -m tests.fuzz.worker NAME`, paths on stdin.

Each response is a line of JSON: `{"outcome": "read" | "refused" | "failed", "text": ..., "peak_mb": ...}`.
A file that exceeds the limit of processor time ends the process by SIGXCPU.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

SECONDS = 10
"""Limit of processor time per file."""
WARM_UP_SECONDS = 120
"""Limit of processor time for the first file, which imports libraries."""
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def attempt(path: Path) -> None:
    """Inspect, load and run a model file; a TfyoloError is an expected outcome."""
    import contextlib

    from tfyolo.errors import TfyoloError
    from tfyolo.export.runtime.inspection import inspect_file
    from tfyolo.inference.load import load_predictor

    with contextlib.suppress(TfyoloError):
        inspect_file(path)
    load_predictor(path, threads=1)(IMAGE)


def outcome(run: Callable[[Path], None], path: Path) -> dict[str, str]:
    """Run a function on a file and return the outcome."""
    from tfyolo.errors import TfyoloError

    try:
        run(path)
    except TfyoloError as error:
        well_formed = error.message.isprintable() and len(error.message) < 600 and error.path is not None
        return {"outcome": "refused" if well_formed else "failed", "text": str(error)}
    except BaseException:
        return {"outcome": "failed", "text": traceback.format_exc()}
    return {"outcome": "read", "text": ""}


def limit_processor_time(seconds: int) -> None:
    """Limit the processor time of this process, counted from now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, hard))


def main(name: str) -> None:
    """Run files until stdin ends."""
    from tests.fuzz.fuzzers import find_fuzzer

    responses = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not reach the pipe
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run = getattr(find_fuzzer(name).module, "attempt", attempt)
    seconds = WARM_UP_SECONDS
    for line in sys.stdin:
        limit_processor_time(seconds)
        response = outcome(run, Path(line.rstrip("\n")))
        seconds = SECONDS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        responses.write(json.dumps({**response, "peak_mb": peak}) + "\n")
        responses.flush()


if __name__ == "__main__":
    main(sys.argv[1])
