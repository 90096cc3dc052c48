"""The page and the models that the tests of `tfyolo web` serve, and how they ask for them."""

import http.client
import zipfile

from tfyolo.models import Contract, load_spec

CONTRACT = Contract.of(load_spec("yolov5n", num_classes=2), ["cat", "dog"], (320, 416))
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


def write_tflite(path, mark=b"TFL3", contract=CONTRACT, **export):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(4) + mark)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tfyolo.json", contract.model_copy(update={"export": export}).to_json())
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
