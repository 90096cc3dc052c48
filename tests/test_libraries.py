"""Optional libraries: what brings them, and commands without them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfyolo.cli.main import main
from tfyolo.errors import MissingExtraError
from tfyolo.export.registry import FORMATS
from tfyolo.libraries import LIBRARIES, _fewest, require

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def brought_by(extra):
    """Packages of an extra, with those of the extras that it names."""
    found = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        if own := re.fullmatch(r"tfyolo\[(.*)\]", requirement):
            found = found.union(*(brought_by(name) for name in own[1].split(",")))
        else:
            found.add(re.split(r"[<>=;\s]", requirement)[0])
    return found


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.module)
def test_extras_bring_what_the_table_says(library):
    assert (library.package or library.module) in brought_by(library.extra)


def test_one_extra_is_named_where_it_includes_the_others():
    everything = _fewest(list(LIBRARIES))
    for extra in {library.extra for library in LIBRARIES} - set(everything):
        assert any(brought_by(extra) <= brought_by(other) for other in everything), extra
    assert "tensorflow" not in everything


def test_all_extra_brings_all_that_a_cpu_of_any_kind_can_use():
    assert {entry.extra for entry in LIBRARIES} - {"torch", "tensorrt"} == {
        entry.extra for entry in LIBRARIES if (entry.package or entry.module) in brought_by("all")
    }


def test_formats_name_libraries_of_the_table():
    known = {library.module for library in LIBRARIES}
    for entry in FORMATS:
        assert set(entry.writes_with) | set(entry.runs_with) <= known, entry.name


def test_installed_libraries_are_not_missed():
    require("tensorflow", "keras", "matplotlib")


def test_missing_libraries_are_named_with_one_command(monkeypatch):
    for module in ("tensorflow", "keras", "sklearn"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        require("tensorflow", "keras", "matplotlib", "sklearn")
    assert str(caught.value) == (
        "tensorflow, keras and scikit-learn are not installed\n  fix: pip install 'tfyolo[tensorflow]'"
    )


@pytest.mark.parametrize(
    "words", [["demo"], ["train", "--data", "missing.yaml"], ["convert", "a.pt", "b.keras"]]
)
def test_a_command_misses_libraries_before_it_looks_at_its_inputs(monkeypatch, capsys, words, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "keras", None)
    assert main(words) == 2
    assert (
        capsys.readouterr().err == "error: keras is not installed\n  fix: pip install 'tfyolo[tensorflow]'\n"
    )
    assert not list(tmp_path.iterdir())


def test_export_misses_libraries_before_weights_are_loaded(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    weights = tmp_path / "x.keras"
    weights.write_bytes(b"never read")
    assert main(["export", "--weights", str(weights), "--include", "tflite", "onnx"]) == 2
    assert "tf2onnx is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("matplotlib", ["benchmark", "--weights", "x.tflite", "--chart", "chart.png"]),
        ("matplotlib", ["quant-debug", "--weights", "x.keras", "--data", "x.yaml"]),
        ("matplotlib", ["export", "--weights", "x.keras", "--int8", "--float-budget", "15%"]),
        ("matplotlib", ["quantize", "--weights", "x.keras", "--data", "x.yaml", "--float-budget", "15%"]),
        ("tf2onnx", ["benchmark", "--weights", "x.keras", "--include", "tflite", "onnx"]),
    ],
)
def test_what_a_result_needs_is_missed_before_the_work(monkeypatch, capsys, tmp_path, missing, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.keras").write_bytes(b"never read")
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(words) == 2
    assert f"{missing} is not installed" in capsys.readouterr().err


def test_all_that_several_formats_lack_is_named_at_once(monkeypatch, capsys):
    for module in ("openvino", "torch"):
        monkeypatch.setitem(sys.modules, module, None)
    assert main(["export", "--weights", "x.keras", "--include", "openvino", "torchscript"]) == 2
    message = capsys.readouterr().err
    assert "openvino and torch are not installed" in message
    assert "pip install 'tfyolo[openvino,torch]'" in message


def test_the_python_api_names_what_is_missing(tmp_path):
    """Without TensorFlow each public name works, or is refused with the command that installs it."""
    absent = {library.module for library in LIBRARIES}
    code = f"""if True:
        import sys
        sys.modules |= dict.fromkeys({absent!r})
        import tfyolo
        refused = set()
        for name in tfyolo.__all__:
            try:
                getattr(tfyolo, name)
            except tfyolo.TfyoloError as error:
                assert error.fix == "pip install 'tfyolo[tensorflow]'", (name, error)
                refused.add(name)
        for call in (lambda: tfyolo.create("yolov5n"), lambda: tfyolo.backbone("bccd-n")):
            try:
                call()
            except tfyolo.TfyoloError as error:
                print(error.fix)
        print(sorted(refused & {{"TrainingData", "train", "quantize", "load", "Result", "Detector"}}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    command = "pip install 'tfyolo[tensorflow]'"
    assert done.stdout.splitlines() == [command, command, "['TrainingData', 'quantize', 'train']"], (
        done.stderr
    )


BASE_COMMANDS = r"""
import sys
sys.modules |= dict.fromkeys(ABSENT)
from tfyolo.cli.main import main
from tfyolo.assets import DEFAULT_MODEL, MINI_DATA
images = str(MINI_DATA.parent / "images/test/BloodImage_00007.jpg")
codes = [main([str(w) for w in words]) for words in (
    ["detect", "--weights", TFLITE, "--source", images],
    ["val", "--weights", TFLITE, "--data", MINI_DATA, "--task", "test"],
    ["inspect", TFLITE], ["inspect", DEFAULT_MODEL], ["summary", DEFAULT_MODEL],
    ["crops", "--data", MINI_DATA, "--out", "crops"],
    ["convert-dataset", "--data", MINI_DATA, "--to", "coco", "--output", "coco"],
    ["detect", "--weights", DEFAULT_MODEL, "--source", images],
    ["autoanchor", "--data", MINI_DATA],
)]
print(codes)
"""


def test_what_a_base_install_does(export, tmp_path):
    """Nothing of the table is imported where it is not needed; where it is needed, one line says so."""
    absent = {library.module for library in LIBRARIES}
    code = BASE_COMMANDS.replace("ABSENT", repr(absent)).replace("TFLITE", repr(str(export("tflite"))))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == [0, 0, 0, 0, 0, 0, 0, 2, 2], done.stderr
    assert "no plots, since matplotlib is not installed: pip install 'tfyolo[plots]'" in done.stderr
    assert "tensorflow and keras are not installed\n  fix: pip install 'tfyolo[tensorflow]'" in done.stderr
    assert "scikit-learn is not installed\n  fix: pip install 'tfyolo[anchors]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_pytorch_does_not_import_triton():
    """Its library and TensorFlow 2.21's end a process that has both."""
    code = "from tfyolo.libraries import keep_triton_out; keep_triton_out(); import sys, torch._dynamo; "
    code += "assert torch.jit.trace(torch.nn.Identity(), torch.zeros(1))(torch.ones(1)) == 1; "
    code += "print([name for name, module in sys.modules.items() if name.startswith('triton') and module])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
