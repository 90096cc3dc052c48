"""End every command within seconds of one Ctrl-C, with exit code 130.

Python raises KeyboardInterrupt only between its own instructions. A converter that computes for a minute in
C++ delays it, and holds the GIL, so that no thread could end the process; libraries convert or swallow the
exception; and TensorFlow's threads can crash a process that exits while they work. The command therefore runs
in a child process. After the first SIGINT it has a few seconds to clean up; then, or at the second SIGINT,
the parent kills it. If the parent is killed, the child ends, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

INTERRUPTED = 130
GRACE_SECONDS = 3.0
"""Time for a command to clean up after SIGINT."""
_FORWARDED = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_INTERRUPT = (signal.SIGINT,)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def supervised(run: Callable[[], int]) -> int:
    """Run a command in a child process, which SIGINT ends.

    If SIGINT is ignored, as for background jobs of shells, and on systems other than Linux, the command runs
    in this process.

    Args:
        run: the command; returns the exit code.

    Returns:
        The exit code; 130 after SIGINT.
    """
    if sys.platform != "linux" or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return run()
    sys.stdout.flush()
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)  # until both sides know what to do with it
    child = os.fork()
    return _Parent(child).wait() if child else _work(run, parent)


class _Parent:
    """Waits for the child, forwards signals, and kills it after a timeout."""

    def __init__(self, child: int) -> None:
        self.child, self.interrupts, self.forced = child, 0, False
        signal.signal(signal.SIGINT, self._interrupt)
        for name in _FORWARDED:
            signal.signal(getattr(signal, name), self._forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)

    def wait(self) -> int:
        """Wait for the child, and return its exit code."""
        _, status = os.waitpid(self.child, 0)
        if self.interrupts:
            if self.forced:
                self._show("interrupted\n")
            return INTERRUPTED
        if os.WIFSIGNALED(status):  # end in the same way, as if there were no child
            with contextlib.suppress(OSError):  # SIGKILL cannot be handled anyway
                signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
            os.kill(os.getpid(), os.WTERMSIG(status))
        return os.waitstatus_to_exitcode(status)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupts += 1
        if self.interrupts > 1:
            self._end()
            return
        _send(self.child, signal.SIGINT)  # a terminal has sent it already, `kill` has not
        timer = threading.Timer(GRACE_SECONDS, self._end)
        timer.daemon = True
        timer.start()

    def _forward(self, number: int, frame: FrameType | None) -> None:
        _send(self.child, number)

    def _end(self) -> None:
        self.forced = True
        for process in (*_descendants(self.child), self.child):
            _send(process, signal.SIGKILL)

    @staticmethod
    def _show(text: str) -> None:
        cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a progress bar has hidden it
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(cursor + text)
            sys.stderr.flush()


def _work(run: Callable[[], int], parent: int) -> int:
    """Run the command in the child."""
    import ctypes

    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed just before
        os._exit(INTERRUPTED)
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:  # the terminal and the parent both send it; cleanup continues
            interrupted = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    code = INTERRUPTED
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
        code = run()
    except BaseException:
        if not interrupted:
            raise
    if not interrupted:
        return code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    for process in _descendants(os.getpid()):
        _send(process, signal.SIGKILL)
    os._exit(INTERRUPTED)  # without waiting for threads, some of which never end


def _send(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _descendants(process: int) -> list[int]:
    """Return all descendants of a process."""
    found = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                found += [*_descendants(child), child]
    return found
