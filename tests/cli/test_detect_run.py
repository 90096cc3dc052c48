import re

import numpy as np
import pytest

from tests.inference.videos import make_video, read_video
from tfyolo.cli.detect_run import PredictionRun
from tfyolo.export.runtime.predictions import Detections
from tfyolo.files import run_folder
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.frames import Frame, Frames
from tfyolo.inference.nms import NmsOptions
from tfyolo.inference.sources import open_sources
from tfyolo.inference.writers import OutputOptions

HOSTILE = "cat\x1b[2J\x07[red]x[/red]:smile:\u202e"


@pytest.fixture
def detector(tiny):
    """Finds one box of class 1 and one of class 3 in every image; class 3 has a hostile name."""

    class Stub:
        contract = tiny.contract.model_copy(update={"names": ("ant", "bee", "cat", HOSTILE)})
        input_hw = (64, 64)
        max_batch = 1

        def __call__(self, images, confidence):
            boxes = np.float32([[0, 0, 32, 32], [32, 32, 64, 64]])
            return [Detections(boxes, np.float32([0.9, 0.6]), np.array([1, 3])) for _ in images]

    return DetectionPredictor(Stub())


def run(detector, frames, outputs=None, **options):
    return PredictionRun(detector, NmsOptions(**options), outputs).run(frames)


def images(count, hw=(48, 64)):
    """Frames of images."""
    frames = [Frame(f"{i}.png", f"in/{i}.png", np.zeros((*hw, 3), np.uint8)) for i in range(count)]
    return Frames(lambda: iter(frames), count)


def test_no_frames(detector, tmp_path, capsys):
    report = run(detector, images(0), OutputOptions(tmp_path))
    assert str(report) == f"0 images, 0 boxes, 0 skipped\nresults are in {tmp_path}"
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out.strip() == ""


def test_a_line_for_each_image_and_a_report(detector, capsys):
    report = run(detector, images(2), class_ids=[1])
    first, second = capsys.readouterr().out.split("\n")[:2]
    assert first.startswith("1/2 in/0.png: 64x48, 1 bee, ")
    assert second.startswith("2/2 in/1.png: 64x48, 1 bee, ")
    counts, speed = str(report).splitlines()  # nothing is written, so no folder is named
    assert counts == "2 images, 2 boxes, 0 skipped"
    for key in ("preprocess", "inference", "nms"):
        assert f" ms {key}" in speed


def test_the_first_call_is_not_measured(detector, capsys, monkeypatch):
    """It compiles the network; of an image the time of inference alone is shown."""
    seen, real = [], detector.runtime

    class Counting:
        contract, input_hw, max_batch = real.contract, real.input_hw, real.max_batch

        def __call__(self, images, confidence):
            seen.append(float(images.std()))
            return real(images, confidence)

    frames = [Frame(f"{i}.png", f"{i}.png", np.full((64, 64, 3), 50 * (i % 2), np.uint8)) for i in range(3)]
    frames[1].image[:9] = 255
    bad = Frame("bad.png", "bad.png", None, problem="no image")
    report = run(DetectionPredictor(Counting()), Frames(lambda: iter([bad, *frames]), 4))
    assert [value > 0 for value in seen] == [False, False, True, False]  # a black image first
    assert len(report.speeds_ms) == report.images == 3
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"2/4 0\.png: 64x64, 1 bee, 1 .*, \d+\.\d ms inference", lines[0])
    assert "speed per image (median): " in str(report)


def test_nothing_found(detector, capsys):
    assert run(detector, images(1), confidence=0.95).boxes == 0
    assert "64x48, nothing, " in capsys.readouterr().out


def test_names_are_printed_harmlessly(detector, capsys):
    frames = [
        Frame("x", "in/\x1b]0;title\x07.png", np.zeros((8, 8, 3), np.uint8)),
        Frame("y", "\x1b[31m.png", None, problem="\x1b[1m"),
    ]
    run(detector, Frames(lambda: iter(frames), 2))
    out, err = capsys.readouterr()
    assert r"1 cat\x1b[2J\x07[red]x[/red]:smile:\u202e" in out
    assert r"in/\x1b]0;title\x07.png" in out
    assert err == "skipped \\x1b[31m.png: \\x1b[1m\n"
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)


def test_what_cannot_be_read_is_named_and_the_others_are_done(detector, tmp_path, image, capsys):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    report = run(detector, open_sources([str(tmp_path)]), OutputOptions(tmp_path / "out"))
    assert (report.images, report.skipped) == (1, 1)
    assert capsys.readouterr().err == f"skipped {tmp_path}/a.jpg: is not a readable image\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["image.jpg"]


def test_a_video(detector, tmp_path):
    video = make_video(tmp_path / "video.avi", frames=6, fps=10)
    report = run(detector, open_sources([str(video)], 2), OutputOptions(tmp_path / "out", txt=True, csv=True))
    assert (report.images, report.boxes) == (3, 6)
    frames, fps = read_video(tmp_path / "out" / "video.mp4")
    assert frames.shape == (3, 48, 64, 3)
    assert fps == pytest.approx(5)
    labels = sorted((tmp_path / "out" / "labels").iterdir())
    assert [path.name for path in labels] == ["video_1.txt", "video_3.txt", "video_5.txt"]
    assert len((tmp_path / "out" / "predictions.csv").read_text().splitlines()) == 7


def test_an_interrupted_run_keeps_what_it_has(detector, tmp_path, capsys):
    def frames():
        yield from images(2)
        raise KeyboardInterrupt

    report = run(detector, Frames(frames, 9), OutputOptions(tmp_path, txt=True, csv=True))
    assert report.interrupted
    assert report.images == 2
    assert "interrupted; results so far are saved" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "labels", "predictions.csv"]
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 5


def test_an_endless_stream_does_not_fill_the_memory(detector):
    report = run(detector, images(1))
    for _ in range(3000):
        report.speeds_ms.append({"inference": 1.0})
    assert len(report.speeds_ms) == 1000


def test_run_folders_count_up_and_exist_ok_does_not(tmp_path):
    names = [run_folder(tmp_path, "exp", exist_ok).name for exist_ok in (False, False, False, True)]
    assert names == ["exp", "exp2", "exp3", "exp"]
