"""Command lines written for YOLOv5 v7.0: each flag is an option, has no effect and says so, or is refused."""

import argparse
from pathlib import Path

import pytest

from tests.cli.test_main import exit_code
from tfyolo.cli.main import COMMANDS
from tfyolo.cli.yolov5_flags import FLAGS, SECOND, VALUES
from tfyolo.errors import TfyoloError
from tfyolo.models import load_spec

YOLOV5 = {
    "train": "weights cfg data hyp epochs batch-size batch imgsz img img-size rect resume nosave noval "
    "noautoanchor noplots evolve bucket cache image-weights device multi-scale single-cls optimizer sync-bn "
    "workers project name exist-ok quad cos-lr label-smoothing patience freeze save-period seed local_rank "
    "entity upload_dataset bbox_interval artifact_alias",
    "val": "data weights batch-size imgsz img img-size conf-thres conf iou-thres iou max-det task device "
    "workers single-cls augment verbose save-txt save-hybrid save-conf save-json project name exist-ok half "
    "dnn",
    "detect": "weights source data imgsz img img-size conf-thres conf iou-thres iou max-det device view-img "
    "save-txt save-csv save-conf save-crop nosave classes agnostic-nms augment visualize update project name "
    "exist-ok line-thickness hide-labels hide-conf half dnn vid-stride",
    "export": "data weights imgsz img img-size batch-size device half inplace keras optimize int8 dynamic "
    "simplify opset verbose workspace nms agnostic-nms topk-per-class topk-all iou-thres conf-thres include",
    "benchmark": "weights imgsz img img-size batch-size data device half test pt-only hard-fail",
    "classify train": "model data epochs batch-size batch imgsz img img-size nosave cache device workers "
    "project name exist-ok pretrained optimizer lr0 decay label-smoothing cutoff dropout verbose seed "
    "local_rank",
    "classify val": "data weights batch-size imgsz img img-size device workers verbose half dnn project name "
    "exist-ok",
    "classify predict": "weights source data imgsz img img-size device view-img save-txt nosave augment "
    "visualize update project name exist-ok half dnn vid-stride",
    "segment predict": "weights source data imgsz img img-size conf-thres conf iou-thres iou max-det device "
    "view-img save-txt save-conf save-crop nosave classes agnostic-nms augment visualize update project name "
    "exist-ok line-thickness hide-labels hide-conf half dnn vid-stride retina-masks",
    "segment train": "weights cfg data hyp epochs batch-size batch imgsz img img-size rect resume nosave "
    "noval noautoanchor noplots evolve bucket cache image-weights device multi-scale single-cls optimizer "
    "sync-bn workers project name exist-ok quad cos-lr label-smoothing patience freeze save-period seed "
    "local_rank mask-ratio no-overlap",
    "segment val": "data weights batch-size imgsz img img-size conf-thres conf iou-thres iou max-det task "
    "device workers single-cls augment verbose save-txt save-hybrid save-conf save-json project name "
    "exist-ok half dnn",
}
"""Flags by the command that stands for their script, with the abbreviations that YOLOv5's texts use."""
REQUIRED = {
    "train": ["--data", "a.yaml"],
    "val": ["--weights", "a.pt", "--data", "a.yaml"],
    "detect": ["--weights", "a.pt", "--source", "a.jpg"],
    "export": ["--weights", "a.pt"],
    "benchmark": ["--weights", "a.pt"],
    "classify train": ["--data", "a"],
    "classify val": ["--weights", "a.pt", "--data", "a"],
    "classify predict": ["--weights", "a.pt", "--source", "a.jpg"],
    "segment predict": ["--weights", "a.pt", "--source", "a.jpg"],
    "segment train": ["--data", "a.yaml"],
    "segment val": ["--weights", "a.pt", "--data", "a.yaml"],
}
PAIRS = [(flag, command) for flag in FLAGS for command in flag.commands]


@pytest.fixture
def given(monkeypatch):
    """Run a command whose work is replaced; gives the exit code and the arguments that it got, if any."""
    found = []

    def run(command, *words):
        monkeypatch.setattr(f"tfyolo.cli.{command.split()[0]}.run", found.append)
        code = exit_code(*command.split(), *REQUIRED[command], *words)
        return code, found[-1] if found else None

    return run


def parsers(monkeypatch, command):
    """The parser of a command, as `main` makes it."""
    made = []

    def parse_args(self, words):
        made.append(self)
        raise TfyoloError("stop")

    monkeypatch.setattr("tfyolo.cli.parser.Parser.parse_args", parse_args)
    exit_code(command.split()[0])
    parser = made[0]
    for part in command.split()[1:]:
        actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = next(actions).choices[part]
    return parser


@pytest.mark.parametrize("command", YOLOV5)
def test_every_flag_of_yolov5_is_known(monkeypatch, command):
    known = parsers(monkeypatch, command)._option_string_actions
    assert [flag for flag in YOLOV5[command].split() if f"--{flag}" not in known] == []


def test_the_table_holds_flags_of_yolov5_only():
    assert [(flag.name, name) for flag, name in PAIRS if flag.name[2:] not in YOLOV5[name].split()] == []
    assert {command for _, command in PAIRS} <= {*YOLOV5}
    assert {command.split()[0] for command in YOLOV5} <= {*COMMANDS}


@pytest.mark.parametrize(("flag", "command"), PAIRS, ids=[f"{c} {f.name}" for f, c in PAIRS])
def test_a_flag_is_taken_with_a_note_or_refused_with_a_remedy(given, capsys, flag, command):
    words = [flag.name, *(["9"] if flag.takes_value else [])]
    code, arguments = given(command, *words, *words)
    out, err = capsys.readouterr()
    assert out == ""
    if flag.fix:
        assert (code, arguments) == (2, None)
        assert err == f"error: {flag.name} is not supported: {flag.reason}\n  fix: {flag.fix}\n"
    else:
        assert code == 0
        assert err == f"note: {flag.name} has no effect: {flag.reason}\n"  # once


@pytest.mark.parametrize(
    ("flag", "command"), [pair for pair in PAIRS if pair[0].default], ids=lambda x: getattr(x, "name", x)
)
def test_the_default_of_a_refused_flag_is_taken(given, flag, command):
    assert given(command, flag.name, flag.default)[0] == 0


@pytest.mark.parametrize("entry", VALUES, ids=lambda entry: f"{entry.flag} {entry.value}")
@pytest.mark.parametrize("joined", [False, True])
def test_values(given, capsys, entry, joined):
    if entry.value == SECOND:
        words = [entry.flag, "a.pt", "b.pt"]
    else:
        words = [f"{entry.flag}={entry.value}"] if joined else [entry.flag, entry.value]
    for command in entry.commands:
        code, arguments = given(command, *words)
        if entry.means is None:
            assert (code, arguments) == (2, None)
            shown = "b.pt" if entry.value == SECOND else entry.value
            assert (
                capsys.readouterr().err
                == f"error: {entry.flag} {shown}: {entry.reason}\n  fix: {entry.fix}\n"
            )
        else:
            assert code == 0
            assert getattr(arguments, entry.flag[2:]) == entry.means


def test_help_lists_none_of_them_but_typos_find_them(given, capsys):
    assert given("train", "--help")[0] == 0
    assert "--workers" not in capsys.readouterr().out
    assert given("train", "--wokers", "8")[0] == 2
    assert "did you mean `--workers` instead of `--wokers`?" in capsys.readouterr().err


def test_qat_and_flags_without_effect(given):
    assert given("train", "--qat", "--workers", "8")[0] == 0


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("yolov5s.yaml", "yolov5s"),
        ("models/yolov5n.yaml", "yolov5n"),
        ("./models/yolov5n.yaml", "yolov5n"),
        ("models/hub/yolov5s-ghost.yaml", "yolov5s-ghost"),
    ],
)
def test_a_model_yaml_of_yolov5_is_the_shipped_model(tmp_path, monkeypatch, path, name):
    monkeypatch.chdir(tmp_path)
    assert load_spec(path) == load_spec(name)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("mine/yolov5s.yaml", r"mine/yolov5s\.yaml: does not exist"),
        ("models/yolov5z.yaml", r"models/yolov5z\.yaml: does not exist"),
        ("yolov5s.yaml.yaml", r"unknown model `yolov5s\.yaml\.yaml`\n  fix: yolov5s or "),
    ],
)
def test_any_other_yaml_has_to_exist(tmp_path, monkeypatch, path, refusal):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TfyoloError, match=refusal):
        load_spec(path)


def test_a_file_wins_over_the_shipped_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = Path(__file__).parents[1] / "tiny.yaml"
    Path("yolov5s.yaml").write_text(tiny.read_text())
    assert load_spec("yolov5s.yaml").layers == load_spec(tiny).layers


@pytest.mark.parametrize(
    ("formats", "fix"),
    [
        ("onnx", "pass --dynamic-batch for ONNX files with any batch size; --img sets the image size"),
        ("saved_model", "leave it out; --img sets the image size"),
    ],
)
def test_dynamic_sizes_are_refused(capsys, formats, fix):
    assert exit_code("export", "--weights", "a.pt", "--include", formats, "--dynamic") == 2
    err = capsys.readouterr().err
    assert " does not support --dynamic: files have a fixed image size" in err
    assert err.endswith(f"\n  fix: {fix}\n")


def test_the_docs_list_them():
    page = (Path(__file__).parents[2] / "docs/guides/from-yolov5.md").read_text()
    rows = [f"| `{f.name}` | {', '.join(f.commands)} | {f.reason} | {f.fix} |" for f in FLAGS]
    assert [row for row in rows if row not in page] == []
