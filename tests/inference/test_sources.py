import os
import shutil
import threading

import cv2
import numpy as np
import pytest

from tests.inference.videos import make_video, serve
from tfyolo.data.images.read import UNSUPPORTED_SUFFIXES
from tfyolo.errors import TfyoloError
from tfyolo.inference.sources import open_sources
from tfyolo.inference.video_end import ends_early, is_cut


def save(path, level, hw=(8, 12)):
    """A gray image that is recognized by its level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*hw, 3), level, np.uint8))
    return path


def levels(frames):
    """(name, mean level) of every frame."""
    return [(frame.name, None if frame.image is None else round(frame.image.mean())) for frame in frames]


def test_no_sources():
    frames = open_sources([])
    assert frames.total == 0
    assert list(frames) == []


def test_a_image_is_rgb(tmp_path):
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), np.tile(np.uint8([[[0, 0, 255]]]), (8, 12, 1)))
    (frame,) = open_sources([str(path)])
    assert (frame.name, frame.path, frame.video, frame.problem) == ("red.png", str(path), None, "")
    assert frame.image.shape == (8, 12, 3)
    assert (frame.image == [255, 0, 0]).all()


def test_a_folder_is_sorted_and_other_files_are_left_out(tmp_path):
    save(tmp_path / "b.png", 20), save(tmp_path / "a.JPG", 10), save(tmp_path / "c.BMP", 30)
    (tmp_path / "notes.txt").write_text("a.JPG")
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "folder.jpg").mkdir()
    save(tmp_path / "below" / "d.png", 40)
    frames = open_sources([str(tmp_path)])
    assert frames.total == 3
    assert levels(frames) == [("a.JPG", 10), ("b.png", 20), ("c.BMP", 30)]


def test_broken_links_and_pipes_in_a_folder_are_problems(tmp_path):
    save(tmp_path / "a.png", 10), os.mkfifo(tmp_path / "b.png"), (tmp_path / "c.mp4").symlink_to("nowhere")
    whole, pipe, link = open_sources([str(tmp_path)])
    assert whole.problem == ""
    assert "is a pipe" in pipe.problem
    assert "no such image" in link.problem


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["a.png", "b.png"]),
        ("?.png", ["a.png", "b.png"]),
        ("[b-z].png", ["b.png"]),
        ("**/*.png", ["a.png", "b.png", "c.png"]),
        ("*/*.png", ["c.png"]),
        ("*", ["a.png", "b.png"]),
    ],
)
def test_globs(tmp_path, pattern, names):
    save(tmp_path / "b.png", 20), save(tmp_path / "a.png", 10), save(tmp_path / "below" / "c.png", 30)
    assert [frame.name for frame in open_sources([str(tmp_path / pattern)])] == names


@pytest.mark.parametrize("name", ["[1].jpg", "what?.png", "a*b.png", "7", "with space.jpg", "ünï.png"])
def test_odd_names_that_exist(tmp_path, monkeypatch, name):
    shutil.move(save(tmp_path / "plain.png", 50), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert levels(open_sources([name])) == [(name, 50)]


def test_several_sources_come_in_their_order(tmp_path):
    paths = [save(tmp_path / "b.png", 20), save(tmp_path / "a.png", 10)]
    frames = open_sources([str(p) for p in paths])
    assert frames.total == 2
    assert levels(frames) == [("b.png", 20), ("a.png", 10)]
    assert levels(frames) == [("b.png", 20), ("a.png", 10)]  # and may be looked at twice


def test_a_list(tmp_path, monkeypatch):
    save(tmp_path / "lists" / "beside.png", 10)
    save(tmp_path / "here.png", 20)
    absolute = save(tmp_path / "far" / "absolute.png", 30)
    listing = tmp_path / "lists" / "all.txt"
    lines = ["\ufeff# mine", "", "  beside.png  ", "here.png", "missing.png", str(absolute), "x" * 5000, "\0"]
    listing.write_text("\r\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    frames = list(open_sources(["lists/all.txt"]))
    expected = [("beside.png", 10), ("here.png", 20), ("missing.png", None), ("absolute.png", 30)]
    assert levels(frames)[:4] == expected
    assert [frame.path for frame in frames if frame.problem] == [f"lists/all.txt:{n}" for n in (5, 7, 8)]
    assert frames[2].problem == "missing.png: no such image, folder, video or list"


def test_a_list_that_names_itself_ends(tmp_path):
    listing = tmp_path / "loop.txt"
    listing.write_text("loop.txt\n")
    (frame,) = open_sources([str(listing)])
    assert frame.problem == "is not a readable image"


def test_a_list_of_folders_and_globs(tmp_path):
    save(tmp_path / "a" / "1.png", 10), save(tmp_path / "b" / "2.png", 20)
    (tmp_path / "all.txt").write_text(f"a\n{tmp_path}/b/*.png\n")
    assert levels(open_sources([str(tmp_path / "all.txt")])) == [("1.png", 10), ("2.png", 20)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty (zero bytes)"),
        (b"not an image", "is not a readable image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", None),
    ],
)
def test_an_unreadable_image_is_a_frame_with_a_problem(tmp_path, content, problem):
    bad, good = tmp_path / "bad.jpg", save(tmp_path / "good.jpg", 90)
    bad.write_bytes(content)
    first, second = open_sources([str(tmp_path)])
    assert first.image is None
    assert first.path == str(bad)
    assert first.problem == (problem or first.problem) != ""
    assert (second.path, second.problem) == (str(good), "")


def test_a_truncated_image_is_a_problem(tmp_path):
    path = save(tmp_path / "cut.jpg", 90, (100, 100))
    path.write_bytes(path.read_bytes()[:-100])
    (frame,) = open_sources([str(path)])
    assert frame.problem == "is truncated: the file ends before the image does"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.jpg", "no such image"),
        ("missing/", "no such image"),
        ("", "--source is empty"),
        ("empty", "contains no images or videos"),
        ("*.png", "contains no images or videos"),
        ("list.txt", "does not list any images"),
        ("bad.mp4", "cannot be opened as a video"),
        ("x" * 5000, "cannot be opened: File name too long"),
        ("97", "97: cannot be opened as a video"),
        ("rtsp://user:secret@127.0.0.1:1/", "rtsp://127.0.0.1:1/: cannot be opened as a video"),
        ("http://[", "cannot be opened: Invalid IPv6 URL"),
        ("http://127.0.0.1:99999/a.jpg", "cannot be opened: Port out of range 0-65535"),
        ("http://127.0.0.1:x/a.jpg", "cannot be opened: Port could not be cast"),
        ("rtsp://127.0.0.1:-1/", "cannot be opened: Port "),
        ("99999999999999999999", "99999999999999999999: no such webcam"),
        ("2147483648", "no such webcam"),
        ("9" * 100, "^9{20}: no such webcam"),
        ("-1", "-1: no such webcam"),
        ("+0100", "no such webcam"),
        ("screen", "screen capture is not supported"),
    ],
)
def test_sources_that_cannot_be_opened(tmp_path, monkeypatch, capfd, source, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("# nothing\n\n")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(TfyoloError, match=message) as caught:
        open_sources([source])
    assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""  # nothing of OpenCV's and FFmpeg's own


@pytest.mark.parametrize(("codec", "suffix"), [("MJPG", ".avi"), ("mp4v", ".MP4")])
@pytest.mark.parametrize(("stride", "indices"), [(1, range(7)), (3, (0, 3, 6)), (100, (0,))])
def test_a_video(tmp_path, codec, suffix, stride, indices):
    path = make_video(tmp_path / f"video{suffix}", frames=7, fps=10, codec=codec)
    frames = open_sources([str(path)], stride)
    seen = list(frames)
    assert frames.total == len(seen) == len(indices)
    assert [frame.index for frame in seen] == list(indices)
    np.testing.assert_allclose([frame.image.mean() for frame in seen], [20 * i for i in indices], atol=4)
    assert seen[0].video.name == path.name
    assert seen[0].video.fps == pytest.approx(10 / stride)
    assert seen[0].video.frames == len(indices)
    assert all(frame.video is seen[0].video for frame in seen)


def test_a_damaged_video_in_a_folder_is_a_problem_and_the_others_come(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    make_video(tmp_path / "b.avi", frames=2)
    save(tmp_path / "c.png", 70)
    frames = open_sources([str(tmp_path)])
    assert frames.total == 4
    assert [(f.name, f.problem) for f in frames] == [
        ("a.mp4", "cannot be opened as a video"),
        ("b.avi", ""),
        ("b.avi", ""),
        ("c.png", ""),
    ]


def test_a_video_that_is_cut_off_gives_the_frames_it_has(tmp_path):
    path = make_video(tmp_path / "video.avi", frames=12, hw=(240, 320))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    *frames, last = open_sources([str(path)])
    assert 0 < len(frames) < 12
    assert all(frame.image is not None for frame in frames)
    assert (last.image, last.problem) == (None, f"ends after {len(frames)} frames, but its header says 12")


@pytest.mark.parametrize(("codec", "suffix"), [("MJPG", ".avi"), ("mp4v", ".mp4"), ("MJPG", ".mkv")])
@pytest.mark.parametrize("stride", [1, 3])
def test_a_video_that_is_cut_by_a_little_is_told(tmp_path, codec, suffix, stride):
    path = make_video(tmp_path / f"video{suffix}", frames=40, hw=(240, 320), codec=codec)
    whole = path.read_bytes()
    assert [frame.problem for frame in open_sources([str(path)], stride) if frame.problem] == []
    assert not is_cut(path)
    if suffix == ".mp4":  # its index comes last: to be cut and still open, it has to come first
        whole = index_first(whole)
    path.write_bytes(whole[: -len(whole) // 12])
    frames = list(open_sources([str(path)], stride))
    assert [frame.problem for frame in frames[:-1] if "ends" in frame.problem] == []
    assert frames[-1].problem.endswith("frames, but its header says 40")


def index_first(data):
    """An MP4 whose `moov` precedes its `mdat`, its offsets changed."""
    at = data.index(b"moov") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    moov, rest = bytearray(data[at : at + size]), data[:at] + data[at + size :]
    table = moov.index(b"stco") + 8
    for place in range(table + 4, table + 4 + 4 * int.from_bytes(moov[table : table + 4], "big"), 4):
        moov[place : place + 4] = (int.from_bytes(moov[place : place + 4], "big") + size).to_bytes(4, "big")
    start = int.from_bytes(rest[:4], "big")
    return rest[:start] + bytes(moov) + rest[start:]


@pytest.mark.parametrize(
    ("frames", "wanted", "end_ms", "early"),
    [
        (300, 300, 9967, False),
        (290, 300, 9630, False),
        (200, 300, 6630, True),
        (150, 300, 9967, False),
        (5, 0, 100, False),
        (310, 300, 1, False),
    ],
)
def test_where_headers_only_estimate_a_tenth_may_be_missing(frames, wanted, end_ms, early):
    assert ends_early("https://example.org/video.webm", frames, wanted, end_ms, 10_000) is early


def test_kinds_that_are_not_read_are_told(tmp_path):
    save(tmp_path / "a.png", 10)
    for name in ("b.HEIC", "c.webm", "d.avif", "notes.txt", "data.json", "more.json", "none", ".hidden"):
        (tmp_path / name).write_bytes(b"something")
    frames = open_sources([str(tmp_path)])
    assert frames.total == 4
    assert [(frame.name, frame.problem.partition(";")[0]) for frame in frames] == [
        ("a.png", ""),
        ("b.HEIC", "unsupported file type .heic"),
        ("c.webm", "unsupported file type .webm"),
        ("d.avif", "unsupported file type .avif"),
    ]
    assert frames.notes == (
        f"note: other files in {tmp_path} are ignored: 2 .json, 1 .txt, 1 without extension",
    )
    assert open_sources([str(tmp_path / "a.png")]).notes == ()
    (tmp_path / "a.png").unlink()
    with pytest.raises(TfyoloError, match=r"of a supported type, but \.avif, \.heic, \.webm"):
        open_sources([str(tmp_path)])


def test_all_unsupported_suffixes_are_told(tmp_path):
    for suffix in UNSUPPORTED_SUFFIXES:
        (tmp_path / f"a{suffix}").write_bytes(b"something")
    save(tmp_path / "b.png", 10)
    problems = [frame.problem.partition(";")[0] for frame in open_sources([str(tmp_path)])]
    assert problems == [*(f"unsupported file type {x}" for x in sorted(UNSUPPORTED_SUFFIXES)), ""]
    assert {".dcm", ".jpe", ".mts"} <= UNSUPPORTED_SUFFIXES


def test_a_live_stream_ends_with_its_last_frame():
    def jpeg(level):
        data = cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()
        return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)

    kind = "multipart/x-mixed-replace; boundary=frame"
    with serve({"/live": (kind, [jpeg(10 * i) for i in range(12)])}) as address:
        frames = open_sources([f"{address}/live"])
        assert frames.total is None
        seen = list(frames)
    assert 1 <= len(seen) <= 12
    assert [frame.index for frame in seen] == sorted({frame.index for frame in seen})
    for frame in seen:
        assert frame.image.mean() == pytest.approx(10 * frame.index, abs=3)
        assert frame.video.frames is None
        assert frame.name.startswith("http___127_0_0_1_")
        assert frame.name.endswith("_live.mp4")


def test_a_live_stream_is_looked_at_while_it_runs():
    data = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
    left, ended = threading.Event(), threading.Event()

    def chunks():
        yield from [part] * 50
        left.wait(20)
        ended.set()

    with serve({"/live": ("multipart/x-mixed-replace; boundary=frame", chunks())}) as address:
        iterator = iter(open_sources([f"{address}/live"]))
        assert next(iterator).image.shape == (48, 64, 3)
        assert not ended.is_set()
        left.set()
        iterator.close()  # joins the thread that reads


def test_images_and_videos_over_http(tmp_path):
    image = save(tmp_path / "a.png", 70).read_bytes()
    video = make_video(tmp_path / "video.avi", frames=4).read_bytes()
    pages = {"/a.png": ("image/png", [image]), "/video.avi": ("video/avi", [video]), "/b.jpg": ("", [b"x"])}
    with serve(pages) as address:
        names = ("a.png?size=1.5", "b.jpg", "missing.png", "video.avi")
        frames = list(open_sources([f"{address}/{name}" for name in names]))
    assert [frame.name for frame in frames] == ["a.png", "b.jpg", "missing.png"] + ["video.avi"] * 4
    assert frames[0].image.mean() == 70
    assert frames[1].problem == "is not a readable image"
    assert frames[2].problem == "cannot be fetched: HTTP Error 404: Not Found"
    assert [round(frame.image.mean(), -1) for frame in frames[3:]] == [0, 20, 40, 60]


def test_a_server_that_is_down_is_a_problem():
    (frame,) = open_sources(["http://user:secret@127.0.0.1:1/a.jpg"])
    assert frame.problem.startswith("cannot be fetched: ")
    assert frame.path == "http://127.0.0.1:1/a.jpg"


def test_a_list_of_another_machine_is_refused_after_its_first_sources(tmp_path, image):
    names = [f"/data/of/another/machine/{number}.jpg" for number in range(1500)]
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(names))
    with pytest.raises(TfyoloError, match="none of the first 1000 sources can be opened, such as /data/of"):
        open_sources([str(listed)])
    listed.write_text("\n".join([image.name, *names]))
    assert open_sources([str(listed)]).total == 1501
