"""Every command under conditions of a hostile shell: streams, encodings, wrong flags and wrong paths.

A driver imports the command once and forks for each call, which then ends as a process of its own would.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tfyolo.cli.main import COMMANDS
from tfyolo.data.synthetic import create_shapes_dataset

DRIVER = """
import json, os, sys
import cv2, numpy, PIL.Image, pydantic, rich.console, yaml
from tfyolo.cli.main import entry

out, jobs = json.load(sys.stdin)
answers = []
for words in jobs:
    (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(err_w, 2)
        if out == "closed":
            os.close(1)
            sys.stdout = sys.__stdout__ = None
        elif out == "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        elif out == "gone":
            os.close(out_r)
            os.dup2(out_w, 1)
        else:
            os.dup2(out_w, 1)
        if out == "stderr full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
        for descriptor in (out_w, err_r, err_w, *([] if out == "gone" else [out_r])):
            os.close(descriptor)
        sys.argv = ["tfyolo", *(os.fsdecode(word.encode()) for word in words)]
        entry()
    os.close(out_w)
    os.close(err_w)
    if out == "gone":
        os.close(out_r)
        text = b""
    else:
        text = open(out_r, "rb").read()
    error = open(err_r, "rb").read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    answers.append((code, text.decode(errors="replace"), error.decode(errors="replace")))
json.dump(answers, sys.stdout)
"""


def sweep(jobs, folder, out="", **environment):
    """Exit code, stdout and stderr of each call, in a folder."""
    with tempfile.TemporaryDirectory() as fake:
        return _sweep(jobs, folder, out, {**environment, "PYTHONPATH": _without_tensorflow(Path(fake))})


def _without_tensorflow(folder):
    """A path on which TensorFlow ends the process: it is not needed, and its import takes seconds."""
    (folder / "tensorflow.py").write_text("raise SystemExit('TensorFlow is imported')")
    return str(folder)


def _sweep(jobs, folder, out, environment):
    environment = {**os.environ, "COLUMNS": "200", "TFYOLO_CACHE": str(folder / "cache"), **environment}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([out, jobs]).encode(),
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    answers = json.loads(done.stdout)
    for words, (_, _, err) in zip(jobs, answers, strict=True):
        assert "Traceback" not in err, (words, err)
        assert "Exception ignored" not in err, (words, err)
    return answers


HELP = [
    ["--help"],
    [],
    ["--version"],
    *([name, "--help"] for name in COMMANDS),
    ["classify", "train", "--help"],
]
PLACE = "ein Ordner 😀"
"""A space and a character that ASCII lacks."""


def given(weights, data, source="x.jpg"):
    """A call of every command with these paths."""
    return [
        ["detect", "--weights", weights, "--source", source],
        ["train", "--data", data],
        ["autoanchor", "--data", data],
        ["val", "--weights", weights, "--data", data],
        ["classify", "train", "--data", data],
        ["classify", "val", "--weights", weights, "--data", data],
        ["classify", "predict", "--weights", weights, "--source", source],
        ["segment", "predict", "--weights", weights, "--source", source],
        ["crops", "--data", data, "--out", f"{PLACE}/crops"],
        ["export", "--weights", weights],
        ["web", "--no-open", "--weights", weights],
        ["quantize", "--weights", weights, "--data", data],
        ["quant-debug", "--weights", weights, "--data", data],
        ["convert-dataset", "--data", data, "--to", "yolo", "--output", f"{PLACE}/converted"],
        ["convert", weights, "to.keras"],
        ["inspect", weights],
        ["summary", weights],
        ["benchmark", "--weights", weights, "--data", data],
    ]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / PLACE).mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def working(tmp_path_factory):
    """A folder with a dataset in PLACE, and calls that succeed without TensorFlow."""
    folder = tmp_path_factory.mktemp("working")
    create_shapes_dataset(folder / PLACE / "data", train=4, val=2, image_size=32)
    data = f"{PLACE}/data/shapes.yaml"
    return folder, [
        ["summary", "yolov5n"],
        ["summary", "yolov5n", "--diagram", f"{PLACE}/network.md"],
        ["autoanchor", "--data", data, "--img", "32", "--gen", "3", "--output", f"{PLACE}/anchors.yaml"],
        ["convert-dataset", "--data", data, "--to", "voc", "--output", f"{PLACE}/voc", "--exist-ok"],
    ]


def test_all_commands_are_swept():
    assert {words[0] for words in given("", "")} == set(COMMANDS) - {"demo", "profile"}  # these take no paths


@pytest.mark.parametrize(
    ("out", "code", "error"),
    [
        ("closed", 0, ""),
        ("gone", 0, ""),
        ("full", 2, "error: standard output: No space left on device\n"),
        ("stderr full", 0, ""),
    ],
)
def test_stdout_that_takes_nothing(working, out, code, error):
    folder, jobs = working
    for words, (found, _, err) in zip([*HELP, *jobs], sweep([*HELP, *jobs], folder, out), strict=True):
        assert (found, err) == (code, error), words
    written = {"network.md", "anchors.yaml", "voc"}
    assert written <= {path.name for path in (folder / PLACE).iterdir()}  # the work is done all the same


def test_stderr_that_takes_nothing(folder):
    assert [code for code, _, _ in sweep(given("no.pt", "no.yaml", "no.jpg"), folder, "stderr full")] == [
        2
    ] * 18


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_the_terminal_lacks(working, encoding):
    folder, jobs = working
    for words, (code, out, err) in zip(jobs, sweep(jobs, folder, PYTHONIOENCODING=encoding), strict=True):
        assert (code, err) == (0, ""), words
        if PLACE in words[-1]:
            assert (PLACE if encoding == "utf-8" else "ein Ordner \\U0001f600") in out


def test_a_locale_without_unicode(working):
    folder, jobs = working
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words, (code, _, err) in zip(jobs, sweep(jobs, folder, **plain), strict=True):
        assert (code, err) == (0, ""), words
    missing = f"{PLACE}/no.yaml"
    for code, _, err in sweep(given(f"{PLACE}/no.keras", missing, missing), folder, **plain):
        assert (code, err[:7]) == (2, "error: ")


def test_unknown_flags_are_named_with_what_was_meant(folder):
    jobs = [[*words, "--halp"] for words in [*given("a.pt", "a.yaml"), ["demo"], ["profile", "C3"]]]
    for code, out, err in sweep(jobs, folder):
        assert (code, out) == (2, "")
        assert err.startswith(
            "error: unrecognized arguments: --halp; did you mean `--help` instead of `--halp`? ("
        )
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["val", "--wieghts", "a.pt", "--data", "b"], "did you mean `--weights` instead of `--wieghts`?"),
        (["detect", "--source", "-a.jpg"], "write `--source=-a.jpg` if that is its value"),
        (["val", "-weights", "a.pt", "--data", "b"], "did you mean `--weights` instead of `-weights`?"),
        (
            ["detect", "--source", "a", "--conf_thres=0.1"],
            "did you mean `--conf-thres` instead of `--conf_thres`?",
        ),
        (["detect", "--source", "a", "--SAVE-TXT"], "did you mean `--save-txt` instead of `--SAVE-TXT`?"),
        (
            ["classify", "val", "--wieghts", "a", "--data", "b"],
            "did you mean `--weights` instead of `--wieghts`?",
        ),
        (["classify", "trian"], "did you mean `train`?"),
        (["export", "--weights", "a", "--nms", "postproces"], "did you mean `postprocess`?"),
        (["convert-dataset", "--data", "a", "--output", "b", "--to", "COCO"], "did you mean `coco`?"),
        (["--hlep"], "did you mean `--help`?"),
    ],
)
def test_what_was_meant(capsys, words, hint):
    from tests.cli.test_main import exit_code

    assert exit_code(*words) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["detect", "--source", "a", "--qqqqqqqq", "-1"], ["classify", "train", "--data", "a", "--hyp", "b"]],
)
def test_nothing_is_suggested_where_nothing_is_alike(capsys, words):
    from tests.cli.test_main import exit_code

    assert exit_code(*words) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_missing_files_are_named(folder):
    weights, data, source = (f"{PLACE}/missing.{suffix}" for suffix in ("keras", "yaml", "jpg"))
    for words, (code, out, err) in zip(
        given(weights, data, source), sweep(given(weights, data, source), folder), strict=True
    ):
        assert (code, out) == (2, ""), words
        assert err.startswith("error: "), words
        assert f"{PLACE}/missing." in err or words[0] == "web", words
    assert sorted(path.name for path in folder.rglob("*") if path.name != "cache") == [PLACE]


def test_folders_in_the_place_of_files(folder):
    for name in ("w.keras", "d.yaml", "s.jpg"):
        (folder / PLACE / name).mkdir()
    jobs = given(*(f"{PLACE}/{name}" for name in ("w.keras", "d.yaml", "s.jpg")))
    for words, (code, out, err) in zip(jobs, sweep(jobs, folder), strict=True):
        assert (code, out) == (2, ""), words
        assert err.startswith("error: "), words


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_closed_stream_is_not_the_next_file(tmp_path, stream):
    """A descriptor that is free is given to the next file: what is printed would go into it."""
    command = f"{sys.executable} -m tfyolo summary yolov5n --diagram network.md {stream}>&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "network.md").read_text().startswith("# yolov5n\n")


def test_next_commands_can_be_pasted(capsys):
    import shlex

    from tfyolo.cli.next_command import print_next

    print_next("tfyolo", "detect", "--weights", Path("my runs/it's.keras"), "--img", 320, note="a note")
    line = capsys.readouterr().out
    words = shlex.split(line.removeprefix("next: "), comments=True)
    assert words == ["tfyolo", "detect", "--weights", "my runs/it's.keras", "--img", "320"]
