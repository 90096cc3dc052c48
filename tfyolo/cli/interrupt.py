"""One Ctrl-C ends every command within seconds, with exit code 130.

Python raises KeyboardInterrupt between two of its own instructions. A converter that computes for a minute
in C++ keeps it waiting, and holds Python's lock, so that no thread of the process could end it; libraries
turn the exception into another one, or drop it; and TensorFlow's threads may crash a process that ends while
they work. So the command runs in a child process. The first SIGINT lets it clean up for a few seconds; then,
or at the second, its parent ends it, whatever it does. A parent that is killed takes the child along.
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
    """Run a command so that SIGINT ends it.

    Where SIGINT is ignored, as shells do for what they start in the background, and on systems other than
    Linux it runs in this process, as any Python program.

    Args:
        run: does the work; returns the exit code.

    Returns:
        The exit code; 130 after SIGINT, whatever the command made of it.
    """
    if sys.platform != "linux" or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return run()
    sys.stdout.flush()
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)  # until both sides know what to do with it
    child = os.fork()
    return _Parent(child).wait() if child else _work(run, parent)


class _Parent:
    """Waits for the child, hands signals on, and ends it when it takes too long."""

    def __init__(self, child: int) -> None:
        self.child, self.interrupts, self.forced = child, 0, False
        signal.signal(signal.SIGINT, self._interrupt)
        for name in _FORWARDED:
            signal.signal(getattr(signal, name), self._forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)

    def wait(self) -> int:
        """The exit code of the command."""
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
    """The command itself, in the child."""
    import ctypes

    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed just before
        os._exit(INTERRUPTED)
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:  # the terminal and the parent both send it; what cleans up goes on
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
    """Children of a process, and theirs."""
    found = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                found += [*_descendants(child), child]
    return found
