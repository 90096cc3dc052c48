"""What is served, to whom, and with which headers."""

import http.client
import os
import socket
from urllib.request import urlopen

import pytest

from tests.web.site import TYPES, ask
from tfyolo import web
from tfyolo.web import HEADERS


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


VISIT = {"Sec-Fetch-Mode": "navigate"}


@pytest.mark.parametrize(
    ("target", "headers", "address"),
    [
        ("/", VISIT, "/?model=model/a.tflite&conf=0.4"),
        ("/", {"Accept": "text/html,*/*;q=0.8"}, "/?model=model/a.tflite&conf=0.4"),
        ("/index.html", VISIT, "/index.html?model=model/a.tflite&conf=0.4"),
        ("/?conf=0.7", VISIT, "/?conf=0.7&model=model/a.tflite"),
        ("/?x=a%20b\r\xff", VISIT, None),
        ("/?x=<%0d%0aA:b>", VISIT, "/?x=%3C%0d%0aA%3Ab%3E&model=model/a.tflite&conf=0.4"),
        ("/?model=model/b.tflite", VISIT, None),
        ("/?model=", VISIT, None),
        ("/", {}, None),
        ("/", {"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, None),
        ("/app.js", VISIT, None),
    ],
)
def test_a_visit_of_the_bare_address_gets_the_users_model(serve, page, tmp_path, target, headers, address):
    server = serve(page, tmp_path / "a.tflite", "?model=model/a.tflite&conf=0.4")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
        request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"
        raw.sendall(request.encode("latin-1"))
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    if address is None:
        assert b" 302 " not in answer
    else:
        assert answer.startswith(b"HTTP/1.1 302 ")
        assert f"\r\nLocation: {address}\r\n".encode() in answer
        assert all(f"\r\n{name}: {value}\r\n".encode() in answer for name, value in HEADERS.items())


def test_without_a_model_nothing_is_sent_on(serve, page):
    assert ask(serve(page), "/", **VISIT)[0] == 200


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
        "/absent",
        "/assets",
        "/assets/",
        "/assets//style.css",
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/%252e%252e/secret.txt",
        "/..\\secret.txt",
        "/%5c..%5csecret.txt",
        "/..%5csecret.txt",
        "/./app.js",
        "/app.js%00",
        "/app.js%00.txt",
        "/%ff",
        "/" + "a" * 5000,
        "/link.txt",
        "/out/secret.txt",
        "/out",
        "/circle",
        "//etc/hostname",
        "/%2fetc/hostname",
        "/%2f%2fetc%2fhostname",
        "etc/hostname",
        "*",
        "http://127.0.0.1/app.js",
        "/C:/Windows/win.ini",
        "/app.js/",
        "/app.js/x",
        "/model",
        "/model/",
        "/model/model.json",
        "/\xff",
    ],
)
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
    server, name = serve(page, host="0.0.0.0"), socket.gethostname()
    assert not server.local
    assert server.url == f"http://localhost:{server.server_port}/"
    assert server.network_url == f"http://{name}:{server.server_port}/"
    for host in ("192.168.1.7", "[fe80::1]:80", name.upper(), f"{name}.local"):
        assert ask(server, "/", Host=host)[0] == 200
    for host in ("evil.example", f"{name}.evil.example", "1.2.3.4.evil.example"):
        assert ask(server, "/", Host=host)[0] == 403


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
