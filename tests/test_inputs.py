"""Every file that a user names is opened by tfyolo.inputs: regular, of bounded size, and nothing else."""

from __future__ import annotations

import ast
import os
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfyolo import inputs
from tfyolo.data.images.header import ImageError
from tfyolo.errors import TfyoloError
from tfyolo.inputs import IMAGE, MODEL, InputKind, check_input_folder, open_input, read_input

ROOT = Path(__file__).resolve().parents[1]


def _load(path: Path) -> None:
    from tfyolo.inference.load import load_predictor

    load_predictor(path)


def _inspect(path: Path) -> None:
    from tfyolo.export.runtime.inspection import inspect_file

    inspect_file(path)


def _image(path: Path) -> None:
    from tfyolo.data.images.read import read_image

    read_image(path)


def _header(path: Path) -> None:
    from tfyolo.data.images.read import read_header

    read_header(path)


def _yaml(path: Path) -> None:
    from tfyolo.configs.reader import read_yaml

    read_yaml(path)


def _model_yaml(path: Path) -> None:
    from tfyolo.models import load_spec

    load_spec(path)


def _coco(path: Path) -> None:
    from tfyolo.data.formats.readers.coco_json import read_coco

    read_coco(path)


def _coco_annotations(path: Path) -> None:
    from tfyolo.evaluation.coco import read_annotations

    read_annotations(path)


def _voc(path: Path) -> None:
    from tfyolo.data.formats.readers.voc_xml import read_annotation

    read_annotation(path)


def _records(path: Path) -> None:
    from tfyolo.data.caches.records import _record_starts

    _record_starts(path)


def _rows(path: Path) -> None:
    from tfyolo.data.formats.readers.base import read_rows

    list(read_rows(path))


def _source(path: Path) -> None:
    from tfyolo.inference.sources import open_sources

    for frame in open_sources([str(path)]):
        if frame.problem:
            raise TfyoloError(frame.problem, path=frame.path)


def _labels(path: Path) -> None:
    from tfyolo.data.detection.yolo_labels import read_labels

    for problem in read_labels(path, 3).problems:
        raise TfyoloError(problem.message, path=problem.path)


def _resume(path: Path) -> None:
    from tfyolo.training.state import read_state

    read_state(path)


def _page(path: Path) -> None:
    from tfyolo.web import check_model

    check_model(path)


SUFFIXES = (".tflite", ".engine", ".keras", ".pt", ".onnx", ".pb")
READERS: dict[str, Callable[[Path], Any]] = {
    **{f"load m{suffix}": _load for suffix in (*SUFFIXES, ".torchscript", "_edgetpu.tflite")},
    **{f"inspect m{suffix}": _inspect for suffix in SUFFIXES},
    "image i.jpg": _image,
    "header i.png": _header,
    "yaml d.yaml": _yaml,
    "model m.yaml": _model_yaml,
    "coco c.json": _coco,
    "annotations c.json": _coco_annotations,
    "voc a.xml": _voc,
    "records r.tfrecord": _records,
    "rows l.txt": _rows,
    "source l.txt": _source,
    "source v.mp4": _source,
    "source i.jpg": _source,
    "labels l.txt": _labels,
    "resume last.keras": _resume,
}
FOLDERS = {
    "m_saved_model": "saved_model.pb",
    "m_web_model": "model.json",
    "m_openvino_model": "model.xml",
    "m.mlpackage": "Manifest.json",
}


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link_to_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("fifo"))
    path.symlink_to("fifo")


def _zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path has 108 bytes at most
        bound.bind(path.name)
        os.chdir(here)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**42)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


MAKERS = (_fifo, _link_to_fifo, _zero, _socket, _sparse, _loop)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__.strip("_"))
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_named_and_not_read(tmp_path, reader, make, monkeypatch):
    path = tmp_path / reader.partition(" ")[2]
    make(path)
    large = {
        "source v.mp4": "tfyolo.inference.sources.VIDEO",
        "records r.tfrecord": "tfyolo.data.caches.records.RECORDS",
    }
    if make is _sparse and reader in large:
        monkeypatch.setattr(large[reader], InputKind("a small file", 10))
    with pytest.raises(TfyoloError, match=r"not a file|too large|cannot be|such|symbolic") as caught:
        READERS[reader](path)
    assert caught.value.path is not None
    assert Path(caught.value.path).name == path.name


@pytest.mark.parametrize("make", [_fifo, _zero, _sparse], ids=lambda make: make.__name__.strip("_"))
@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("read", [_load, _inspect], ids=["load", "inspect"])
def test_folders_hold_files_alone(tmp_path, folder, read, make):
    path = tmp_path / folder
    path.mkdir()
    (path / FOLDERS[folder]).write_bytes(b"{}")
    make(path / "weights.bin")
    with pytest.raises(TfyoloError, match=r"weights\.bin: is"):
        read(path)


def test_a_missing_and_an_unreadable_file_and_a_folder(tmp_path, monkeypatch):
    messages = {
        "none": "does not exist",
        ".": "is a folder",
        "a\0b": "cannot be read",
        "n" * 300: "cannot be read",
    }
    for name, message in messages.items():
        with pytest.raises(TfyoloError, match=message):
            read_input(tmp_path / name, MODEL)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret"
    path.write_bytes(b"x")
    monkeypatch.setattr(inputs.os, "open", refuse)  # root may read everything
    with pytest.raises(ImageError, match="no permission"):
        read_input(path, IMAGE, ImageError)


def test_a_name_that_leads_elsewhere_in_the_meantime(tmp_path, monkeypatch):
    """What is opened is checked, not what the name led to a moment before."""
    path = tmp_path / "image.jpg"
    path.write_bytes(b"x")
    regular = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda self, **_: regular)
    with pytest.raises(TfyoloError, match="pipe"), open_input(path, IMAGE):
        pass


def test_a_file_that_grows_is_read_no_further(tmp_path, monkeypatch):
    path = tmp_path / "list"
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr(inputs, "_check", lambda *_: None)
    with pytest.raises(TfyoloError, match="too large"):
        read_input(path, InputKind("a list", 50))


def test_a_folder_of_many_files_or_links(tmp_path, monkeypatch):
    folder = tmp_path / "m"
    folder.mkdir()
    for i in range(5):
        (folder / str(i)).touch()
    check_input_folder(folder, MODEL)
    monkeypatch.setattr(inputs, "MAX_FILES", 3)
    with pytest.raises(TfyoloError, match="more than 3 files"):
        check_input_folder(folder, MODEL)
    (folder / "up").symlink_to(tmp_path)
    with pytest.raises(TfyoloError, match="link to a folder"):
        check_input_folder(folder, MODEL)


OPENERS = {"open", "read_bytes", "read_text", "ZipFile", "VideoCapture", "memmap", "fromfile", "imread"}
OWN = {
    "tfyolo/inputs.py": "opens what users name",
    "tfyolo/files.py": "what tfyolo has written",
    "tfyolo/owned_files.py": "what tfyolo has written",
    "tfyolo/demo.py": "a template of the package",
    "tfyolo/web.py": "files of the page; models are checked when the server starts",
    "tfyolo/cli/streams.py": "/dev/null",
    "export/runtime/cpu.py": "/proc/cpuinfo",
    "tfyolo/data/caches/decoded_images.py": "the project's own cache",
    "tfyolo/memory.py": "files of the system: /proc/meminfo and limits of the container",
    "tfyolo/data/caches/scan_cache.py": "the project's own cache",
    "tfyolo/weights/hub.py": "the project's own cache",
    "tfyolo/evaluation/plot_style.py": "results.csv of the run that draws it",
    "tfyolo/training/callbacks.py": "results.csv of the run",
    "tfyolo/data/formats/writers/tfrecord.py": "what it has written",
    "tfyolo/benchmark/commands.py": "arrays of the parent process",
    "tfyolo/quantization/training/qat.py": "state of the run",
    "tfyolo/inference/load.py": "Format.open checks the path",
    "export/coreml/package.py": "files that `Format.open` has checked, inside of the folder",
    "tfyolo/api/fit.py": "results.csv of the run",
    "tfyolo/cli/interrupt.py": "/proc",
    "export/tfjs/runtime.py": "package.json of the package",
    "tfyolo/inference/snippets/write.py": "templates of the package",
    "tfyolo/inference/writers.py": "the video it has written",
    "tfyolo/inference/sources.py": "VideoCapture, after `check_input`",
    "export/edgetpu/writer.py": "what the compiler has written",
    "export/coreml/writer.py": "what the converter has written",
}
"""Modules that open files in another way, and why they may: a new one belongs here only with a reason."""


def _opened(path: Path) -> list[str]:
    """Calls in a module that open a file for reading by its name."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        method = isinstance(function, ast.Attribute)
        loads = name == "load" and method and ast.unparse(function.value) == "np"
        if not loads and (name not in OPENERS or (name == "read_bytes" and not method)):
            continue
        words = [
            x.value for x in (*node.args, *(k.value for k in node.keywords)) if isinstance(x, ast.Constant)
        ]
        if any(isinstance(word, str) and word[:1] and word[0] in "wxa" for word in words):
            continue  # writes
        if (loads or name == "ZipFile") and isinstance(node.args[0], ast.Name | ast.Call | ast.Attribute):
            inner = ast.unparse(node.args[0])
            if inner in ("file", "copy", "out", "temporary", "self._file") or "BytesIO" in inner:
                continue  # an open file
        if (
            name == "open"
            and isinstance(function, ast.Attribute)
            and ast.unparse(function.value) == "archive"
        ):
            continue
        found.append(f"{path.name}:{node.lineno} {ast.unparse(node)[:80]}")
    return found


def test_nothing_else_opens_files_of_users():
    counts: Counter[str] = Counter()
    wrong = []
    for path in sorted([*ROOT.glob("tfyolo/**/*.py"), *ROOT.glob("export/**/*.py")]):
        name = path.relative_to(ROOT).as_posix()
        calls = _opened(path)
        counts[name] += len(calls)
        if calls and name not in OWN:
            wrong += calls
    assert not wrong, "open these with tfyolo.inputs"
    assert [name for name in OWN if not counts[name]] == [], "nothing is opened there any more"
