"""The fuzzing harness itself: what it must notice."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz import campaign, fuzzers, raw_bytes
from tests.fuzz.fuzzers import FUZZERS, Fuzzer
from tests.fuzz.sandbox import Sandbox, touched
from tfyolo.errors import TfyoloError

FAKE = Fuzzer("test_harness", ".bin")


def bases(folder: Path) -> list[Path]:
    """One file that does nothing."""
    path = folder / "fine.bin"
    path.write_bytes(b"fine")
    return [path]


ACTIONS = (b"refuse", b"raise", b"write", b"delete", b"die", b"hang", b"fine")


def mutate(content: bytes, rng: random.Random) -> bytes:
    """The name of something to do."""
    return rng.choice(ACTIONS)


def attempt(path: Path) -> None:
    """Do what the file says."""
    what = path.read_bytes()
    if what == b"refuse":
        raise TfyoloError("is refused", path=path)
    if what == b"raise":
        raise KeyError("x")
    if what == b"write":
        Path("new.txt").write_text("x")
    if what == b"delete":
        (path.parent / "canary.txt").unlink(missing_ok=True)
    if what == b"die":
        os.abort()
    while what == b"hang":
        time.process_time()


def test_what_goes_wrong_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzzers, "FUZZERS", (FAKE,))
    # The worker imports the table anew.
    hook = "from tests.fuzz import fuzzers, worker, test_harness as t; fuzzers.FUZZERS = (t.FAKE,);"
    code = f"{hook} worker.SECONDS = 1; worker.main('test_harness')"
    monkeypatch.setattr(campaign, "COMMAND", [sys.executable, "-c", code])
    files = bases(tmp_path)
    done = [FAKE.mutated(files, 0, case)[1] for case in range(40)]
    assert set(done) == set(ACTIONS)
    first = {what: done.index(what) for what in ACTIONS}
    report = campaign.run(FAKE, files, 0, [first[what] for what in ACTIONS], keep=tmp_path / "failed")
    assert dict(report.counts) == {"refused": 1, "failed": 5, "read": 1}
    for text, what in zip(
        ("KeyError: 'x'", "touched work/new.txt", "touched models/canary.txt", "ended with -6", "hung"),
        ("raise", "write", "delete", "die", "hang"),
        strict=True,
    ):
        (failure,) = [x for x in report.failures if f"case {first[what.encode()]}," in x]
        assert text in failure
    assert len(list((tmp_path / "failed").iterdir())) == 5


def test_every_change_of_the_tree_is_seen(tmp_path):
    sandbox = Sandbox(tmp_path / "box")
    before = sandbox.snapshot()
    assert touched(before, sandbox.snapshot()) == []
    (sandbox.home / "canary.txt").write_bytes(b"canary.txt" * 100)
    (sandbox.tmp / "made").mkdir()
    assert touched(before, sandbox.snapshot()) == ["home/canary.txt", "tmp/made"]


@pytest.mark.parametrize("entry", FUZZERS, ids=lambda entry: entry.name)
def test_entry_is_whole(entry):
    assert callable(entry.module.bases)
    assert callable(entry.module.mutate)


def test_bytes_change_the_same_way_for_a_seed():
    content = bytes(range(256)) * 20
    once, again, other = (raw_bytes.mutate(content, random.Random(seed)) for seed in (1, 1, 2))
    assert once == again
    assert len({content, once, other}) == 3
