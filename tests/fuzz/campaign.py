"""Loads and runs mutated files in worker processes and reports failures."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.fuzzers import Fuzzer
from tests.fuzz.sandbox import Sandbox, changed_paths

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tests.fuzz.worker"]
WALL_SECONDS = 600
"""Timeout for one file, for a worker that waits without using processor time."""
CASES_PER_WORKER = 200
"""Number of files after which a worker is replaced, since libraries leak memory for each graph."""
MEMORY_MB = 3000
"""Limit of a worker's memory above its peak after the first file."""


@dataclass
class Report:
    """Outcomes of a campaign.

    Attributes:
        counts: number of files that were read, refused and failed.
        reasons: number of each message, with digits replaced by `#`.
        failures: seed, case and error of each file that failed.
    """

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, outcome: str, text: str) -> None:
        """Add the outcome of one file."""
        self.counts[outcome] += 1
        lines = text.strip().splitlines() or [""]
        line = lines[-1] if outcome == "failed" else lines[0]
        self.reasons[f"{outcome}: {re.sub(r'[0-9]+', '#', line)[:110]}"] += 1
        if outcome == "failed":
            self.failures.append(f"{name}: {text.strip()}")


class Worker:
    """A process that runs worker.py in a sandbox.

    Args:
        name: name of the fuzzer.
        sandbox: working directory, home and temporary folder of the process.
        wrapper: command that runs the process, such as `strace ...`.
    """

    def __init__(self, name: str, sandbox: Sandbox, wrapper: Iterable[str] = ()) -> None:
        environment = os.environ | {
            "HOME": str(sandbox.home),
            "TMPDIR": str(sandbox.tmp),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
        }
        environment.pop("XDG_CACHE_HOME", None)
        environment.pop("TFYOLO_CACHE", None)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            [*wrapper, *COMMAND, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=sandbox.work,
            env=environment,
            text=True,
        )
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._process.stdout, selectors.EVENT_READ)
        self.alive = True

    def run(self, path: Path) -> dict[str, Any]:
        """Load and run one file and return its outcome; the process may end."""
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._died()
        if not self._ready.select(WALL_SECONDS):
            self.close()
            return {"outcome": "failed", "text": f"no answer within {WALL_SECONDS} s", "peak_mb": 0}
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else self._died()

    def _died(self) -> dict[str, Any]:
        code = self._process.wait()
        self.close()
        self._log.seek(0)
        tail = " ".join(self._log.read().decode(errors="replace").split())[-400:]
        reason = "hung: out of processor time" if code == -signal.SIGXCPU else f"ended with {code}"
        return {"outcome": "failed", "text": f"{tail}\nthe process {reason}", "peak_mb": 0}

    def close(self) -> None:
        """Kill the process and close its pipes."""
        self.alive = False
        self._process.kill()
        self._process.wait()
        self._ready.close()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def run(
    fuzzer: Fuzzer,
    bases: list[Path],
    seed: int,
    cases: Iterable[int],
    wrapper: Iterable[str] = (),
    failed_folder: Path | None = None,
) -> Report:
    """Load and run mutated files.

    Args:
        fuzzer: mutates the files.
        bases: valid files to mutate.
        seed: seed of the mutations.
        cases: case numbers.
        wrapper: command that runs the workers.
        failed_folder: files that failed are copied here.
    """
    report, root = Report(), Path(tempfile.mkdtemp(prefix="tfyolo-fuzz-"))
    sandbox, worker, first_peak_mb, cases_left = Sandbox(root), None, 0, 0
    try:
        for case in cases:
            if worker is None or not worker.alive or cases_left == 0:
                if worker is not None:
                    worker.close()
                worker, cases_left = Worker(fuzzer.name, sandbox, wrapper), CASES_PER_WORKER
                valid = sandbox.write_model(fuzzer, bases[0], fuzzer.content(bases[0]))
                first = worker.run(valid)
                assert first["outcome"] == "read", first["text"]
                first_peak_mb = first["peak_mb"]
            cases_left -= 1
            base, content = fuzzer.mutated(bases, seed, case)
            path = sandbox.write_model(fuzzer, base, content)
            before = sandbox.snapshot()
            response = worker.run(path)
            outcome, text = response["outcome"], response["text"].replace(str(root), "")
            if changed := changed_paths(before, sandbox.snapshot()):
                outcome, text = "failed", f"{text}\ntouched {', '.join(changed)}"
            if response["peak_mb"] > first_peak_mb + MEMORY_MB:
                outcome, text = "failed", f"{text}\nneeded {response['peak_mb'] - first_peak_mb} MB"
                cases_left = 0
            report.add(f"{fuzzer.name}, seed {seed}, case {case}, {base.name}", outcome, text)
            if outcome == "failed" and failed_folder is not None:
                failed_folder.mkdir(parents=True, exist_ok=True)
                (failed_folder / f"{fuzzer.name}-{seed}-{case}{fuzzer.suffix}").write_bytes(content)
    finally:
        if worker is not None:
            worker.close()
        shutil.rmtree(root)
    return report
