"""What is replaced, what never is, and what a killed run leaves."""

import os
import signal
import subprocess
import sys

import pytest

from tfyolo import files
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, atomic_folder, check_file_target, put_folder, run_folder, scratch
from tfyolo.owned_files import Owned

MODEL = Owned(("model.bin", "parts/p*.bin", "tfyolo.json"), folders=("empty",))


def tree(folder):
    """Every file below a folder, with its text; folders as None."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def write_model(folder, text="old"):
    (folder / "parts").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("model.bin", "parts/p1.bin", "tfyolo.json"):
        (folder / name).write_text(text)


def replace(folder, text="new"):
    with atomic_folder(folder, MODEL) as temporary:
        (temporary / "model.bin").write_text(text)
        (temporary / "tfyolo.json").write_text(text)


@pytest.fixture(params=[True, False], ids=["exchange", "two renamings"])
def way(request, monkeypatch):
    """Both ways of replacing a folder; the second is that of systems that cannot exchange two."""
    if not request.param:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_replaces_a_file(tmp_path, before):
    path = tmp_path / "a" / "b.txt"
    if before:
        path.parent.mkdir()
        path.write_text(before)
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.exists() == bool(before)
        assert temporary.suffix == ".txt"
    assert tree(tmp_path) == {"a": None, "a/b.txt": "new"}


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic(path) as temporary:
            temporary.write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert tree(tmp_path) == {"a.txt": "old"}


def mine(path):
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


STANDS_THERE = {
    "folder": mine,
    "empty folder": lambda path: path.mkdir(),
    "link to a folder": lambda path: (mine(path.with_name("real")), path.symlink_to("real")),
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("what", STANDS_THERE)
def test_a_file_never_replaces_anything_else(tmp_path, what):
    path = tmp_path / "my.keras"
    STANDS_THERE[what](path)
    before = tree(tmp_path) if what != "pipe" else None
    reason = r"my\.keras: is (a folder|not a regular file) and cannot be overwritten"
    with pytest.raises(TfyoloError, match=reason), atomic(path):
        pass
    assert os.path.lexists(path)
    assert before is None or tree(tmp_path) == before


def test_what_appears_while_a_file_is_written_stays(tmp_path):
    path = tmp_path / "my.keras"

    def write():
        with atomic(path) as temporary:
            temporary.write_text("new")
            mine(path)

    with pytest.raises(TfyoloError, match="is a folder"):
        write()
    assert tree(tmp_path) == {"my.keras": None, "my.keras/thesis.txt": "mine"}


def test_the_file_that_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/a.txt").write_text("old")
    path = tmp_path / "a.txt"
    path.symlink_to("shared/a.txt")
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.is_symlink()
    assert (tmp_path / "shared/a.txt").read_text() == "new"


def test_a_dangling_link_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.symlink_to("nowhere")
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert tree(tmp_path) == {"a.txt": "new"}


@pytest.mark.parametrize("before", ["nothing", "empty", "own", "own, seen by a file manager"])
def test_a_folder_replaces_what_the_same_writer_made(tmp_path, way, before):
    path = tmp_path / "m_model"
    if before == "empty":
        path.mkdir()
    if before.startswith("own"):
        write_model(path)
    if "manager" in before:
        (path / ".DS_Store").write_text("")
    replace(path)
    assert tree(tmp_path) == {"m_model": None, "m_model/model.bin": "new", "m_model/tfyolo.json": "new"}


def add(name, text="mine"):
    def change(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return change


FOREIGN = {
    "another file": (add("index.html"), "contains `index.html`"),
    "a file below": (add("parts/notes.txt"), "contains `parts/notes.txt`"),
    "a known name elsewhere": (add("parts/model.bin"), "contains `parts/model.bin`"),
    "a file in a folder that is empty": (add("empty/labels.txt"), "contains `empty/labels.txt`"),
    "another folder": (lambda folder: (folder / "mine").mkdir(), "contains `mine`"),
    "a link": (lambda folder: (folder / "parts/p2.bin").symlink_to("p1.bin"), "contains `parts/p2.bin`"),
    "a pipe": (lambda folder: os.mkfifo(folder / "parts/p2.bin"), "contains `parts/p2.bin`"),
    "no marker": (
        lambda folder: (folder / "tfyolo.json").unlink(),
        "contains files that tfyolo did not write",
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_folder_with_anything_else_is_refused(tmp_path, way, what):
    path = tmp_path / "m_model"
    write_model(path)
    change, reason = FOREIGN[what]
    change(path)
    names = sorted(tmp_path.rglob("*"))
    with pytest.raises(TfyoloError, match=f"m_model: cannot be replaced: it {reason}"):
        replace(path)
    assert sorted(tmp_path.rglob("*")) == names
    assert (path / "model.bin").read_text() == "old"


def test_a_folder_that_changes_while_its_successor_is_written_is_refused(tmp_path, way):
    path = tmp_path / "m_model"
    write_model(path)

    def write():
        with atomic_folder(path, MODEL) as temporary:
            (temporary / "model.bin").write_text("new")
            (path / "index.html").write_text("mine")

    with pytest.raises(TfyoloError, match=r"contains `index\.html`"):
        write()
    assert (path / "model.bin").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m_model"]


def test_a_marker_must_hold_what_it_is_known_by(tmp_path):
    owned = Owned(("model.bin",), marker="model.bin", mark=b"tfyolo")
    add("m/model.bin", "a tfyolo model")(tmp_path)
    assert owned.why_not(tmp_path / "m") is None
    add("m/model.bin", "another model")(tmp_path)
    assert owned.why_not(tmp_path / "m") == "contains files that tfyolo did not write"


def test_a_folder_never_replaces_a_file(tmp_path, way):
    (tmp_path / "m_model").write_text("mine")
    with pytest.raises(TfyoloError, match="m_model: is a file, but the output is a folder"):
        replace(tmp_path / "m_model")
    assert tree(tmp_path) == {"m_model": "mine"}


def test_without_an_inventory_only_an_empty_folder_is_replaced(tmp_path):
    write_model(tmp_path / "m")
    with pytest.raises(TfyoloError, match="cannot be replaced"), atomic_folder(tmp_path / "m"):
        pass
    (tmp_path / "new").mkdir()
    with pytest.raises(TfyoloError, match="cannot be replaced"):
        put_folder(tmp_path / "new", tmp_path / "m")
    assert (tmp_path / "m/model.bin").read_text() == "old"


def test_a_link_to_a_folder_is_written_through(tmp_path, way):
    write_model(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    replace(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert tree(tmp_path / "real") == {"model.bin": "new", "tfyolo.json": "new"}


def test_a_failure_leaves_the_old_folder(tmp_path, way):
    path = tmp_path / "m_model"
    write_model(path)
    before = tree(tmp_path)
    with pytest.raises(ZeroDivisionError), atomic_folder(path, MODEL) as temporary:
        (temporary / "model.bin").write_text(str(1 / 0))
    assert tree(tmp_path) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from tfyolo import files
step, exchange, path = int(sys.argv[1]), sys.argv[2] == "True", Path(sys.argv[3])
if not exchange:
    files._exchange = lambda one, other: False
real, calls = Path.rename, []
def rename(self, target):
    if len(calls) == step:
        os.kill(os.getpid(), signal.SIGKILL)
    calls.append(target)
    return real(self, target)
Path.rename = rename
with files.atomic_folder(path, files.Owned(("model.bin", "parts/p*.bin", "tfyolo.json"), ("empty",))) as new:
    (new / "model.bin").write_text("killed")
    (new / "tfyolo.json").write_text("killed")
"""


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_loses_no_folder(tmp_path, step, exchange):
    """Killed before the first renaming, which finds the folder taken, before the second, before the third."""
    path = tmp_path / "m_model"
    write_model(path)
    words = [sys.executable, "-c", KILLED, str(step), str(exchange), str(path)]
    code = subprocess.run(words, timeout=60, check=False).returncode
    assert code == (0 if exchange and step else -signal.SIGKILL)
    found = path if path.exists() else tmp_path / ".m_model.previous"
    assert (found / "model.bin").read_text() == ("killed" if exchange and step else "old")
    replace(path)
    assert tree(path) == {"model.bin": "new", "tfyolo.json": "new"}
    assert not (tmp_path / ".m_model.previous").exists()


def test_the_old_folder_is_put_back_even_if_the_next_run_fails(tmp_path):
    write_model(tmp_path / ".m_model.previous")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "m_model", MODEL):
        raise ZeroDivisionError
    assert tree(tmp_path / "m_model")["model.bin"] == "old"


def test_a_previous_folder_of_the_users_own_is_left_alone(tmp_path):
    mine(tmp_path / ".m_model.previous")
    replace(tmp_path / "m_model")
    assert tree(tmp_path / ".m_model.previous") == {"thesis.txt": "mine"}


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    path = tmp_path / ("n" * 251 + ".txt")
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_scratch_is_removed():
    with scratch() as folder:
        (folder / "a").write_text("a")
    assert not folder.exists()


def test_targets_are_checked_before_work(tmp_path):
    assert check_file_target(tmp_path / "new.txt") == tmp_path / "new.txt"
    with pytest.raises(TfyoloError, match="is a folder"):
        check_file_target(tmp_path)


def test_a_file_that_is_read_is_not_replaced(tmp_path):
    (tmp_path / "link").symlink_to("old.txt")
    with pytest.raises(TfyoloError, match="would be overwritten"):
        check_file_target(tmp_path / "old.txt", (None, tmp_path / "link"))


def test_run_folders_count_up(tmp_path):
    assert [run_folder(tmp_path, "exp").name for _ in range(3)] == ["exp", "exp2", "exp3"]
    assert run_folder(tmp_path, "exp", exist_ok=True).name == "exp"
