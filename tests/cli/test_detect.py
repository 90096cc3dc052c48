import csv
import functools
import re

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_main import exit_code
from tests.inference.videos import make_video
from tfyolo.inference.load import load_predictor

load_once = functools.cache(load_predictor)


@pytest.fixture
def detect(tiny_keras, tmp_path, monkeypatch, capsys):
    """Run `tfyolo detect` in a folder of its own; gives the exit code, the files below runs/, stdout, stderr.

    The threshold is so low that an untrained model finds something. Each model is loaded once.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tfyolo.inference.load.load_predictor", load_once)

    def run(*words, weights=tiny_keras, conf=1e-5):
        code = exit_code("detect", "--weights", weights, "--conf-thres", conf, "--max-det", 3, *words)
        files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("runs/**/*") if p.is_file())
        return code, files, *capsys.readouterr()

    return run


@pytest.fixture
def boxes(tiny, image):
    return tiny(image, 1e-5, max_detections=3)[0]


def test_images(detect, tiny, image):
    png = image.with_suffix(".png")  # what is written without loss is compared to the bit
    with Image.open(image) as jpeg:
        jpeg.save(png)
    code, files, out, err = detect("--source", png)
    assert (code, files, err) == (0, ["runs/detect/exp/image.png"], "")
    lines = out.splitlines()
    assert lines[0].startswith(f"1/1 {png}: 64x48, ")
    assert lines[-3] == "1 images, 3 boxes, 0 skipped"
    assert lines[-1] == "results are in runs/detect/exp"
    with Image.open(files[0]) as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), tiny(png, 1e-5, max_detections=3)[0].plot())


def test_everything(detect, image, boxes):
    flags = (
        "--save-txt",
        "--save-conf",
        "--save-crop",
        "--save-csv",
        "--nosave",
        "--project",
        "runs/p",
        "--name",
        "n",
    )
    code, files, _, _ = detect("--source", image, *flags)
    assert code == 0
    crops = [
        f"runs/p/n/crops/{boxes.names[index]}/image_{n}.jpg" for n, index in enumerate(boxes.class_ids, 1)
    ]
    assert files == sorted([*crops, "runs/p/n/labels/image.txt", "runs/p/n/predictions.csv"])
    labels = np.loadtxt("runs/p/n/labels/image.txt", ndmin=2)
    np.testing.assert_array_equal(labels[:, 0], boxes.class_ids)
    np.testing.assert_allclose(labels[:, 1:5], boxes.boxes_xywh_norm, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(labels[:, 5], boxes.scores, rtol=1e-4)
    with open("runs/p/n/predictions.csv", newline="") as file:  # noqa: PTH123
        rows = list(csv.reader(file))[1:]
    assert [row[:2] for row in rows] == [["image.jpg", boxes.names[index]] for index in boxes.class_ids]


def test_save_conf_without_it_there_are_five_columns(detect, image):
    _, files, _, _ = detect("--source", image, "--save-txt", "--nosave")
    assert files == ["runs/detect/exp/labels/image.txt"]
    assert np.loadtxt(files[0], ndmin=2).shape == (3, 5)


def test_nosave_alone_makes_no_folder(detect, image, tmp_path):
    code, _, out, _ = detect("--source", image, "--nosave")
    assert code == 0
    assert "results are in" not in out
    assert not (tmp_path / "runs").exists()


def test_each_run_has_a_folder_of_its_own_unless_exist_ok(detect, image):
    for _ in range(2):
        detect("--source", image)
    _, files, _, _ = detect("--source", image, "--exist-ok")
    assert files == ["runs/detect/exp/image.jpg", "runs/detect/exp2/image.jpg"]


def test_a_video(detect, tmp_path):
    video = make_video(tmp_path / "video.avi", frames=5)
    code, files, out, _ = detect("--source", video, "--vid-stride", 2)
    assert (code, files) == (0, ["runs/detect/exp/video.mp4"])
    assert "\n3 images, 9 boxes, 0 skipped\n" in out


def test_classes_and_other_options(detect, image):
    flags = ("--classes", 1, 2, "--agnostic-nms", "--augment", "--img", 64, "--hide-labels", "--hide-conf")
    code, files, out, _ = detect("--source", image, *flags, "--line-thickness", 1, "--save-txt")
    assert code == 0
    assert set(np.loadtxt(files[1], ndmin=2)[:, 0]) <= {1, 2}
    assert " ant" not in out
    assert " dog" not in out


def test_nothing_found(detect, image):
    code, files, out, _ = detect("--source", image, "--save-txt", "--save-crop", "--save-csv", conf=1)
    folder = "runs/detect/exp"
    assert (code, files) == (
        0,
        [f"{folder}/image.jpg", f"{folder}/labels/image.txt", f"{folder}/predictions.csv"],
    )
    assert "64x48, nothing, " in out


def test_an_unreadable_image_among_good_ones(detect, image, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    code, files, out, err = detect("--source", tmp_path / "bad.jpg", image)
    assert (code, files) == (1, ["runs/detect/exp/image.jpg"])
    assert err == f"skipped {tmp_path}/bad.jpg: is not a readable image\n"
    assert "\n1 images, 3 boxes, 1 skipped\n" in out


def test_nothing_but_unreadable_images(detect, tmp_path):
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    code, files, out, err = detect("--source", tmp_path)
    assert (code, files, err.count("skipped")) == (1, [], 2)
    assert "0 images, 0 boxes, 2 skipped\n" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--classes", "4"), "unknown class id 4\n  fix: pass --classes from 0 to 3"),
        (("--classes", "-1"), "unknown class id -1\n"),
        (("--img", "0"), "--img takes one number from 1 to 16384, or height and width"),
        (("--img", "1000000"), "--img takes one number from 1 to 16384, or height and width"),
        (("--img", "64", "64", "64"), "--img takes one number"),
        (("--project", "image.jpg"), "image.jpg/exp: cannot create the folder: Not a directory"),
    ],
)
def test_a_users_error_leaves_no_folder(detect, image, tmp_path, words, reason):
    code, _, out, err = detect("--source", image, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {reason}")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("weights", "source", "reason"),
    [
        (
            "missing.pt",
            "image.jpg",
            "missing.pt: no such model file\n  fix: pass a file, or one of bccd-n, yolov5n, ",
        ),
        ("image.jpg", "image.jpg", "image.jpg: "),
        ("bad.pt", "image.jpg", "bad.pt: "),
        ("bad.keras", "image.jpg", "bad.keras: "),
        ("bad.tflite", "image.jpg", "bad.tflite: "),
        ("folder", "image.jpg", "folder: "),
        ("", "image.jpg", ".: no such model file\n"),
        (None, "missing.jpg", "missing.jpg: no such image, folder, video or list\n  fix: check --source\n"),
        (None, "folder", "folder: contains no images or videos\n"),
        (None, "", "--source is empty\n"),
    ],
)
def test_files_that_are_missing_or_wrong(detect, image, tmp_path, tiny_keras, weights, source, reason):
    for name in ("bad.pt", "bad.keras", "bad.tflite"):
        (tmp_path / name).write_bytes(b"no model at all")
    (tmp_path / "folder").mkdir()
    code, files, out, err = detect("--source", source, weights=tiny_keras if weights is None else weights)
    assert (code, files, out) == (2, [], "")
    assert err.startswith(f"error: {reason}")
    assert err.count("\n") <= 2  # the sentence, and what to do


def test_names_from_a_model_file_are_printed_harmlessly(detect, tiny, image, tmp_path):
    from tfyolo.weights.keras_file import save_keras

    name = "x\x1b[2J[red]../y[/red]"
    contract = tiny.contract.model_copy(update={"names": (name,) * 4})
    hostile = save_keras(tiny.model, contract, tmp_path / "hostile.keras")
    code, files, out, err = detect("--source", image, "--save-crop", "--save-csv", weights=hostile)
    assert (code, err) == (0, "")
    assert r" 3 x\x1b[2J[red]../y[/red], " in out
    assert "\x1b" not in out
    folder = "runs/detect/exp"
    *crops, drawn, table = files
    assert [drawn, table] == [f"{folder}/image.jpg", f"{folder}/predictions.csv"]
    assert sorted(name[-5] for name in crops) == ["1", "2", "3"]
    # Classes of one name have a folder each.
    assert all(re.match(rf"{folder}/crops/x__2J_red_\.\._y__red_(_[234])?/image_", name) for name in crops)


def test_ctrl_c_among_images_is_exit_code_130(detect, image, monkeypatch):
    from tfyolo.inference.writers import ResultWriter

    def interrupt(self, frame, result):
        raise KeyboardInterrupt

    monkeypatch.setattr(ResultWriter, "write", interrupt)
    code, _, out, _ = detect("--source", image)
    assert code == 130
    assert "interrupted; results so far are saved" in out


def test_two_sources_of_one_name_are_told_apart(detect, image, tmp_path):
    clip = make_video(tmp_path / "clip.avi", frames=3)
    still = tmp_path / "clip.jpg"
    still.write_bytes(image.read_bytes())
    code, files, _, err = detect(
        "--source", clip, still, "--save-txt", "--save-crop", "--save-csv", "--nosave"
    )
    assert code == 0
    labels = [name.rpartition("/")[2] for name in files if "/labels/" in name]
    assert labels == ["clip-2.txt", "clip_1.txt", "clip_2.txt", "clip_3.txt"]
    assert sum("/crops/" in name for name in files) == 4 * 3
    assert err == f"note: results of {still} are named clip-2\n"


def test_one_bad_item_does_not_end_a_run(detect, image, tmp_path, monkeypatch):
    from tfyolo.errors import BadOutputError
    from tfyolo.inference.detection import DetectionPredictor

    names = [f"{'x' * 250}.jpg", "b\udcff.jpg", "c.jpg", "d.jpg", "e.jpg"]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_bytes(image.read_bytes())
    calls, whole = [], DetectionPredictor.__call__

    def sometimes(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 5:  # after one that warms up
            raise BadOutputError("the model's output is of no use")
        if len(calls) == 6:
            raise MemoryError("out of memory")
        return whole(self, *arguments, **options)

    monkeypatch.setattr(DetectionPredictor, "__call__", sometimes)
    code, files, out, err = detect("--source", tmp_path / "in", "--save-txt", "--save-csv", "--save-crop")
    assert code == 1
    assert "3 images, 9 boxes, 2 skipped" in out
    assert err.count("skipped") == 2
    assert sum("/labels/" in name for name in files) == 3
    assert "\nerror" not in err


def test_a_full_disk_ends_a_run(detect, image, tmp_path, monkeypatch):
    import errno

    from tfyolo.inference.writers import ResultWriter

    def full(self, frame, result):
        raise OSError(errno.ENOSPC, "No space left on device", "x.jpg")

    monkeypatch.setattr(ResultWriter, "write", full)
    code, _, _, err = detect("--source", image, image)
    assert code == 2
    assert err.count("No space left") == 1


def test_boxes_that_are_none_are_told(detect, image, monkeypatch):
    from tfyolo.export.keras.runtime import KerasRuntime

    whole = KerasRuntime._run

    def damaged(self, session, images, confidence):
        outputs = whole(self, session, images, confidence)
        outputs["head_0"][0, 0, 0, 0] = np.nan
        return outputs

    monkeypatch.setattr(KerasRuntime, "_run", damaged)
    code, files, _, err = detect("--source", image, "--save-txt")
    assert code == 1
    assert err.startswith(f"note: {image}: 1 of ")
    assert err.endswith(" boxes are left out: 1 that are not numbers\n")
    assert np.isfinite(np.loadtxt(files[1], ndmin=2)).all()


def test_a_video_that_ends_early_is_exit_code_1(detect, tmp_path):
    video = make_video(tmp_path / "video.avi", frames=12, hw=(240, 320))
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 3 // 4])
    code, files, _, err = detect("--source", video)
    assert (code, files) == (1, ["runs/detect/exp/video.mp4"])
    assert err.startswith(f"skipped {video}: ends after ")
