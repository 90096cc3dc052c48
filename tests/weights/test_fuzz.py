"""Hostile and damaged `.pt` files: nothing runs, nothing hangs, each ends in a read or in one sentence."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import pickle
import re
import resource
import shutil
import sys
import tempfile
import time
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared import needs_shared
from tests.weights import hostile
from tests.weights.hostile import BASE, CALLABLES, Runs, archives, laughs, mutations, nest, network, pickles
from tests.weights.pickles import Call, Name, Raw, archive, opcodes, pickled, tensor, text
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, load_spec
from tfyolo.models.blocks import BLOCKS
from tfyolo.models.config.arguments import resolve_arguments
from tfyolo.models.heads import CLASSIFY, SEGMENT
from tfyolo.weights.checkpoint import checkpoint_contract
from tfyolo.weights.torch_file import read_checkpoint
from tfyolo.weights.torch_globals import shown
from tfyolo.weights.torch_writer import save_torch

SECONDS = 10.0  # of one thread: the slowest takes one on a quiet machine, and what hangs never ends
MEMORY = 300 * 2**20  # bytes above what the interpreter holds, for one file


def _only_reads(mode: object, flags: int) -> bool:
    """Whether an `open` cannot change a file; `os.open` has no mode, but flags."""
    if mode is None:
        return not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    return isinstance(mode, str) and set(mode) <= set("rb")


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
        if event == "compile" and args[1] == "<unknown>":  # ast.parse: text as a syntax tree, of a sum
            return
        writes = event == "open" and not _only_reads(args[1], args[2])
        if event.startswith(self.FORBIDDEN) or writes:
            self.seen.append((event, args))


WATCH = Watch()
CONTRACT = Contract.of(load_spec(Path(__file__).parents[1] / "tiny.yaml"))


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
        checkpoint = read_checkpoint(path)
        model, result = checkpoint.model, "read"
        if checkpoint.source == "state_dict":  # described by a text, which may be as hostile
            checkpoint_contract(checkpoint)
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
    path.write_bytes(archive(pickled({"tfyolo": CONTRACT.to_json(), "model": {}})))
    checkpoint_contract(read_checkpoint(path))
    for block in (*BLOCKS.values(), CLASSIFY, SEGMENT):  # whose types are evaluated once
        with contextlib.suppress(ValueError):
            resolve_arguments(block, [])
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
    **dict.fromkeys(("laughing lists", "laughing tuples", "copies by torch.Size"), "it contains more parts"),
    **dict.fromkeys(("copies of pairs", "copies of text", "copies of a state"), "it contains more parts"),
    **dict.fromkeys(("copies of a set", "keys that collide"), "it contains more parts"),
    **dict.fromkeys(("laughing modules", "wide modules"), "it contains more modules and tensors"),
    **dict.fromkeys(("deep lists", "deep tuples", "deep modules", "list in itself"), "is nested more than"),
    **dict.fromkeys(("dictionary in itself", "module in itself"), "is nested more than"),
    "laughing tensors": "more values than its storages",
    "endless lists": "too long for a YOLOv5 checkpoint",
    "escape sequence as a name": "it contains a submodule with an invalid name, `\\x1b[2J`",
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
            assert f"its pickle refers to {name}, which" in by_name[name + way], name


def test_hostile_archives(folder):
    results = sweep(folder, archives(folder))
    assert [name for name, result in results.items() if result == "read"] == []


@needs_shared
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
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


def state_dict(**entries: object) -> bytes:
    """The pickle of what tfyolo writes, with one tensor; `entries` replace its own."""
    tensors = {"model.0.conv.weight": tensor("0", 4, (4,), (1,))}
    return pickled({"epoch": -1, "tfyolo": CONTRACT.to_json(), "model": tensors} | entries)


def contract(**changes: object) -> bytes:
    return state_dict(tfyolo=json.dumps(json.loads(CONTRACT.to_json()) | changes))


def config(**changes: object) -> bytes:
    return contract(config=CONTRACT.config | changes)


def yaml(**changes: object) -> bytes:
    """Without a contract, by the configuration alone."""
    config = CONTRACT.config
    rows = {"nc": 4, "backbone": config["backbone"], "head": config["neck"] + config["head"]}
    return state_dict(tfyolo=None, yaml=rows | changes)


def state_dicts(canary: Path) -> Iterator[tuple[str, bytes]]:
    """Hostile state dicts, contracts and configurations; none of them may be read."""
    system = Call(Name("os", "system"), (f"touch {canary}",))
    for key in ("tfyolo", "model", "names", "other"):
        yield f"call in {key}", state_dict(**{key: system})
    yield "call as a tensor", state_dict(model={"a": system})
    view = tensor("0", 4, (4,), (1,))
    shared = opcodes(view) + b"q\x05"
    many = b"".join(text(f"a{i}") + b"h\x05" for i in range(60_000))
    yield "many tensors", state_dict(model=Raw(b"}" + text("a") + shared + b"s(" + many + b"u"))
    wide = tensor("0", 4, (10**6, 4), (0, 1))
    yield "laughing tensors", state_dict(model={f"a{i}": wide for i in range(200)})
    names = ("", ".", "a.", "a..b", "a/b", "\x1b[2J", "a" * 65, ".".join("a" * 40), "é", "a" * 10**6, 0)
    for name in names:
        yield f"tensor called {name!r:.20}", state_dict(model={name: view})
    for value in (None, 1, "a", [1], {"a": view}, Call(Name("models.common", "Conv")), Raw(b"h\x00")):
        yield f"no tensor {value!r:.40}", state_dict(model=Raw(b"}q\x00" + text("a") + opcodes(value) + b"s"))
    for value in (1, [], None, view, Name("models.common", "Conv")):
        yield f"no state dict {value!r:.20}", state_dict(model=value)
    graph = laughs(30, 10, b"]", lambda refs: b"](" + refs + b"e")
    for key in ("names", "yaml"):
        yield f"laughing {key}", state_dict(keep=Raw(b"(" + graph + b"t"), **{key: {"a": Raw(b"h\x00")}})
        yield f"deep {key}", state_dict(**{key: Raw(nest(500_000))})
        yield f"{key} in itself", state_dict(**{key: Raw(b"}q\x00" + text("a") + b"h\x00s")})
    escape = "\x1b[2J\n" * 100
    texts = ["", "{", "null", "[]", "1", '"a"', "NaN", "{}", "[" * 10**6, '{"a":' * 10**6, "1" * 10**6]
    texts += ['"\\ud800', json.dumps(escape), json.dumps({escape: escape})]
    for number, value in enumerate(texts):
        yield f"text {number}", state_dict(tfyolo=value)
    for key in ("names", "anchors_px", "strides", "image_size", "config", "quantization"):
        for value in (1, -1, 1e308, "a" * 10**5, [[]], [escape], {escape: escape}, [[1e308]], ["x"] * 10**5):
            yield f"{key} {value!r:.20}", contract(**{key: value})
    for key in CONTRACT.config:
        for value in ([escape], {escape: escape}, [[escape] * 4], [[-1, 10**9, "Conv", [64]]], escape):
            if key != "name":
                yield f"config {key} {value!r:.20}", config(**{key: value})
    yield "unknown key", config(**{escape: escape})
    small = [[-1, 1, "Conv", [64]], [-1, 1, escape, [1]], [-1, 1, "Conv", [escape]], [10**9, 1, "Conv", [1]]]
    small += [[-1, 1000, "C3", [65536]], [-1, 1, "Conv2d", ["9" * 99 + "*9"]], [-1, 1, "Conv", [[]]]]
    large = [
        [-1, 1, "SPP", [1, [65536] * 10**5]],
        [-1, 1, "Conv", [1] * 10**5],
        [[-1] * 10**5, 1, "Concat", []],
    ]
    for make in (config, yaml):
        for number, row in enumerate(small):
            yield f"rows {number} of {make.__name__}", make(backbone=[row] * 3000)
        for number, row in enumerate(small[1:] + large):
            yield f"row {number} of {make.__name__}", make(head=[row])
    yield "names without end", yaml(nc=10**9)
    rows = {"nc": 1, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[[0], 1, "Detect", []]]}
    yield "names too many", state_dict(tfyolo=None, yaml=rows, names={0: "a", 1: "b"})
    yield "anchors", yaml(anchors=[[1e308] * 10**5])


STATE_DICT_REASONS = {
    "call in other": "its pickle refers to os.system, which",
    "many tensors": "more modules and tensors than any",
    "laughing tensors": "more values than its storages",
    "laughing names": "it contains more parts",
    "deep yaml": "is nested more than",
    "yaml in itself": "is nested more than",
    "no state dict 1": "contains no YOLOv5 model",
    "text 8": "its tfyolo.json is invalid",
    "unknown key": r"unknown key `\x1b[2J\n",
    "names without end": "`classes`: input should be less than or equal to",
    "names too many": "2 class names, but",
}


def test_hostile_state_dicts(folder):
    data = {"0": b"\0" * 16}
    files = ((name, archive(content, data)) for name, content in state_dicts(folder / "canary"))
    results = sweep(folder, files)
    assert len(results) > 150
    assert [name for name, result in results.items() if result == "read"] == []
    by_name = {name.partition(" ")[2]: result for name, result in results.items()}
    for name, sentence in STATE_DICT_REASONS.items():
        assert sentence in by_name[name], (name, by_name[name])


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> Path:
    """The smallest reference network as tfyolo writes it."""
    checkpoint = read_checkpoint(BASE)
    found = checkpoint_contract(checkpoint)
    content = {
        "epoch": -1,
        "names": dict(enumerate(found.names)),
        "yaml": checkpoint.model.attributes["yaml"],
    }
    content |= {"tfyolo": found.to_json(), "model": OrderedDict(checkpoint.model.tensors())}
    return save_torch(content, tmp_path_factory.mktemp("ours") / "ours.pt")


@needs_shared
@pytest.mark.parametrize("kept", ["contract", "yaml"])
def test_mutations_of_what_tfyolo_writes(folder, ours, kept, monkeypatch, tmp_path):
    content = ours.read_bytes()
    if kept == "yaml":  # the other way to describe a state dict: a key of another name is passed over
        path = tmp_path / "plain.pt"
        path.write_bytes(renamed(content))
        ours = path
    monkeypatch.setattr(hostile, "BASE", ours)
    results = sweep(folder, mutations(0, 450))
    read = sum(result == "read" for result in results.values())
    assert 0 < read < len(results)


def renamed(content: bytes) -> bytes:
    """A file whose contract nobody looks for, checksums made right."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    data = entries.pop("archive/data.pkl").replace(text("tfyolo"), text("others"))
    return archive(data, root="archive", more=entries)


@needs_shared
def test_truncation_of_what_tfyolo_writes(folder, ours):
    content = ours.read_bytes()
    results = sweep(folder, ((f"{n}", content[:n]) for n in range(0, len(content) - 1, 4999)))
    assert "read" not in results.values()
