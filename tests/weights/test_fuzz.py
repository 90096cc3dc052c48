"""Hostile and damaged `.pt` files: nothing runs, nothing hangs, each ends in a read or in one sentence."""

from __future__ import annotations

import gc
import os
import pickle
import re
import resource
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared import needs_shared
from tests.weights.hostile import BASE, CALLABLES, Runs, archives, mutations, network, pickles
from tests.weights.pickles import archive, pickled
from tfyolo.errors import TfyoloError
from tfyolo.weights.stand_ins import shown
from tfyolo.weights.torch_file import read_checkpoint

SECONDS = 10.0  # of one thread: the slowest takes one on a quiet machine, and what hangs never ends
MEMORY = 300 * 2**20  # bytes above what the interpreter holds, for one file


class Watch:
    """Records what Python does while a file is read; an audit hook cannot be removed, so it is switched."""

    FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "pty.", "ctypes.", "exec", "compile", "import")
    FORBIDDEN += (
        "pickle.find_class",
        "code.__new__",
        "function.__new__",
        "marshal.",
        "tempfile.",
        "webbrowser.",
    )
    FORBIDDEN += (
        "sys.settrace",
        "sys.setprofile",
        "urllib.",
        "mmap.",
        "object.__setattr__",
        "builtins.input",
    )

    def __init__(self) -> None:
        self.on = False
        self.seen: list[tuple] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple) -> None:
        if not self.on:
            return
        writes = event == "open" and not (isinstance(args[1], str) and set(args[1]) <= set("rb"))
        if event.startswith(self.FORBIDDEN) or writes:
            self.seen.append((event, args))


WATCH = Watch()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one: a thousand files need no disk."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="tfyolo-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))
    gc.freeze()  # else collections walk all that the tests before left, and count as the file's time
    yield path
    gc.unfreeze()
    shutil.rmtree(path)


def outcome(path: Path, content: bytes) -> str:
    """Read `content` under watch; "read", or the message of the one error."""
    path.write_bytes(content)
    WATCH.seen.clear()
    caught: TfyoloError | None = None
    start = time.thread_time()
    WATCH.on = True
    try:
        model = read_checkpoint(path).model
        result = "read"
        for name, part in model.walk():
            assert isinstance(name, str)
            repr(part)
            repr(part.attributes)
        model.tensors()
    except TfyoloError as error:
        caught, result = error, error.message
    finally:
        WATCH.on = False
    assert result.isprintable()
    assert len(result) < 300
    assert caught is None or str(caught).startswith(f"{path}: {result}\n  fix: ")
    assert not WATCH.seen
    assert time.thread_time() - start < SECONDS
    return result


def sweep(folder: Path, files: Iterator[tuple[str, bytes]]) -> dict[str, str]:
    """Outcomes by name, after checking that memory stayed bounded and that nothing else came to be."""
    path = folder / "x.pt"
    results: dict[str, str] = {}
    path.write_bytes(archive(pickled(network())))
    read_checkpoint(path)  # what the standard library imports at first use is none of the files' doing
    shown("\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    modules = set(sys.modules)
    for name, content in files:
        try:
            results[f"{len(results)} {name}"] = outcome(path, content)
        except BaseException as error:
            error.add_note(f"in the file {name!r}") if hasattr(error, "add_note") else None
            raise
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert peak < 2 * MEMORY, f"{peak / 2**20:.0f} MiB"
    assert set(sys.modules) == modules
    assert [entry.name for entry in folder.iterdir()] == ["x.pt"]  # no canary
    kinds = Counter(re.sub(r"0x\w\w|data/\d+|names \S+|\d+", "_", result)[:80] for result in results.values())
    print(f"\n{len(results)} files, {peak / 2**20:.0f} MiB", *kinds.most_common(), sep="\n  ")
    return results


# Files whose reason matters: another one would mean that the case misses its point.
REASONS = {
    **dict.fromkeys(("laughing lists", "laughing tuples", "copies by torch.Size"), "it describes more parts"),
    **dict.fromkeys(("copies of pairs", "copies of text", "copies of a state"), "it describes more parts"),
    **dict.fromkeys(("copies of a set", "keys that collide"), "it describes more parts"),
    **dict.fromkeys(("laughing modules", "wide modules"), "it describes more modules and tensors"),
    **dict.fromkeys(("deep lists", "deep tuples", "deep modules", "list in itself"), "nests parts more than"),
    **dict.fromkeys(("dictionary in itself", "module in itself"), "nests parts more than"),
    "laughing tensors": "more numbers than it holds",
    "endless lists": "longer than that of any",
    "escape sequence as a name": "it calls a part of a module `\\x1b[2J`",
    "name of two lines": r"os\nevil\x1b[2J.sys\ntem",
}


def test_hostile_pickles(folder):
    data = {"0": b"\0" * 16}
    results = sweep(folder, ((name, archive(content, data)) for name, content in pickles(folder / "canary")))
    assert len(results) > 1000
    assert [name for name, result in results.items() if result == "read"] == []
    by_name = {name.partition(" ")[2]: result for name, result in results.items()}
    for name, sentence in REASONS.items():
        assert sentence in by_name[name], (name, by_name[name])
    for name in CALLABLES:  # each is named in the sentence, whichever way it is written
        for way in ("", " inside", " by NEWOBJ", " by protocol 4"):
            assert f"its pickle names {name}, which" in by_name[name + way], name


def test_hostile_archives(folder):
    results = sweep(folder, archives(folder))
    assert [name for name, result in results.items() if result == "read"] == []


@needs_shared
@pytest.mark.parametrize("seed", [0, 1])
def test_mutations(folder, seed):
    results = sweep(folder, mutations(seed, 450))
    read = sum(result == "read" for result in results.values())
    assert 0 < read < len(results)  # some hit nothing that matters, e.g. the number of a training step


@needs_shared
def test_truncation_at_every_part(folder):
    content = BASE.read_bytes()
    results = sweep(folder, ((f"{n}", content[:n]) for n in range(0, len(content) - 1, 2503)))
    assert "read" not in results.values()


@pytest.mark.parametrize(
    "name",
    ["endless lists", "deep lists", "laughing tensors", "laughing tuples", "wide modules", "endless marks"],
)
def test_memory_of_one_file(folder, name):
    content = next(content for found, content in pickles(folder / "canary") if found == name)
    packed = archive(content, {"0": b"\0" * 16})
    (folder / "x.pt").write_bytes(packed)
    tracemalloc.start()
    try:
        with pytest.raises(TfyoloError):
            read_checkpoint(folder / "x.pt")
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_the_watch_sees(folder):
    """The check of the checks: an unpickler that runs things is caught."""
    WATCH.seen.clear()
    WATCH.on = True
    try:
        pickle.loads(pickle.dumps(Runs(os.system, f"touch {folder / 'canary'}")))
        (folder / "y").open("w").close()
    finally:
        WATCH.on = False
    assert {"os.system", "open", "pickle.find_class"} <= {event for event, _ in WATCH.seen}
    assert (folder / "canary").exists()
