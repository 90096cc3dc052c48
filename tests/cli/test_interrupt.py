"""SIGINT ends a command, whatever it does: raise, swallow, compute without Python, wait for a child."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

WORK = {
    "python": "while True: time.sleep(0.01)",
    "cleans up": """
        try:
            print("inside", flush=True)
            while True: time.sleep(0.01)
        finally:
            print("cleaned", flush=True)
    """,
    "swallows": """
        for _ in range(2000):
            try:
                time.sleep(0.01)
            except KeyboardInterrupt:
                pass
    """,
    "swallows and succeeds": """
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            return 0
    """,
    "raises another": """
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            raise RuntimeError("from a library")
    """,
    "holds the lock": "ctypes.PyDLL(None).sleep(60)",
    "thread": """
        threading.Thread(target=time.sleep, args=(60,)).start()
        time.sleep(60)
    """,
    "child": """
        child = subprocess.Popen([sys.executable, "-c", IGNORES])
        print(child.pid, flush=True)
        child.wait()
    """,
}
"""What a command does, by the body of a function."""
IGNORES = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"


def launch(body, ignored=False):
    """A supervised command, after it has printed `began`."""
    code = f"""
import ctypes, signal, subprocess, sys, threading, time
from tfyolo.cli.interrupt import supervised
IGNORES = {IGNORES!r}
signal.signal(signal.SIGINT, signal.{"SIG_IGN" if ignored else "default_int_handler"})
def run():
    print("began", flush=True)
{textwrap.indent(textwrap.dedent(body), "    ")}
    return 7
sys.exit(supervised(run))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "began\n"
    return process


def is_gone(pid):
    """Whether a process has ended, or does so soon: its pipes are closed a moment before."""
    for _ in range(300):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="commands are supervised on Linux")
class TestInterrupt:
    @pytest.mark.parametrize("name", WORK)
    def test_one_signal_ends_it(self, name):
        process = launch(WORK[name])
        said = process.stdout.readline() if name in ("child", "cleans up") else ""
        child = int(said) if name == "child" else None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)  # 60 seconds of work would outlast it
        assert process.returncode == 130
        assert "Traceback" not in err
        assert out == ("cleaned\n" if name == "cleans up" else "")
        assert child is None or is_gone(child)

    def test_the_second_ends_it_at_once(self):
        process = launch(
            "signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
        )
        assert process.stdout.readline() == "deaf\n"
        for _ in range(2):
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.communicate()[1] == "interrupted\n"

    @pytest.mark.parametrize(
        ("body", "code"),
        [("pass", 7), ("sys.exit(2)", 2), ("os = __import__('os'); os.kill(os.getpid(), 9)", -9)],
    )
    def test_without_a_signal_the_exit_code_is_the_commands_own(self, body, code):
        assert launch(body).wait(30) == code

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_whoever_ends_the_parent_ends_the_child(self, number):
        process = launch("print(__import__('os').getpid(), flush=True); time.sleep(60)")
        child = int(process.stdout.readline())
        os.kill(process.pid, number)
        assert process.wait(30) == -number
        process.stdout.read()  # ends when the child does
        assert is_gone(child)

    def test_what_a_shell_has_put_into_the_background_goes_on(self):
        process = launch("time.sleep(0.2)", ignored=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 7
