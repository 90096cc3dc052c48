"""Other programs that read exported files, each in an environment of its own: they do not fit beside tfyolo.

`tests/readers/<name>.txt` pins what one needs; `tests/readers/<name>.py` reads files there, and prints JSON.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / "build" / "readers"


def read_with(name: str, *arguments: str | Path, python: str = "") -> Any:
    """Run a reader in its environment, which is made if it is missing.

    Args:
        name: of the reader.
        arguments: of its program.
        python: version of the interpreter; defaults to that of the tests.

    Returns:
        What it printed, as JSON.
    """
    command = [_environment(name, python or sys.executable), "-I", HERE / f"{name}.py", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def _environment(name: str, python: str) -> Path:
    """The interpreter of an environment."""
    needs = HERE / f"{name}.txt"
    digest = hashlib.sha256(needs.read_bytes() + python.encode()).hexdigest()[:8]
    folder = ENVIRONMENTS / f"{name}-{digest}"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            uv = Path(sys.executable).with_name("uv")
            make = [
                [uv, "venv", "--quiet", "--clear", "--python", python, folder],
                [uv, "pip", "install", "--quiet", "--python", folder / "bin/python", "--requirement", needs],
            ]
            for command in make:
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
                if done.returncode and not os.environ.get("CI"):
                    shutil.rmtree(folder, ignore_errors=True)
                    pytest.skip(f"an environment for {name} could not be made: {done.stderr.strip()[-200:]}")
                assert done.returncode == 0, done.stderr[-4000:]
            (folder / "made").touch()
    return folder / "bin" / "python"
