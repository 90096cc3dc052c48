import hashlib

import pytest

from tests.inference.videos import serve
from tfyolo.errors import TfyoloError
from tfyolo.weights import hub

DATA = b"weights" * 1000


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """An empty current folder, a cache that does not exist yet, a server that is down, a known checksum."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path / "new" / "cache"))
    monkeypatch.setattr(hub, "RELEASE_URL", "http://127.0.0.1:1")
    monkeypatch.setitem(hub.SHA256, "yolov5s", hashlib.sha256(DATA).hexdigest())
    return here, tmp_path / "new" / "cache"


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


@pytest.mark.parametrize("name", ["missing.pt", "yolov9", "folder/yolov5s", "", "yolov5s.keras"])
def test_neither_a_file_nor_a_release(name):
    with pytest.raises(TfyoloError, match=r"no such model file\n.*yolov5n, yolov5s"):
        hub.fetch_weights(name)


@pytest.mark.parametrize("name", ["yolov5s", "yolov5s.pt"])
def test_the_current_folder_wins(places, name):
    here, cache = places
    (here / "yolov5s.pt").write_bytes(b"mine")
    cache.mkdir(parents=True)
    (cache / "yolov5s.pt").write_bytes(DATA)
    assert hub.fetch_weights(name).resolve() == here / "yolov5s.pt"


@pytest.mark.parametrize("name", ["yolov5s", "yolov5s.pt"])
def test_then_the_cache_if_its_checksum_is_right(places, name):
    here, cache = places
    cache.mkdir(parents=True)
    (cache / "yolov5s.pt").write_bytes(DATA)
    (here / "yolov5s").mkdir()  # the folder of a run does not hide the release
    assert hub.fetch_weights(name) == cache / "yolov5s.pt"


def test_then_a_download(places, capsys):
    _, cache = places
    with (
        serve({"/yolov5s.pt": ("application/octet-stream", [DATA])}) as address,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(hub, "RELEASE_URL", address)
        path = hub.fetch_weights("yolov5s")
        assert f"downloading {address}/yolov5s.pt\n" in capsys.readouterr().err
    assert path == cache / "yolov5s.pt"
    assert path.read_bytes() == DATA
    assert files(cache) == ["yolov5s.pt"]
    assert hub.fetch_weights("yolov5s") == path  # the server is down again


def test_a_download_names_the_license(capsys):
    with pytest.raises(TfyoloError):
        hub.fetch_weights("yolov5s")
    assert "AGPL-3.0" in capsys.readouterr().err


def test_a_damaged_cache_is_downloaded_again(places):
    _, cache = places
    cache.mkdir(parents=True)
    (cache / "yolov5s.pt").write_bytes(b"cut")
    with (
        serve({"/yolov5s.pt": ("application/octet-stream", [DATA])}) as address,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setattr(hub, "RELEASE_URL", address)
        assert hub.fetch_weights("yolov5s").read_bytes() == DATA


@pytest.mark.parametrize("kind", ["down", "missing", "wrong"])
def test_a_failed_download_says_where_to_put_the_file_and_leaves_nothing(places, monkeypatch, kind):
    _, cache = places
    pages = {"/yolov5s.pt": ("application/octet-stream", [b"something else"])} if kind == "wrong" else {}
    reason = {"down": "URL fetch failure", "missing": "404", "wrong": "Incomplete or corrupted file"}[kind]
    with serve(pages) as address:
        if kind != "down":
            monkeypatch.setattr(hub, "RELEASE_URL", address)
        with pytest.raises(TfyoloError, match=reason) as caught:
            hub.fetch_weights("yolov5s")
    assert caught.value.fix.startswith(
        f"download it on another machine and copy it to {cache / 'yolov5s.pt'}"
    )
    assert "\n" not in caught.value.message
    assert files(cache) == []


def test_a_cache_that_cannot_be_made(places, tmp_path):
    (tmp_path / "new").write_text("a file")
    with pytest.raises(TfyoloError, match=r"could not be downloaded: .*cannot be written"):
        hub.fetch_weights("yolov5s")


def test_the_default_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("TFYOLO_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.cache_folder() == tmp_path / ".cache" / "tfyolo"
