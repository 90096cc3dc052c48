"""A real server on a free port, a page of a few files, and models."""

import json
import threading

import pytest

from tests.web.site import CONTRACT, TYPES, write_tflite
from tfyolo import web
from tfyolo.web import Server, Site


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
