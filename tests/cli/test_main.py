import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tfyolo.cli.main import COMMANDS, main
from tfyolo.errors import TfyoloError
from tfyolo.quiet import hide_import_notes
from tfyolo.version import __version__

HEAVY = {"tensorflow", "keras", "cv2", "numpy", "matplotlib", "pandas", "supervision", "ai_edge_litert"}


def run_python(code, *, cwd, **environment):
    environment = {**os.environ, "PYTHONPATH": str(cwd), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def exit_code(*words):
    """What the process would exit with."""
    try:
        return main([str(word) for word in words])
    except SystemExit as error:
        return error.code


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_overview_names_every_command(capsys, words):
    assert exit_code(*words) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out and text in out for name, text in COMMANDS.items())
    assert "example: tfyolo detect" in out
    assert "exit codes: 0 success, 1 some inputs skipped and listed, 2 " in out
    assert max(map(len, out.splitlines())) <= 80


def test_version(capsys):
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"tfyolo {__version__}\n"


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_the_installed_command_starts_with_few_modules(flag):
    """Few imports are what makes it start in milliseconds, on a busy machine as on an idle one."""
    script = Path(sys.executable).with_name("tfyolo")
    command = [str(script)] if script.exists() else ["-m", "tfyolo"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command, flag], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("tfyolo")
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line]
    assert all(line.startswith("import time:") for line in done.stderr.splitlines())
    assert not HEAVY & {name.partition(".")[0] for name in imported}
    assert len(imported) < 150


def test_help_of_all_commands_imports_nothing_heavy(tmp_path):
    code = f"""
import sys
from tfyolo.cli.main import COMMANDS, main
for words in [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]:
    try:
        main(words)
    except SystemExit:
        pass
print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)
"""
    code, _, err = run_python(code, cwd=tmp_path)
    assert (code, err) == (0, "[]\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(capsys, name):
    assert exit_code(name, "--help") == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: tfyolo {name} ")
    examples = out.partition("\nexamples:")[2]
    assert f"\n  tfyolo {name}" in examples
    assert err == ""


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("detcet", "did you mean `detect`?"),
        ("exprot", "did you mean `export`?"),
        ("xyz", "use one of detect, train, "),
    ],
)
def test_an_unknown_command_suggests(capsys, word, hint):
    assert exit_code(word) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: unknown command `{word}`; {hint}")
    assert err.count("\n") == 1


DETECT = ("detect", "--weights", "a.pt", "--source", "b.jpg")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((*DETECT, "--conf-thres", "-0.1"), "-0.1 is not a number between 0 and 1"),
        ((*DETECT, "--conf-thres", "1.01"), "1.01 is not a number between 0 and 1"),
        ((*DETECT, "--iou-thres", "nan"), "nan is not a number between 0 and 1"),
        ((*DETECT, "--iou-thres", "x"), "x is not a number between 0 and 1"),
        ((*DETECT, "--max-det", "0"), "0 is not a whole number of at least 1"),
        ((*DETECT, "--vid-stride", "1.5"), "1.5 is not a whole number of at least 1"),
        ((*DETECT, "--classes", "cat"), "invalid int value: 'cat'"),
        ((*DETECT, "--device", "gpu"), "gpu is neither `cpu` nor the index of a GPU"),
        ((*DETECT, "--img", "big"), "invalid int value: 'big'"),
        ((*DETECT, "--save-text"), "unrecognized arguments: --save-text"),
        ((*DETECT, "--confi", "0.5"), "unrecognized arguments: --confi 0.5"),
        ((*DETECT, "a\nb\x1b[2J"), ""),
        (DETECT[:3], "the following arguments are required: --source"),
        (("val", "--weights", "a.pt", "--data", "b.yaml", "--task", "x"), "invalid choice: 'x'"),
        (("export", "--weights", "a.pt", "--nms", "x"), "invalid choice: 'x'"),
    ],
)
def test_a_wrong_flag_is_one_line_and_exit_code_2(capsys, words, reason):
    if not reason:  # an unknown flag with control characters
        words, reason = (*words[:-1], "--" + words[-1]), r"unrecognized arguments: --a\nb\x1b[2J"
    assert exit_code(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith(f"(see `tfyolo {words[0]} --help`)\n")
    assert err.count("\n") == 1
    assert reason in err


@pytest.mark.parametrize(
    ("raised", "code", "err"),
    [
        (
            TfyoloError("is\x1b[1m wrong", path="a\nb", fix="mend it"),
            2,
            "error: a\nb: is\\x1b[1m wrong\n  fix: mend it\n",
        ),
        (
            OSError(28, "No space left on device", "x.jpg"),
            2,
            "error: x.jpg: cannot be written: No space left on device\n"
            "  fix: free some space on that disk, or choose another folder\n",
        ),
        (OSError(5, "Input/output error", b"x.jpg"), 2, "error: x.jpg: Input/output error\n"),
        (OSError("no reason"), 2, "error: no reason\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_what_a_command_raises(capsys, monkeypatch, raised, code, err):
    def run(arguments):
        raise raised

    monkeypatch.setattr("tfyolo.cli.summary.run", run)
    assert exit_code("summary") == code
    assert capsys.readouterr().err == err


def test_a_bug_keeps_its_traceback(monkeypatch):
    def run(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("tfyolo.cli.summary.run", run)
    with pytest.raises(ZeroDivisionError):
        main(["summary"])


def test_another_keras_backend_gets_one_sentence(monkeypatch):
    import keras

    from tfyolo.models.build import import_keras

    assert import_keras() is keras
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(
        TfyoloError, match=r"`jax` backend, but tfyolo needs TensorFlow\n.*KERAS_BACKEND=tensorflow"
    ):
        import_keras()


FAKE = "import os\nos.write(2, b'E0000 a note\\n')\n"
# The notes come from TensorFlow's C++ library as it is loaded; without the rest that takes half a second.
LIBRARY = f"""
import ctypes, pathlib
folder = pathlib.Path({find_spec("tensorflow").submodule_search_locations[0]!r})
for name in ("framework", "cc"):
    for path in folder.glob("libtensorflow_" + name + ".so*"):
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
"""
IMPORT = """
import os
from tfyolo.quiet import hide_import_notes
hide_import_notes()
import tensorflow
os.write(2, b"after\\n")
print(tensorflow.__spec__.name, os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else "")
"""


@pytest.mark.parametrize(
    ("source", "level", "code", "notes"),
    [
        (FAKE, "3", 0, "after\n"),
        (FAKE, "0", 0, "E0000 a note\nafter\n"),
        (FAKE + "raise ImportError('broken')\n", "3", 1, "E0000 a note\nTraceback"),
        (LIBRARY, "3", 0, "after\n"),
    ],
    ids=["hidden", "asked for", "shown when the import fails", "those of its own library"],
)
def test_notes_of_tensorflow(tmp_path, source, level, code, notes):
    (tmp_path / "tensorflow.py").write_text(source)
    done, _, err = run_python(IMPORT, cwd=tmp_path, TF_CPP_MIN_LOG_LEVEL=level)
    assert (done, err[: len(notes)]) == (code, notes)
    assert err == notes or code


def test_without_stderr_tensorflow_is_imported_all_the_same(tmp_path):
    (tmp_path / "tensorflow.py").write_text("x = 1")
    code, out, _ = run_python(
        "import os\nos.close(2)" + IMPORT.replace('os.write(2, b"after\\n")', ""), cwd=tmp_path
    )
    assert (code, out[:10]) == (0, "tensorflow")


def test_hiding_changes_nothing_where_notes_are_asked_for(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    before = list(sys.meta_path)
    hide_import_notes()
    assert sys.meta_path == before


def test_notes_are_hidden_though_someone_has_asked_for_tensorflow(tmp_path):
    (tmp_path / "tensorflow.py").write_text(FAKE)
    question = "import importlib.util\nimportlib.util.find_spec('tensorflow')\n"
    asked = IMPORT.replace("import tensorflow\n", f"{question}import tensorflow\n")
    assert run_python(asked, cwd=tmp_path, TF_CPP_MIN_LOG_LEVEL="3")[::2] == (0, "after\n")


OVERLAPPING = """
import os
from tfyolo.quiet import hidden_stderr
first, second = hidden_stderr(), hidden_stderr()
first.__enter__()
second.__enter__()
os.write(2, b"hidden\\n")
first.__exit__(None, None, None)
os.write(2, b"hidden, too\\n")
second.__exit__(*END)
os.write(2, b"after\\n")
"""


@pytest.mark.parametrize(
    ("end", "err"),
    [
        ("(None, None, None)", "after\n"),
        ("(ValueError, ValueError(), None)", "hidden\nhidden, too\nafter\n"),
    ],
)
def test_stderr_is_shown_again_when_the_last_thread_is_done(tmp_path, end, err):
    code = OVERLAPPING.replace(
        "second.__exit__(*END)", f"try:\n    second.__exit__(*{end})\nexcept ValueError:\n    pass"
    )
    assert run_python(code, cwd=tmp_path)[::2] == (0, err)
