"""The fuzzing harness detects refusals, exceptions, changed files, crashes and hangs."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import campaign, fuzzers, raw_bytes
from tests.fuzz.fuzzers import FUZZERS, Fuzzer
from tests.fuzz.sandbox import Sandbox, changed_paths
from tfyolo.errors import TfyoloError

FAKE = Fuzzer("test_harness", ".bin")


def bases(folder: Path) -> list[Path]:
    """Write one file that requests no action."""
    path = folder / "fine.bin"
    path.write_bytes(b"fine")
    return [path]


ACTIONS = (b"refuse", b"raise", b"write", b"delete", b"die", b"hang", b"fine")


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Return the name of a random action."""
    return rng.choice(ACTIONS)


def attempt(path: Path) -> None:
    """Perform the action that the file names."""
    action = path.read_bytes()
    if action == b"refuse":
        raise TfyoloError("is refused", path=path)
    if action == b"raise":
        raise KeyError("x")
    if action == b"write":
        Path("new.txt").write_text("x")
    if action == b"delete":
        (path.parent / "canary.txt").unlink(missing_ok=True)
    if action == b"die":
        os.abort()
    while action == b"hang":
        time.process_time()


def test_failures_are_detected(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzers, "FUZZERS", (FAKE,))
    # The worker process imports the table again.
    hook = "from tests.fuzz import fuzzers, worker, test_harness as t; fuzzers.FUZZERS = (t.FAKE,);"
    code = f"{hook} worker.SECONDS = 1; worker.main('test_harness')"
    monkeypatch.setattr(campaign, "COMMAND", [sys.executable, "-c", code])
    files = bases(tmp_path)
    contents = [FAKE.mutated(files, 0, case)[1] for case in range(40)]
    assert set(contents) == set(ACTIONS)
    first = {action: contents.index(action) for action in ACTIONS}
    report = campaign.run(
        FAKE, files, 0, [first[action] for action in ACTIONS], failed_folder=tmp_path / "failed"
    )
    assert dict(report.counts) == {"refused": 1, "failed": 5, "read": 1}
    for text, action in zip(
        ("KeyError: 'x'", "touched work/new.txt", "touched models/canary.txt", "ended with -6", "hung"),
        ("raise", "write", "delete", "die", "hang"),
        strict=True,
    ):
        (failure,) = [x for x in report.failures if f"case {first[action.encode()]}," in x]
        assert text in failure
    assert len(list((tmp_path / "failed").iterdir())) == 5


def test_snapshots_detect_every_change(tmp_path):
    sandbox = Sandbox(tmp_path / "box")
    before = sandbox.snapshot()
    assert changed_paths(before, sandbox.snapshot()) == []
    (sandbox.home / "canary.txt").write_bytes(b"canary.txt" * 100)
    (sandbox.tmp / "made").mkdir()
    assert changed_paths(before, sandbox.snapshot()) == ["home/canary.txt", "tmp/made"]


@pytest.mark.parametrize("entry", FUZZERS, ids=lambda entry: entry.name)
def test_entry_has_a_module_with_its_functions(entry):
    assert callable(entry.module.bases)
    assert callable(entry.module.mutate)


def test_equal_seeds_give_equal_mutations():
    content = bytes(range(256)) * 20
    once, again, other = (raw_bytes.mutate(content, random.Random(seed)) for seed in (1, 1, 2))
    assert once == again
    assert len({content, once, other}) == 3
