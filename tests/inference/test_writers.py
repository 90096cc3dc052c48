import csv

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.inference.videos import read_video
from tfyolo.errors import BadOutputError, TfyoloError
from tfyolo.inference.frames import Frame, Video
from tfyolo.inference.names import Names, folder_names, shortened
from tfyolo.inference.results import Result
from tfyolo.inference.writers import OutputOptions, ResultWriter

NAMES = ("ant", "bee")


def make(count=2, names=NAMES, hw=(80, 100), level=128):
    boxes = np.float32([[10, 20, 50, 60], [0, 0, 100, 80], [100, 80, 100, 80]])[:count]
    scores, classes = np.float32([0.9, 0.123456789, 0.1])[:count], np.array([1, 0, 1])[:count]
    return Result(boxes, scores, classes, names, np.full((*hw, 3), level, np.uint8))


def frame(name="a.jpg", video=None, index=0):
    return Frame(name, f"folder/{name}", np.zeros((1, 1, 3), np.uint8), video, index)


def write(folder, *pairs, images=False, **wanted):
    """Write (frame, result) pairs; the files that are there then, relative to the folder."""
    with ResultWriter(OutputOptions(folder, images=images, **wanted)) as writer:
        for one, result in pairs:
            writer.write(one, result)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_nothing_was_seen(tmp_path):
    assert write(tmp_path, images=True, txt=True, crops=True, csv=True) == []


@pytest.mark.parametrize(
    ("confidence", "text"),
    [
        (False, "1 0.3 0.5 0.4 0.5\n0 0.5 0.5 1 1\n"),
        (True, "1 0.3 0.5 0.4 0.5 0.9\n0 0.5 0.5 1 1 0.123457\n"),
    ],
)
def test_labels(tmp_path, confidence, text):
    assert write(tmp_path, (frame(), make()), txt=True, txt_confidence=confidence) == ["labels/a.txt"]
    assert (tmp_path / "labels" / "a.txt").read_text() == text


def test_a_background_has_an_empty_label_file(tmp_path):
    write(tmp_path, (frame(), make()), txt=True)  # of an earlier run
    write(tmp_path, (frame(), make(0)), txt=True)
    assert (tmp_path / "labels" / "a.txt").read_text() == ""


def test_labels_of_a_video_have_the_number_of_their_frame(tmp_path):
    video = Video("video.avi", 10, 2)
    pairs = [(frame("video.avi", video, index), make()) for index in (0, 3)]
    assert write(tmp_path, *pairs, txt=True) == ["labels/video_1.txt", "labels/video_4.txt"]


def test_table(tmp_path):
    names = ('x, "y"', "bee")
    video = Video("video.avi", 10, 2)
    pairs = [
        (frame("é.jpg"), make(2, names)),
        (frame("b.jpg"), make(0)),
        (frame("video.avi", video, 3), make(1)),
    ]
    assert write(tmp_path, *pairs, csv=True) == ["predictions.csv"]
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["Image Name", "Prediction", "Confidence", "xmin", "ymin", "xmax", "ymax"],
            ["é.jpg", "bee", "0.9000", "10.0", "20.0", "50.0", "60.0"],
            ["é.jpg", 'x, "y"', "0.1235", "0.0", "0.0", "100.0", "80.0"],
            ["video.mp4#4", "bee", "0.9000", "10.0", "20.0", "50.0", "60.0"],
        ]


def test_table_without_boxes_has_its_heading(tmp_path):
    write(tmp_path, (frame(), make(0)), csv=True)
    assert (tmp_path / "predictions.csv").read_text().splitlines() == [
        "Image Name,Prediction,Confidence,xmin,ymin,xmax,ymax"
    ]


def test_crops(tmp_path):
    image = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (80, 1, 3))
    result = Result(make(3).boxes_xyxy_px, make(3).scores, make(3).class_ids, NAMES, image)
    files = write(tmp_path, (frame("a.png"), result), crops=True)
    assert files == ["crops/ant/a_2.jpg", "crops/bee/a_1.jpg", "crops/bee/a_3.jpg"]
    sizes = {}
    for name in files:
        with Image.open(tmp_path / name) as crop:
            sizes[name] = crop.size
    # 2 % and 10 pixels around: 40 x 40 becomes 50.8 x 50.8, cut to whole pixels; the image ends the others.
    assert sizes == {
        "crops/bee/a_1.jpg": (51, 51),
        "crops/ant/a_2.jpg": (100, 80),
        "crops/bee/a_3.jpg": (5, 5),
    }
    with Image.open(tmp_path / "crops/bee/a_1.jpg") as crop:
        assert np.asarray(crop)[20, 0, 0] == pytest.approx(4, abs=3)


def test_no_crops_of_no_boxes(tmp_path):
    assert write(tmp_path, (frame(), make(0)), crops=True) == []


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/b", "", "CON", "..", "/etc", "C:\\x", "\0", "a\nb", ".", "x" * 300, "犬" * 300, "a. "],
)
def test_crops_stay_inside_whatever_the_class_is_called(tmp_path, name):
    folder = tmp_path / "deep" / "run"
    assert len(write(folder, (frame(), make(1, ("ant", name))), crops=True)) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents] == []
    (made,) = (folder / "crops").iterdir()
    assert len(list(made.glob("*.jpg"))) == 1


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a/b", "a_b"),
        ("", "unnamed"),
        ("con", "_con"),
        ("COM1.x", "_COM1.x"),
        ("cone", "cone"),
        ("Ünï 2", "Ünï 2"),
    ],
)
def test_class_names_as_folders(name, folder):
    assert folder_names((name,)) == [folder]


def test_images(tmp_path):
    assert write(tmp_path, (frame("a.png"), make()), images=True) == ["a.png"]
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), make().plot())


@pytest.mark.parametrize(
    ("name", "written"),
    [("A.JPG", "A.JPG"), ("a.tiff", "a.tiff"), ("a.webp", "a.webp"), ("a.dng", "a.jpg"), ("a", "a.jpg")],
)
def test_kind_of_image(tmp_path, name, written):
    assert write(tmp_path, (frame(name), make()), images=True) == [written]


def test_images_of_one_name_do_not_share_files(tmp_path):
    names = ["a.jpg", "a.jpg", "a.png", "A.jpg", "a_2.jpg"]
    pairs = [(frame(name), make(1, level=i)) for i, name in enumerate(names)]
    files = write(tmp_path, *pairs, images=True, txt=True, crops=True)
    stems = ["A_4", "a", "a_2", "a_2_2", "a_3"]
    assert [name for name in files if "/" not in name] == [
        f"{s}.png" if s == "a_3" else f"{s}.jpg" for s in stems
    ]
    assert [name for name in files if name.startswith("labels")] == [f"labels/{s}.txt" for s in stems]
    assert [name for name in files if name.startswith("crops")] == sorted(
        f"crops/bee/{s}_1.jpg" for s in stems
    )
    with Image.open(tmp_path / "a_3.png") as image:
        assert np.asarray(image)[79, 0, 0] == 2


def test_the_second_crop_of_one_image_is_not_the_first_of_another(tmp_path):
    pairs = [(frame("a.jpg"), make(3)), (frame("a_3.jpg"), make(1))]
    files = write(tmp_path, *pairs, crops=True)
    assert files == ["crops/ant/a_2.jpg", "crops/bee/a_1.jpg", "crops/bee/a_3.jpg", "crops/bee/a_3_1.jpg"]


@pytest.mark.parametrize("hw", [(48, 64), (49, 65)])
@pytest.mark.parametrize("fps", [12.5, 29.97, 30 / 7, 0.5])
def test_video(tmp_path, hw, fps):
    video = Video("video.avi", fps, 5)
    pairs = [(frame("video.avi", video, i), make(0, hw=hw, level=40 * i)) for i in range(5)]
    assert write(tmp_path, *pairs, images=True) == ["video.mp4"]
    frames, written_fps = read_video(tmp_path / "video.mp4")
    assert frames.shape == (5, hw[0] // 2 * 2, hw[1] // 2 * 2, 3)  # MPEG-4 has colors in blocks of 2 x 2
    assert written_fps == pytest.approx(fps, abs=0.01)
    np.testing.assert_allclose(frames.mean((1, 2, 3)), [0, 40, 80, 120, 160], atol=4)


def test_two_videos_of_one_name_are_two_files(tmp_path):
    videos = [Video("a.avi", 10, 2), Video("a.mp4", 10, 3)]
    pairs = [(frame(v.name, v, i), make(0)) for v in videos for i in range(v.frames)]
    assert write(tmp_path, *pairs, (frame("a.jpg"), make(0)), images=True) == [
        "a-2.jpg",
        "a.mp4",
        "a_2.mp4",
    ]
    assert [len(read_video(tmp_path / name)[0]) for name in ("a.mp4", "a_2.mp4")] == [2, 3]


def test_a_video_whose_frames_change_size_keeps_the_first(tmp_path):
    video = Video("video.avi", 10, 2)
    pairs = [(frame("video.avi", video, i), make(0, hw=hw)) for i, hw in enumerate([(48, 64), (64, 48)])]
    write(tmp_path, *pairs, images=True)
    assert read_video(tmp_path / "video.mp4")[0].shape == (2, 48, 64, 3)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_stops_half_way_leaves_whole_files(tmp_path, failure):
    video = Video("video.avi", 10, 100)

    def run():
        with ResultWriter(OutputOptions(tmp_path, csv=True)) as writer:
            for index in range(3):
                writer.write(frame("video.avi", video, index), make(1))
            raise failure

    with pytest.raises(failure):
        run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictions.csv", "video.mp4"]
    assert len(read_video(tmp_path / "video.mp4")[0]) == 3
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 4


def test_while_a_video_is_written_the_last_one_stays(tmp_path):
    video = Video("video.avi", 10, 2)
    (tmp_path / "video.mp4").write_bytes(b"of an earlier run")
    with ResultWriter(OutputOptions(tmp_path)) as writer:
        writer.write(frame("video.avi", video), make(0))
        assert (tmp_path / "video.mp4").read_bytes() == b"of an earlier run"
    assert len(read_video(tmp_path / "video.mp4")[0]) == 1


def test_a_video_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2.VideoWriter, "fourcc", lambda *_: cv2.VideoWriter_fourcc(*"none"))
    with pytest.raises(TfyoloError, match=r"video\.mp4: cannot write a video of 100x80 pixels"):
        write(tmp_path, (frame("video.avi", Video("video.avi", 10, 2)), make(0)), images=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "labels").write_text("a file")
    with pytest.raises(TfyoloError, match=r"labels/a\.txt: cannot be written"):
        write(tmp_path, (frame(), make()), txt=True)


def test_no_two_sources_write_one_file(tmp_path):
    """A frame of a video is `clip_1`, and so are other things."""
    clip, other, live = Video("clip.mp4", 10, 3), Video("CLIP.avi", 10, 2), Video("clip_0.mp4", 10, None)
    sources = [frame("clip_1.jpg")]
    sources += [frame("clip.mp4", clip, index) for index in range(3)]
    sources += [frame(name) for name in ("clip.jpg", "Clip.png", "clip_2.jpg", "clip_7.jpg", "clip_2_1.jpg")]
    sources += [frame("CLIP.avi", other, index) for index in range(2)]
    sources += [frame("clip_0.mp4", live, 0), frame("cafe\u0301.jpg"), frame("caf\u00e9.jpg")]
    sources += [frame("clip_07.jpg"), frame("clip_x.jpg")]
    pairs = [(source, make(2)) for source in sources]
    files = write(tmp_path, *pairs, images=True, txt=True, crops=True)
    folded = [name.casefold() for name in files]
    assert len(set(folded)) == len(files)
    assert len([name for name in files if name.startswith("labels/")]) == len(sources)
    assert len([name for name in files if name.startswith("crops/")]) == 2 * len(sources)
    videos = {"clip.mp4", "CLIP.avi", "clip_0.mp4"}
    images = sum(not source.video for source in sources)
    assert len([name for name in files if "/" not in name]) == images + len(videos)


@pytest.mark.parametrize("seed", range(5))
def test_names_of_any_sources_in_any_order(seed):
    """What sources write, said apart from how names are chosen."""
    rng = np.random.default_rng(seed)
    stems = ["a", "A", "a_1", "a_1_1", "a_2", "a-2", "b", "b_0", "a_01", "a_1_2", "x" * 300, "x" * 290]
    names, written = Names(), []
    for _ in range(60):
        stem, video = stems[rng.integers(len(stems))], bool(rng.integers(2))
        found = names.take(stem, video)
        assert len(found.encode()) < 200
        frames = [f"{found}_{index}" for index in range(12)] if video else [found]
        written += [f"{found}.mp4" if video else f"{found}.jpg"]
        written += [f"labels/{one}.txt" for one in frames]
        written += [f"crops/{one}_{number}.jpg" for one in frames for number in (1, 2, 3)]
    assert len({name.casefold() for name in written}) == len(written)


@pytest.mark.parametrize("stem", ["x" * 250, "é" * 125, "犬" * 83, "a\udcff" * 120])
def test_long_names_are_cut(tmp_path, stem):
    assert 170 < len(shortened(stem).encode("utf-8", "surrogateescape")) <= 180
    files = write(tmp_path, (frame(f"{stem}.jpg"), make(1)), images=True, txt=True, crops=True, csv=True)
    assert len(files) == 4


def test_classes_of_one_folder_name_have_two(tmp_path):
    result = make(2, ("a/b", "a_b"))
    assert write(tmp_path, (frame(), result), crops=True) == ["crops/a_b/a_2.jpg", "crops/a_b_2/a_1.jpg"]
    assert folder_names(("cat", "CAT", "cat")) == ["cat", "CAT_2", "cat_3"]


def test_names_that_are_not_utf8_stand_in_the_table(tmp_path):
    write(tmp_path, (frame("b\udcff.jpg"), make(1)), (frame("c.jpg"), make(1)), csv=True)
    rows = (tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["Image Name", "b\\udcff.jpg", "c.jpg"]


def test_a_box_without_pixels_cannot_be_cut_out(tmp_path):
    result = Result(np.float32([[60, 20, 20, 60]]), np.float32([0.5]), np.array([0]), NAMES, make().image)
    with pytest.raises(BadOutputError, match="box 1 contains no pixels"):
        write(tmp_path, (frame(), result), crops=True)
