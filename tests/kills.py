"""Kills commands at random moments, and checks that nothing half-written is left and that they can resume.

Usage: python -m tests.kills [--count 30] [--seed 0] [COMMAND ...]

Each command runs in a fork of this process, which has TensorFlow imported, and is killed (SIGKILL) after a
random share of the time that it needs. After each kill every file under a final name is read as users read
it: models with the checksums of their archives, tables to their last row. At the end the command runs once
more, to its end. Temporary folders (`.tfyolo-*`) may remain after a kill; they are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

TINY = str(Path(__file__).with_name("tiny.yaml"))
FORMATS = ("tflite", "saved_model", "pb", "onnx", "openvino", "pt")
_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Case:
    """A command that is killed.

    Attributes:
        words: of the command line.
        resume: words after a kill that left something to resume; the same by default.
        state: file that says so.
    """

    words: tuple[str, ...]
    resume: tuple[str, ...] = ()
    state: str = ""


def cases(root: Path) -> dict[str, Case]:
    """Commands by name; their outputs are in folders of these names."""
    data, model = str(root / "data/shapes.yaml"), str(root / "model.keras")
    small = ("--img", "64", "--batch", "8")
    return {
        "train": Case(
            (
                "train",
                "--data",
                data,
                "--weights",
                "",
                "--cfg",
                TINY,
                *small,
                "--epochs",
                "12",
                "--noplots",
                "--project",
                str(root),
                "--name",
                "train",
                "--exist-ok",
            ),
            ("train", "--resume", str(root / "train")),
            "weights/last.keras",
        ),
        "convert": Case(("convert", str(root / "model.pt"), str(root / "convert/m.keras"))),
        "export": Case(
            (
                "export",
                "--weights",
                model,
                "--include",
                *FORMATS,
                "--img",
                "64",
                "--output",
                str(root / "export/m"),
            ),
        ),
        "quantize": Case(
            (
                "quantize",
                "--weights",
                model,
                "--data",
                data,
                "--img",
                "64",
                "--steps",
                "300",
                "--calibration",
                "8",
                "--output",
                str(root / "quantize/q.keras"),
            ),
        ),
        "convert-dataset": Case(
            (
                "convert-dataset",
                "--data",
                data,
                "--to",
                "yolo",
                "--exist-ok",
                "--output",
                str(root / "convert-dataset"),
            ),
        ),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Kill, check, report; 1 where something half-written was found or a command did not resume."""
    parser = argparse.ArgumentParser(description="kill commands at random moments")
    parser.add_argument("commands", nargs="*", help="all by default")
    parser.add_argument("--count", type=int, default=30, help="kills of each command (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (%(default)s)")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        root = Path(folder)
        os.environ["TFYOLO_CACHE"] = str(root / "cache")
        _prepare(root)
        known = cases(root)
        wrong = 0
        for name in arguments.commands or known:
            moments = random.Random(f"{arguments.seed} {name}")
            wrong += _kill(name, known[name], root / name, arguments.count, moments)
    return 1 if wrong else 0


def _prepare(root: Path) -> None:
    """A dataset and a model in both formats; and all modules, so that forks have them."""
    import tfyolo
    import tfyolo.cli.convert
    import tfyolo.cli.convert_dataset
    import tfyolo.cli.export
    import tfyolo.cli.quantize
    import tfyolo.cli.train
    import tfyolo.cli.train_display
    import tfyolo.quantization.run
    import tfyolo.training.train
    from tfyolo.data import synthetic as datasets

    datasets.create_shapes_dataset(root / "data", train=16, val=8, image_size=64)
    words = ("export", "--weights", str(root / "model.keras"), "--include", "pt", "--img", "64")
    names = ("circle", "rectangle", "triangle")
    prepare = lambda: tfyolo.create(TINY, names=names).save(root / "model.keras") and None  # noqa: E731
    for work in (prepare, lambda: _command(words)):
        outcome, _ = _run(work, root / "log.txt")
        if outcome != "0":
            sys.exit((root / "log.txt").read_text())


def _command(words: Sequence[str]) -> int:
    from tfyolo.cli.main import main as tfyolo

    return tfyolo(words)


def _kill(name: str, case: Case, folder: Path, count: int, moments: random.Random) -> int:
    """Kill one command `count` times; the number of faults."""
    log = folder.parent / "log.txt"
    outcome, seconds = _run(lambda: _command(case.words), log)
    if outcome != "0":
        sys.exit(f"{name} failed: {log.read_text()}")
    faults, ended, resumed, checked = _faults(folder), 0, 0, 0
    shutil.rmtree(folder)
    for number in range(count):
        goes_on = _is_unfinished(folder, case)
        words = case.resume if goes_on else case.words
        outcome, _ = _run(lambda words=words: _command(words), log, moments.uniform(0.02, 0.9) * seconds)
        resumed += goes_on
        if outcome not in ("killed", "0"):
            faults.append(f"attempt {number + 1} ended with {outcome}: {log.read_text()[-300:]}")
        if folder.exists():
            found = _faults(folder)
            faults += [f"after kill {number + 1}: {fault}" for fault in found]
            checked += sum(1 for path in folder.rglob("*") if path.is_file())
        # Begin anew: also where training had ended, and only the last figures were missing.
        had_ended = bool(case.state) and (folder / case.state).exists() and not _is_unfinished(folder, case)
        if outcome == "0" or had_ended or (not case.state and number % 3 == 2):
            ended += outcome == "0"
            shutil.rmtree(folder, ignore_errors=True)
    left = sum(1 for _ in folder.rglob(".tfyolo-*")) if folder.exists() else 0
    goes_on = _is_unfinished(folder, case)
    outcome, _ = _run(lambda: _command(case.resume if goes_on else case.words), log)
    if outcome != "0":
        faults.append(f"did not resume: {log.read_text()[-1000:]}")
    faults += _faults(folder, whole=True)
    print(
        f"{name}: {count} kills within {seconds:.0f} s, {ended} ended before theirs, {resumed} resumed, "
        f"{checked} files read, {left} temporary folders left, {len(faults)} faults",
        flush=True,
    )
    for fault in faults:
        print(f"  {fault}", flush=True)
    return len(faults)


def _is_unfinished(folder: Path, case: Case) -> bool:
    """Whether there is something to resume."""
    if not case.state or not (folder / case.state).exists():
        return False
    with zipfile.ZipFile(folder / case.state) as archive:
        return "training.json" in archive.namelist()


def _run(work: Callable[[], int | None], log: Path, after: float = _TIMEOUT) -> tuple[str, float]:
    """Run in a fork: its exit code as text, or `killed`; and the seconds."""
    began = time.monotonic()
    child = os.fork()
    if not child:
        os.setsid()
        target = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        code = 99
        try:
            code = work() or 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    while time.monotonic() - began < after:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return str(os.waitstatus_to_exitcode(status)), time.monotonic() - began
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # what it has started
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed", time.monotonic() - began


def _faults(folder: Path, whole: bool = False) -> list[str]:
    """What is wrong with the files of a command, read in a fork: TensorFlow must stay idle here."""
    found = folder.parent / "faults.json"
    found.unlink(missing_ok=True)

    def find() -> None:
        found.write_text(json.dumps(_find_faults(folder, whole)))

    outcome, _ = _run(find, folder.parent / "reading.txt")
    return json.loads(found.read_text()) if outcome == "0" else [f"reading ended with {outcome}"]


def _find_faults(folder: Path, whole: bool) -> list[str]:
    faults = []
    top = sorted(folder.iterdir()) if folder.exists() else []
    for path in [*top, *(folder / "weights").glob("*")]:
        if path.name.startswith((".tfyolo-", ".")) or path.name == "weights":
            continue
        try:
            _read(path)
        except Exception as error:
            faults.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    if whole:
        faults += [f"{path.name} is left" for path in folder.rglob("*.progress.npz")]
        epochs = folder / "results.csv"
        if epochs.exists() and [row["epoch"] for row in _rows(epochs)] != [str(i) for i in range(1, 13)]:
            faults.append(f"epochs are {[row['epoch'] for row in _rows(epochs)]}")
    return faults


def _read(path: Path) -> None:
    """Read a file or folder to its end."""
    from tfyolo.export.registry import format_of

    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} is damaged")
    if path.suffix == ".yaml":
        if not yaml.safe_load(path.read_text()):
            raise ValueError("is empty")
    elif path.suffix == ".csv":
        epochs = [int(row["epoch"]) for row in _rows(path)]
        if epochs != list(range(1, len(epochs) + 1)):
            raise ValueError(f"has epochs {epochs}")
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            _ = [arrays[name] for name in arrays.files]
    elif path.suffix in (".jpg", ".png", ".json", ".txt") or path.name.startswith("events."):
        return
    elif path.parent.name != "convert-dataset":
        format_of(path).inspect(path)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    sys.exit(main())
