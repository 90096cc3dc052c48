"""Failed writes name the file, the reason and the remedy, whatever raised them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from tests.full_disk import WORDS, limited, no_room_for_outputs
from tfyolo import disk
from tfyolo.disk import writing
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, atomic_folder, scratch


def fail(error, path, inside=None):
    """What a user reads when `error` is raised while `path` is written."""
    with pytest.raises(TfyoloError) as raised, writing(path, inside):
        raise error
    return str(raised.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_numbers_of_the_system(tmp_path, number):
    path, words = tmp_path / "a.csv", os.strerror(number)
    expected = f"{path}: cannot be written: {words}\n  fix: "
    assert fail(OSError(number, words), path).startswith(expected)
    assert fail(OSError(number, words, str(path)), path).startswith(expected)
    chained = RuntimeError("zlib failed")
    chained.__cause__ = OSError(number, words)
    assert fail(chained, path).startswith(expected)
    for text in (f"/x/y; {words}", f"file write failed: errno = {number}, error message"):  # TensorFlow, HDF5
        assert fail(RuntimeError(text), path).startswith(expected)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EIO])
def test_numbers_that_count_for_the_file_itself(tmp_path, number):
    path, words = tmp_path / "a.csv", os.strerror(number)
    error = OSError(number, words, str(tmp_path / ".tfyolo-1/a.csv"))
    assert fail(error, path, tmp_path / ".tfyolo-1").startswith(
        f"{path}: cannot be written: {words}\n  fix: "
    )


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "Permission denied", "/data/cat.jpg"),
        OSError(errno.ENOSPC, "No space left on device", "/elsewhere/log"),
        FileNotFoundError(errno.ENOENT, "No such file", "/data/cat.jpg"),
        ZeroDivisionError("division by zero"),
        KeyError("x"),
    ],
)
def test_what_has_another_cause_passes(tmp_path, error):
    with pytest.raises(type(error)) as raised, writing(tmp_path / "a.csv"):
        raise error
    assert raised.value is error
    assert list(tmp_path.iterdir()) == []


def test_errors_of_our_own_pass(tmp_path):
    with pytest.raises(TfyoloError, match=r"^mine$"), writing(tmp_path / "a.csv"):
        raise TfyoloError("mine")


def test_without_a_reason_the_file_system_is_asked(tmp_path, monkeypatch):
    """PyTorch: `unexpected pos 64 vs 0`; OpenVINO: `basic_ios::clear`."""
    real = disk.os.fsync

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    assert "a.pt: cannot be written: No space left on device" in fail(
        RuntimeError("basic_ios::clear"), tmp_path / "a.pt"
    )
    monkeypatch.setattr(disk.os, "fsync", real)
    with pytest.raises(RuntimeError, match="basic_ios"), writing(tmp_path / "a.pt"):
        raise RuntimeError("basic_ios::clear")


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tfyolo.files.tempfile.mkdtemp", refuse)
    expected = r"cannot be written: Permission denied\n  fix: "
    for kind in (atomic, atomic_folder):
        with (
            pytest.raises(TfyoloError, match=rf"x: {expected}choose a folder that you can write to"),
            kind(tmp_path / "x"),
        ):
            pass
    with pytest.raises(TfyoloError, match=expected + "set TMPDIR"), scratch():
        pass


def test_a_name_that_is_too_long(tmp_path):
    name = "n" * 300
    with (
        pytest.raises(
            TfyoloError, match="cannot be written: File name too long\n  fix: choose a shorter name"
        ),
        atomic(tmp_path / name) as temporary,
    ):
        temporary.write_text("x")


def write_scratch(size):
    with scratch() as folder:
        (folder / "a").write_bytes(bytes(size))


def test_the_folder_for_intermediate_files_is_named(tmp_path):
    with limited(100), pytest.raises(TfyoloError, match=f"{WORDS.split(chr(10))[0]}\n  fix: set TMPDIR"):
        write_scratch(200)


def figure(path):
    from tfyolo.evaluation.plots import save_confusion

    save_confusion(np.ones((3, 3)), ["a", "b"], path.parent)


def mosaic(path):
    from tfyolo.evaluation.mosaic import mosaic as draw

    draw([np.zeros((64, 64, 3), np.uint8)], [np.zeros((0, 4))], [np.zeros(0)], ["a"], path)


def write_image(path):
    from tfyolo.inference.results import save_image

    save_image(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), path)


def table(path):
    from tfyolo.inference.frames import Frame
    from tfyolo.inference.results import Result
    from tfyolo.inference.writers import OutputOptions, ResultWriter

    boxes = np.tile(np.float32([1, 1, 9, 9]), (50, 1))
    result = Result(
        boxes, np.ones(50, np.float32), np.zeros(50, np.int64), ("a",), np.zeros((16, 16, 3), np.uint8)
    )
    with ResultWriter(OutputOptions(path.parent, images=False, csv=True)) as writer:
        writer.write(Frame(Path("a.jpg"), "a.jpg", result.image), result)


def labels(path):
    from tfyolo.inference.frames import Frame
    from tfyolo.inference.results import Result
    from tfyolo.inference.writers import OutputOptions, ResultWriter

    boxes = np.tile(np.float32([1, 1, 9, 9]), (50, 1))
    result = Result(
        boxes, np.ones(50, np.float32), np.zeros(50, np.int64), ("a",), np.zeros((16, 16, 3), np.uint8)
    )
    with ResultWriter(OutputOptions(path.parent.parent, images=False, txt=True)) as writer:
        writer.write(Frame(Path("a.jpg"), "a.jpg", result.image), result)


def torch(path):
    from tfyolo.weights.torch_writer import save_torch

    save_torch({"w": np.zeros(100)}, path)


def diagram(path):
    from tfyolo.models import load_spec
    from tfyolo.models.reports.diagram import save_diagram

    save_diagram(load_spec("yolov5n"), path)


WRITERS = {
    "confusion_matrix.png": figure,
    "val_batch0_labels.jpg": mosaic,
    "a.jpg": write_image,
    "a.png": write_image,
    "a.tif": write_image,
    "a.webp": write_image,
    "predictions.csv": table,
    "labels/a.txt": labels,
    "a.pt": torch,
    "a.svg": diagram,
    "a.md": diagram,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_names_its_file(tmp_path, monkeypatch, name):
    path = tmp_path / name
    with no_room_for_outputs(monkeypatch), pytest.raises(TfyoloError) as raised:
        WRITERS[name](path)
    assert str(raised.value).startswith(f"{path}: {WORDS}")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("to", ["yolo", "voc", "coco", "tfrecord"])
def test_data_sets(tmp_path, monkeypatch, to):
    from tfyolo.data.detection.scan import read_dataset, scan_split
    from tfyolo.data.formats.convert import convert_dataset
    from tfyolo.data.synthetic import create_shapes_dataset

    dataset = read_dataset(create_shapes_dataset(tmp_path / "data", train=2, val=1, image_size=64))
    for split in ("train", "val"):
        scan_split(dataset, split)  # whose cache is written beside the labels
    with no_room_for_outputs(monkeypatch), pytest.raises(TfyoloError) as raised:
        convert_dataset(dataset, to, tmp_path / "out")
    assert str(raised.value).startswith(f"{tmp_path / 'out'}: {WORDS}")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_crops(tmp_path, monkeypatch):
    from tfyolo.data.classification.crops import crop_dataset
    from tfyolo.data.detection.scan import read_dataset, scan_split
    from tfyolo.data.synthetic import create_shapes_dataset

    dataset = read_dataset(create_shapes_dataset(tmp_path / "data", train=2, val=1, image_size=64))
    for split in ("train", "val"):
        scan_split(dataset, split)
    with no_room_for_outputs(monkeypatch), pytest.raises(TfyoloError) as raised:
        crop_dataset(dataset, tmp_path / "out")
    assert str(raised.value).startswith(f"{tmp_path / 'out'}: {WORDS}")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_videos_that_opencv_cuts_short(tmp_path, monkeypatch):
    from tfyolo.inference.frames import Frame, Video
    from tfyolo.inference.results import Result
    from tfyolo.inference.writers import OutputOptions, ResultWriter

    random = np.random.default_rng(0)
    video = Video("a.mp4", 25.0, 3)

    def write():
        with ResultWriter(OutputOptions(tmp_path)) as writer:
            for index in range(1, 4):
                image = random.integers(0, 255, (64, 64, 3), np.uint8)
                none = np.zeros((0, 4), np.float32)
                result = Result(none, none[:, 0], np.zeros(0, np.int64), ("a",), image)
                writer.write(Frame(Path("a.mp4"), "a.mp4", image, video=video, index=index), result)

    write()
    (tmp_path / "a.mp4").unlink()
    with no_room_for_outputs(monkeypatch, 4000), pytest.raises(TfyoloError) as raised:
        write()
    assert str(raised.value).startswith(f"{tmp_path / 'a.mp4'}: {WORDS}")
    assert list(tmp_path.iterdir()) == []


def test_tensorboard(tmp_path, monkeypatch):
    from tfyolo.training import callbacks

    monkeypatch.setattr(callbacks, "learning_rates", lambda model: (0.0, 0.0, 0.0))
    with limited(10), pytest.raises(TfyoloError) as raised:
        callbacks.TensorBoard(tmp_path / "events")
    assert str(raised.value).startswith(f"{tmp_path / 'events'}: {WORDS}")
    board = callbacks.TensorBoard(tmp_path / "board")
    with limited(200), pytest.raises(TfyoloError) as raised:
        board.on_epoch_end(0, {f"figure {number}": 1.0 for number in range(100)})
    assert str(raised.value).startswith(f"{tmp_path / 'board'}: {WORDS}")


def test_results_csv(tmp_path, monkeypatch):
    from tfyolo.training import callbacks

    monkeypatch.setattr(callbacks, "learning_rates", lambda model: (0.0, 0.0, 0.0))
    path = tmp_path / "results.csv"
    path.write_text("old")
    with no_room_for_outputs(monkeypatch), pytest.raises(TfyoloError) as raised:
        callbacks.ResultsCsv(path, [f"metric{i}" for i in range(20)]).on_epoch_end(0, {})
    assert str(raised.value).startswith(f"{path}: {WORDS}")
    assert path.read_text() == "old"


def test_keras_files(tiny, tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    with no_room_for_outputs(monkeypatch), pytest.raises(TfyoloError) as raised:
        tiny.save(path)
    assert str(raised.value).startswith(f"{path}: {WORDS}")
    assert list(tmp_path.iterdir()) == []
