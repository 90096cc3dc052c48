"""Runs mutated files in worker processes and says what went wrong."""

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
from tests.fuzz.sandbox import Sandbox, touched

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tests.fuzz.worker"]
WALL_SECONDS = 600
"""Until a worker that uses no processor counts as hung."""
CASES_PER_WORKER = 200
"""Libraries keep something of every graph, so that a worker is replaced from time to time."""
MEMORY_MB = 3000
"""Most that a worker may need above what it holds after the first file."""


@dataclass
class Report:
    """Outcomes of a campaign.

    Attributes:
        counts: number of files that were read, refused and failed.
        reasons: how often each kind of message appeared.
        failures: seed, case and what happened, of each file that failed.
    """

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, outcome: str, text: str) -> None:
        """Count one file."""
        self.counts[outcome] += 1
        lines = text.strip().splitlines() or [""]
        line = lines[-1] if outcome == "failed" else lines[0]
        self.reasons[f"{outcome}: {re.sub(r'[0-9]+', '#', line)[:110]}"] += 1
        if outcome == "failed":
            self.failures.append(f"{name}: {text.strip()}")


class Worker:
    """One process of worker.py, started in a sandbox.

    Args:
        name: of the fuzzer.
        sandbox: its working directory, home and temporary folder.
        wrapper: a command that the process is run by, such as `strace ...`.
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
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [*wrapper, *COMMAND, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            cwd=sandbox.work, env=environment, text=True,
        )  # fmt: skip
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._process.stdout, selectors.EVENT_READ)
        self.alive = True

    def ask(self, path: Path) -> dict[str, Any]:
        """The outcome of one file; the process may not survive it."""
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
        """End the process."""
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
    keep: Path | None = None,
) -> Report:
    """Load and run mutated files.

    Args:
        fuzzer: whose files.
        bases: valid files.
        seed: of the mutations.
        cases: their numbers.
        wrapper: a command that workers are run by.
        keep: where files that failed are kept.
    """
    report, root = Report(), Path(tempfile.mkdtemp(prefix="tfyolo-fuzz-"))
    sandbox, worker, start_mb, left = Sandbox(root), None, 0, 0
    try:
        for case in cases:
            if worker is None or not worker.alive or left == 0:
                if worker is not None:
                    worker.close()
                worker, left = Worker(fuzzer.name, sandbox, wrapper), CASES_PER_WORKER
                valid = sandbox.place(fuzzer, bases[0], fuzzer.content(bases[0]))
                first = worker.ask(valid)
                assert first["outcome"] == "read", first["text"]
                start_mb = first["peak_mb"]
            left -= 1
            base, content = fuzzer.mutated(bases, seed, case)
            path = sandbox.place(fuzzer, base, content)
            before = sandbox.snapshot()
            answer = worker.ask(path)
            outcome, text = answer["outcome"], answer["text"].replace(str(root), "")
            if changed := touched(before, sandbox.snapshot()):
                outcome, text = "failed", f"{text}\ntouched {', '.join(changed)}"
            if answer["peak_mb"] > start_mb + MEMORY_MB:
                outcome, text = "failed", f"{text}\nneeded {answer['peak_mb'] - start_mb} MB"
                left = 0
            report.add(f"{fuzzer.name}, seed {seed}, case {case}, {base.name}", outcome, text)
            if outcome == "failed" and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{fuzzer.name}-{seed}-{case}{fuzzer.suffix}").write_bytes(content)
    finally:
        if worker is not None:
            worker.close()
        shutil.rmtree(root)
    return report
