"""`tfyolo web` by its command line."""

import os
import queue
import signal
import subprocess
import sys
import webbrowser
import zipfile
from urllib.request import urlopen

import pytest

from tests.web.site import write_tflite
from tfyolo.cli.main import main
from tfyolo.models import Contract, load_spec
from tfyolo.web import Server, Site, check_model


def run(*words):
    """Exit code of the command, which must end by itself."""
    return main(["web", "--no-open", "--port", "0", *map(str, words)])


def test_the_command_serves_opens_and_ends(page, tflite, monkeypatch, capsys):
    opened = queue.Queue()
    monkeypatch.setattr(webbrowser, "open", opened.put)

    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", stop)
    words = ["--conf-thres", "0.4", "--iou", "0.50", "--engine", "a&b"]
    assert main(["web", "--weights", str(tflite), "--port", "0", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"serving {tflite} (2 classes, 320x416 pixels)"
    assert lines[1].startswith("http://127.0.0.1:")
    assert lines[1].endswith("/?model=model/cats%2520%25231.tflite&conf=0.4&iou=0.5&engine=a%26b")
    assert lines[2] == "press Ctrl+C to stop"
    assert opened.get(timeout=10) == lines[1]


def test_without_a_model_the_page_has_its_own(page, monkeypatch, capsys):
    monkeypatch.setattr(Server, "serve_forever", lambda self: None)
    monkeypatch.setattr(webbrowser, "open", None)
    assert run() == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "serving the page with its own model"
    assert out[1].endswith("/")


def test_a_folder_is_named_by_its_model_json(page, folder):
    assert Site(page, folder).query() == "?model=model/model.json"


def test_other_machines_are_told_of(page, monkeypatch, capsys):
    monkeypatch.setattr(Server, "serve_forever", lambda self: None)
    assert run("--host", "0.0.0.0") == 0
    assert "others on the network" in capsys.readouterr().err


@pytest.mark.parametrize(("config", "task"), [("yolov5n-cls", "classify"), ("yolov5n-seg", "segment")])
def test_the_page_runs_models_of_every_task(page, tmp_path, config, task):
    contract = Contract.of(load_spec(config, num_classes=2), ["cat", "dog"], (64, 64))
    assert check_model(write_tflite(tmp_path / "a.tflite", contract=contract)).task == task


@pytest.mark.parametrize("name", ["a.pt", "a.keras"])
def test_models_that_are_not_exported(page, name, capsys):
    assert run("--weights", name) == 2
    assert f"`tfyolo export --weights {name} --include tflite tfjs`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("absent", "does not exist"),
        ("truncated", "is damaged or not a tfyolo model"),
        ("no contract", "contains no tfyolo.json"),
        ("a .keras by another name", "is not a TensorFlow Lite file"),
        ("Edge TPU", "which browsers do not have"),
        ("SavedModel", "--include tflite tfjs"),
        ("another folder", "contains no model.json"),
        ("missing weights", "group1-shard1of1.bin is missing"),
    ],
)
def test_wrong_models_are_one_sentence(page, tflite, folder, damage, message, capsys, tmp_path):
    path = tflite
    if damage == "absent":
        tflite.unlink()
    elif damage == "truncated":
        tflite.write_bytes(tflite.read_bytes()[:-30])
    elif damage == "no contract":
        with zipfile.ZipFile(tflite, "w") as archive:
            archive.writestr("labels.txt", "cat")
    elif damage == "a .keras by another name":
        write_tflite(tflite, b"PK34")
    elif damage == "Edge TPU":
        write_tflite(tflite, format="edgetpu")
    else:
        path = folder
        if damage == "SavedModel":
            (folder / "saved_model.pb").touch()
        elif damage == "another folder":
            (folder / "model.json").unlink()
        else:
            (folder / "group1-shard1of1.bin").unlink()
    assert run("--weights", path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {path}")
    assert message in err


def test_a_page_that_is_not_built(page, capsys):
    (page / "index.html").unlink()
    assert run() == 2
    assert "`make web`" in capsys.readouterr().err


def test_a_port_in_use(serve, page, capsys):
    port = serve(page).server_port
    assert run("--port", port) == 2
    err = capsys.readouterr().err
    assert err == f"error: port {port} of 127.0.0.1 is in use\n  fix: pass another --port, or 0 for any\n"


@pytest.mark.parametrize("host", ["", "no such host", "192.0.2.1", "a" * 70, "\x1b[2J"])
def test_hosts_of_other_machines(page, host, capsys):
    assert run("--host", host) == 2
    err = capsys.readouterr().err
    assert err.endswith("is not an address of this machine\n  fix: pass --host 127.0.0.1\n")
    assert "\x1b" not in err


@pytest.mark.parametrize("port", ["65536", "-1", "x"])
def test_ports_that_are_none(port, capsys):
    with pytest.raises(SystemExit):
        main(["web", "--port", port])
    assert capsys.readouterr().err.startswith("error: argument --port")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_it_quietly_and_tensorflow_is_not_imported(page, tflite):
    code = f"""
import signal, sys, pathlib
signal.signal(signal.SIGINT, signal.default_int_handler)    # ignored where tests run in the background
from tfyolo import web
from tfyolo.cli.main import main
web.PAGE = pathlib.Path({str(page)!r})
code = main(["web", "--no-open", "--port", "0", "--weights", {str(tflite)!r}])
print(sorted({{"tensorflow", "keras"}} & set(sys.modules)))
sys.exit(code)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        _, url, last = (process.stdout.readline().strip() for _ in range(3))
        with urlopen(url, timeout=10) as response:
            assert response.read() == b"<index.html>"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, last, out, err) == (0, "press Ctrl+C to stop", "[]\n", "")
