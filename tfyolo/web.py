"""The server of `tfyolo web`: the built page of web_demo/ and one model, for this machine only.

Other websites must not read the model through the user's browser, and no URL may name another file: responses
are restricted to the same origin, and only requests with a host name of this machine are answered.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import socketserver
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

from tfyolo.errors import TfyoloError
from tfyolo.export.tfjs.entry import MODEL_FILE
from tfyolo.export.tfjs.vetting import read_folder
from tfyolo.files import suffix_of
from tfyolo.host_names import EVERY_ADDRESS, answers_to
from tfyolo.inputs import MODEL, open_input
from tfyolo.models.contract import Contract
from tfyolo.weights.keras_file import read_contract

PAGE = Path(__file__).with_name("web_page")
"""Where web_demo/ is built to."""

HEADERS = {
    # The first three isolate the page, without which browsers give WebAssembly no threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""On every response, errors included."""

# mimetypes would ask the machine, and Windows may call .js plain text.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_BINARY = "application/octet-stream"
_MODEL = "model"
"""First part of the addresses of the user's model."""


def find_page() -> Path:
    """Return the folder of the built page.

    Raises:
        TfyoloError: it has not been built.
    """
    if (PAGE / "index.html").is_file():
        return PAGE
    raise TfyoloError(
        "the web page is not built", fix="run `make web` in tfyolo's repository; it needs Node 20.19 or newer"
    )


def check_model(path: Path) -> Contract:
    """Return the contract of a model that the page can run: a `.tflite` file or a TF.js folder.

    Raises:
        TfyoloError: it is damaged, of another format, or not written by tfyolo.
    """
    if path.is_dir() and not (path / "saved_model.pb").exists():
        return read_folder(path)
    if suffix_of(path) != ".tflite":
        mine = f" --weights {path}" if suffix_of(path) in (".pt", ".pth", ".keras") else ""
        raise TfyoloError(
            "is neither a .tflite file nor a TF.js folder, which browsers can run",
            path=path,
            fix=f"write them with `tfyolo export{mine} --include tflite tfjs`",
        )
    contract = read_contract(path)
    with open_input(path, MODEL) as file:
        if file.read(8)[4:] != b"TFL3":
            raise TfyoloError("is not a TensorFlow Lite file", path=path, fix="export it again")
    if contract.export.get("format") == "edgetpu":
        raise TfyoloError(
            "is compiled for an Edge TPU, which browsers do not have",
            path=path,
            fix="pass the file that `tfyolo export --include tflite` writes",
        )
    return contract


@dataclass(frozen=True)
class Site:
    """The served files: `/` is the page, `/model/` the user's model.

    Attributes:
        page: folder of the built page.
        model: a `.tflite` file or a TF.js folder; None to use the page's own model.
        start: result of `query`, which requests of the page without a model in the URL are redirected to.
    """

    page: Path
    model: Path | None = None
    start: str = ""

    def query(self, conf: float | None = None, iou: float | None = None, engine: str | None = None) -> str:
        """Return the query of the URL that starts the page with this model and these settings.

        Args:
            conf: confidence threshold in 0..1; None for the page's default.
            iou: IoU threshold in 0..1; None for the page's default.
            engine: ID of the page's engine that runs the model; None to choose automatically.

        Returns:
            Query that begins with `?`, or "" without a model and settings.

        Example:
            >>> Site(Path("dist"), Path("out/best 2.tflite")).query(conf=0.4)
            '?model=model/best%25202.tflite&conf=0.4'
        """
        values: dict[str, object] = {}
        if self.model is not None:
            name = MODEL_FILE if self.model.is_dir() else self.model.name
            # The page takes it for an address, in which a space or # is written so.
            values["model"] = f"{_MODEL}/{quote(os.fsencode(name))}"
        values |= {"conf": conf, "iou": iou, "engine": engine}
        given = {key: value for key, value in values.items() if value is not None}
        return "?" + urlencode(given, safe="/", quote_via=quote) if given else ""

    def sent_on(self, target: str) -> str | None:
        """Return the redirect for a visit of the page without a model in its URL; None for others.

        Example:
            >>> site = Site(Path("dist"), Path("a.tflite"), "?model=model/a.tflite&conf=0.4")
            >>> site.sent_on("/"), site.sent_on("/?conf=0.5"), site.sent_on("/?model=x")
            ('/?model=model/a.tflite&conf=0.4', '/?conf=0.5&model=model/a.tflite', None)
        """
        path, _, query = target.partition("?")
        if self.model is None or path not in ("/", "/index.html"):
            return None
        given = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        missing = [part for part in self.start[1:].split("&") if part and part.partition("=")[0] not in given]
        if "model" in given or not missing:
            return None
        # What the browser sent goes back into a header.
        kept = [quote(query, safe="=&%/+")] if query else []
        return f"{path}?{'&'.join([*kept, *missing])}"

    def find(self, target: str) -> tuple[Path, str] | None:
        """Return the file of a request and its MIME type; None if it does not exist or is not served."""
        if not target.startswith("/"):
            return None
        try:
            text = os.fsdecode(unquote_to_bytes(target[1:].split("?")[0].encode("latin-1")))
        except UnicodeError:
            return None
        parts = (text or "index.html").split("/")
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            return None
        if self.model is not None and parts[0] == _MODEL:
            path = self._of_model(self.model, parts[1:])
            # A model is untrusted: it is never served as a document or a script.
            kind = _TYPES[".json"] if parts[-1].endswith(".json") else _BINARY
        else:
            path = _inside(self.page, parts)
            kind = _TYPES.get(suffix_of(parts[-1]), _BINARY)
        return (path, kind) if path is not None else None

    @staticmethod
    def _of_model(model: Path, parts: list[str]) -> Path | None:
        if len(parts) != 1 or parts[0].startswith("."):
            return None
        if model.is_dir():
            return _inside(model, parts)
        return model if parts[0] == model.name and model.is_file() else None


def _inside(root: Path, parts: list[str]) -> Path | None:
    """Return a file inside `root`; None for links that lead out of it."""
    try:
        path = root.joinpath(*parts).resolve(strict=True)
        return path if path.is_relative_to(root.resolve()) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # absent, a name that no file can have, links in a circle
        return None


class Server(ThreadingHTTPServer):
    """Serves a site; listens from its creation on.

    Args:
        site: files to serve.
        host: name or address of this machine.
        port: 0 selects a free one.

    Raises:
        TfyoloError: the host is not of this machine, or the port is taken.
    """

    allow_reuse_address = os.name != "nt"  # there, two servers would share a port

    def __init__(self, site: Site, host: str, port: int) -> None:
        self.site, self.host = site, f"[{host}]" if ":" in host else host.lower()
        try:
            family, _, _, _, address = socket.getaddrinfo(host or "-", port, type=socket.SOCK_STREAM)[0]
            self.address_family = family
            super().__init__(address[:2], Handler)  # type: ignore[arg-type]
        except (OSError, UnicodeError, OverflowError) as error:
            raise _not_bound(host, port, error) from error

    @property
    def local(self) -> bool:
        """Whether the server is reachable only from this machine."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    @property
    def url(self) -> str:
        """URL of the page."""
        return self._url("localhost" if self.host in EVERY_ADDRESS else self.host)

    @property
    def network_url(self) -> str:
        """URL of the page for other machines."""
        return self._url(socket.gethostname() if self.host in EVERY_ADDRESS else self.host)

    def _url(self, host: str) -> str:
        return f"http://{host}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind without a DNS lookup of the host name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore browsers that disconnect during a transfer."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _not_bound(host: str, port: int, error: Exception) -> TfyoloError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return TfyoloError(f"port {port} of {host} is in use", fix="pass another --port, or 0 for any")
    if number in (errno.EACCES, errno.EPERM):
        return TfyoloError(f"port {port} requires administrator rights", fix="pass --port 8000")
    return TfyoloError(f"{host!r} is not an address of this machine", fix="pass --host 127.0.0.1")


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tfyolo", ""
    timeout = 60

    def do_GET(self) -> None:
        """Send a file."""
        self._answer()

    def do_HEAD(self) -> None:
        """Send the headers of GET."""
        self._answer()

    def do_POST(self) -> None:
        """Refuse without reading the body."""
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
        self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815

    def end_headers(self) -> None:
        """Add the headers of every response."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the terminal shows the URL."""

    def _answer(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body, which would be read as the next request
        if not answers_to(self.server.host, self.headers.get_all("Host", [])):
            self.send_error(HTTPStatus.FORBIDDEN, "This page is served for another host")
            return
        if self._is_visit() and (address := self.server.site.sent_on(self.path)):
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", address)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        found = self.server.site.find(self.path)
        try:
            file = found[0].open("rb") if found else None
        except OSError:
            file = None
        if found is None or file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            self._send(file, found[1])

    def _is_visit(self) -> bool:
        """Whether a request is a page visit and not one of the service worker."""
        mode = self.headers.get("Sec-Fetch-Mode")
        return mode == "navigate" if mode else "text/html" in self.headers.get("Accept", "")

    def _send(self, file: BinaryIO, kind: str) -> None:
        status = os.fstat(file.fileno())
        tag, size = f'"{status.st_mtime_ns:x}-{status.st_size:x}"', status.st_size
        if tag in self.headers.get("If-None-Match", ""):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.send_header("ETag", tag)
            self.end_headers()
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "GET" and size and self.connection.sendfile(file, count=size) < size:
            self.close_connection = True  # the file has become shorter meanwhile
