"""`tfyolo web`: a real server on a free port, a page of four files."""

import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
import zipfile
from urllib.request import urlopen

import pytest

from tfyolo import web
from tfyolo.cli.main import main
from tfyolo.models import Contract, load_spec
from tfyolo.web import HEADERS, Server, Site

CONTRACT = Contract.of(load_spec("yolov5n", classes=2), ["cat", "dog"], (320, 416))
TYPES = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "assets/run.wasm": "application/wasm",
    "assets/style.css": "text/css; charset=utf-8",
    "app.webmanifest": "application/manifest+json",
    "models/cells.tflite": "application/octet-stream",
    "models/cells.json": "application/json",
    "LICENSE": "application/octet-stream",
    "empty.txt": "text/plain; charset=utf-8",
}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A built page; beside it lie files that must not be served."""
    folder = tmp_path / "page"
    for name in TYPES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"" if name == "empty.txt" else f"<{name}>".encode())
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "out").symlink_to(tmp_path)
    (folder / "circle").symlink_to("circle")
    (folder / "inner.txt").symlink_to("LICENSE")
    monkeypatch.setattr(web, "PAGE", folder)
    return folder


@pytest.fixture
def tflite(tmp_path):
    """What the command looks at in a file: its mark, and the contract in the archive at its end."""
    return write_tflite(tmp_path / "my models" / "cats #1.tflite")


@pytest.fixture
def folder(tmp_path):
    """A TF.js folder of one tensor, and files beside it that the page has no use for."""
    path = tmp_path / "cats_web_model"
    path.mkdir()
    weights = [{"name": "w", "shape": [2], "dtype": "float32"}]
    model = {
        "userDefinedMetadata": {"tfyolo": json.loads(CONTRACT.to_json())},
        "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": weights}],
    }
    (path / "model.json").write_text(json.dumps(model))
    (path / "group1-shard1of1.bin").write_bytes(bytes(8))
    (path / "page.html").write_text("<script>")
    (path / ".hidden").write_text("secret")
    (path / "deep").mkdir()
    (path / "deep" / "file").write_text("secret")
    (path / "link").symlink_to("/etc/hostname")
    return path


@pytest.fixture
def serve():
    """A function that serves a site in a thread and returns the server."""
    servers = []

    def start(*site, host="127.0.0.1"):
        server = Server(Site(*site), host, 0)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def write_tflite(path, mark=b"TFL3", **export):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(4) + mark)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tfyolo.json", CONTRACT.model_copy(update={"export": export}).to_json())
    return path


def ask(server, target, method="GET", **headers):
    """Status, headers and body; the target goes out as it stands."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def run(*words):
    """Exit code of the command, which must end by itself."""
    return main(["web", "--no-open", "--port", "0", *map(str, words)])


@pytest.mark.parametrize("name", TYPES)
def test_files_of_the_page(serve, page, name):
    status, headers, body = ask(server := serve(page), f"/{name}?v=1")
    assert (status, body) == (200, (page / name).read_bytes())
    assert headers["Content-Type"] == TYPES[name]
    assert headers["Content-Length"] == str(len(body))
    assert HEADERS.items() <= dict(headers).items()
    status, same, body = ask(server, f"/{name}", "HEAD")
    assert (status, body) == (200, b"")
    for field in ("Content-Type", "Content-Length", "ETag"):
        assert same[field] == headers[field]


def test_the_root_is_the_page_and_links_within_it_work(serve, page):
    server = serve(page)
    assert ask(server, "/")[2] == ask(server, "/?model=model/a.tflite")[2] == b"<index.html>"
    assert ask(server, "/inner.txt")[2] == b"<LICENSE>"


def test_an_unchanged_file_is_not_sent_again(serve, page):
    server = serve(page)
    tag = ask(server, "/app.js")[1]["ETag"]
    status, headers, body = ask(server, "/app.js", **{"If-None-Match": f'"other", {tag}'})
    assert (status, body, headers["ETag"]) == (304, b"", tag)
    assert HEADERS.items() <= dict(headers).items()
    (page / "app.js").write_text("changed")
    assert ask(server, "/app.js", **{"If-None-Match": tag})[2] == b"changed"


def test_several_files_over_one_connection(serve, page):
    connection = http.client.HTTPConnection("127.0.0.1", serve(page).server_port, timeout=10)
    connection.connect()
    mine = connection.sock
    for method, name in (("GET", "app.js"), ("HEAD", "app.js"), ("GET", "empty.txt"), ("GET", "LICENSE")):
        connection.request(method, f"/{name}")
        assert connection.getresponse().read() == (b"" if method == "HEAD" else (page / name).read_bytes())
        assert connection.sock is mine
    connection.close()


@pytest.mark.parametrize(
    "target",
    [
        "/absent", "/assets", "/assets/", "/assets//style.css", "/../secret.txt", "/assets/../../secret.txt",
        "/%2e%2e/secret.txt", "/%2E%2E%2Fsecret.txt", "/..%2fsecret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
        "/%252e%252e/secret.txt", "/..\\secret.txt", "/%5c..%5csecret.txt", "/..%5csecret.txt", "/./app.js",
        "/app.js%00", "/app.js%00.txt", "/%ff", "/" + "a" * 5000, "/link.txt", "/out/secret.txt", "/out",
        "/circle", "//etc/hostname", "/%2fetc/hostname", "/%2f%2fetc%2fhostname", "etc/hostname", "*",
        "http://127.0.0.1/app.js", "/C:/Windows/win.ini", "/app.js/", "/app.js/x", "/model", "/model/",
        "/model/model.json", "/\xff",
    ],
)  # fmt: skip
def test_nothing_else_is_served(serve, page, target):
    server = serve(page)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"secret" not in answer.split(b"\r\n\r\n", 1)[1]
    assert all(f"\r\n{name}: {value}\r\n".encode() in answer for name, value in HEADERS.items())


def test_a_tflite_file(serve, page, tflite, tmp_path):
    (tflite.parent / "other.tflite").write_text("secret")
    server = serve(page, tflite)
    status, headers, body = ask(server, "/model/cats%20%231.tflite")
    assert (status, body) == (200, tflite.read_bytes())
    assert headers["Content-Type"] == "application/octet-stream"
    for target in ("other.tflite", "", "../secret.txt", "cats%20%231.tflite/", "%2e%2e/secret.txt"):
        assert ask(server, f"/model/{target}")[0] == 404
    link = tmp_path / "link.tflite"
    link.symlink_to(tflite)  # the user's own doing
    assert ask(serve(page, link), "/model/link.tflite")[2] == tflite.read_bytes()
    tflite.unlink()
    assert ask(server, "/model/cats%20%231.tflite")[0] == 404


def test_a_folder(serve, page, folder):
    server = serve(page, folder)
    assert ask(server, "/model/model.json")[1]["Content-Type"] == "application/json"
    assert ask(server, "/model/group1-shard1of1.bin")[2] == bytes(8)
    assert ask(server, "/model/page.html")[1]["Content-Type"] == "application/octet-stream"
    for target in ("", ".hidden", "deep/file", "deep", "link", "..", "absent"):
        assert ask(server, f"/model/{target}")[0] == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1234", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:80@evil.example", 403),
        ("192.168.0.1", 403),
        ("", 403),
    ],
)
def test_hosts(serve, page, host, status):
    found, headers, body = ask(serve(page), "/app.js", Host=host)
    assert found == status
    assert (body == b"<app.js>") is (status == 200)
    assert HEADERS.items() <= dict(headers).items()


@pytest.mark.parametrize("hosts", ["", "Host: localhost\r\nHost: evil.example\r\n"])
def test_one_host_is_needed(serve, page, hosts):
    with socket.create_connection(("127.0.0.1", serve(page).server_port), timeout=10) as raw:
        raw.sendall(f"GET / HTTP/1.1\r\n{hosts}\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 403 ")


def test_a_host_of_ones_own(serve, page):
    name = socket.gethostname()
    try:
        server = serve(page, host=name)
    except web.TfyoloError:
        if os.environ.get("CI"):
            raise
        pytest.skip("this machine does not know its own name")
    with urlopen(server.url) as response:
        assert response.read() == b"<index.html>"


def test_every_address(serve, page):
    server = serve(page, host="0.0.0.0")
    assert not server.local
    assert server.url == f"http://localhost:{server.server_port}/"
    assert ask(server, "/", Host="evil.example")[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_get_and_head(serve, page, method):
    status, headers, _ = ask(serve(page), "/app.js", method)
    assert (status, headers["Allow"], headers["Connection"]) == (405, "GET, HEAD", "close")
    assert HEADERS.items() <= dict(headers).items()
    assert ask(serve(page), "/app.js", "TRACE")[0] == 501


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_is_no_second_request(serve, page, method):
    body = b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serve(page).server_port), timeout=10) as raw:
        raw.sendall(f"{method} /LICENSE HTTP/1.1\r\nHost: localhost\r\n".encode())
        raw.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        try:
            while part := raw.recv(65536):
                answer += part
        except ConnectionResetError:  # what was not read is thrown away with the connection
            pass
    assert b"<app.js>" not in answer


def test_a_browser_that_goes_away_is_no_news(serve, page, capsys):
    (page / "app.js").write_bytes(bytes(30_000_000))
    server = serve(page)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
        raw.sendall(b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        raw.recv(10)
    assert ask(server, "/LICENSE")[0] == 200
    assert capsys.readouterr() == ("", "")


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


@pytest.mark.parametrize("name", ["a.pt", "a.keras"])
def test_models_that_are_not_exported(page, name, capsys):
    assert run("--weights", name) == 2
    assert f"`tfyolo export --weights {name} --include tflite tfjs`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("absent", "cannot be read: No such file"),
        ("truncated", "is damaged or no tfyolo model"),
        ("no contract", "holds no tfyolo.json"),
        ("a .keras by another name", "is no TensorFlow Lite file"),
        ("Edge TPU", "which browsers do not have"),
        ("SavedModel", "--include tflite tfjs"),
        ("another folder", "holds no model.json"),
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
    assert err.endswith("is no address of this machine\n  fix: pass --host 127.0.0.1\n")
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
