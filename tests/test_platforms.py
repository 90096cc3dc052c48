"""Importing needs no module that Windows and macOS lack, and works in any folder."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import tfyolo
from tfyolo import memory

ROOT = Path(__file__).parents[1]

IMPORTS = r"""
import importlib, pkgutil, signal, sys
sys.modules |= dict.fromkeys(("resource", "fcntl", "termios", "pwd", "grp", "tty", "pty", "syslog"))
for name in ("SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "pthread_sigmask"):
    delattr(signal, name)
import tfyolo
failed = []
for module in pkgutil.walk_packages(tfyolo.__path__, "tfyolo.", onerror=failed.append):
    if module.name != "tfyolo.__main__":
        importlib.import_module(module.name)
print(failed, len([name for name in sys.modules if name.startswith("tfyolo.")]))
"""


def test_every_module_is_imported_without_what_only_posix_has():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    failed, count = done.stdout.rsplit(" ", 1) if done.returncode == 0 else ("", "0")
    assert done.returncode == 0, done.stderr[-3000:]
    assert failed == "[]"
    assert int(count) > 200


@pytest.mark.parametrize(("platform", "gib"), [("linux", 3.0), ("darwin", 3 / 1024)])
def test_peak_memory_has_the_unit_of_the_system(monkeypatch, platform, gib):
    usage = SimpleNamespace(ru_maxrss=3 * 2**20)
    stand_in = SimpleNamespace(getrusage=lambda who: usage, RUSAGE_SELF=0)
    monkeypatch.setattr(memory, "resource", stand_in)
    monkeypatch.setattr(memory.sys, "platform", platform)
    assert memory.peak_memory_gib() == gib


def test_windows_tells_no_peak(monkeypatch):
    monkeypatch.setattr(memory, "resource", None)
    assert memory.peak_memory_gib() == 0


def system(root, available_kib, **cgroup):
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available_kib} kB\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    for name, text in cgroup.items():
        (root / "sys/fs/cgroup" / name.replace("_", ".")).write_text(text)
    return root


def test_available_memory_is_what_the_machine_and_the_container_leave(tmp_path):
    assert memory.available_memory_bytes(tmp_path) is None  # macOS and Windows
    stat = {"memory_stat": "anon 5\ninactive_file 1000\n", "memory_current": "3000\n"}
    for name, limit, expected in (("none", "max", 8192), ("less", "5000", 3000), ("more", "90000", 8192)):
        (tmp_path / name).mkdir()
        root = system(tmp_path / name, 8, memory_max=f"{limit}\n", **stat)
        assert memory.available_memory_bytes(root) == expected


def test_the_package_is_found_in_the_folder_that_holds_a_clone_of_the_same_name(tmp_path):
    """The clone itself would be an empty namespace package, `tfyolo`; the installed one comes before it."""
    (tmp_path / "tfyolo").symlink_to(ROOT)
    code = "import tfyolo; print(tfyolo.__file__, tfyolo.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == [str(ROOT / "tfyolo/__init__.py"), tfyolo.__version__], done.stderr
