"""Features of the CPU."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
X86 = ("x86_64", "amd64", "i386", "i686")


def is_x86() -> bool:
    """Return True on an x86 CPU."""
    return platform.machine().lower() in X86


@cache
def has_vnni() -> bool:
    """Return True if the CPU has VNNI, the instructions for 8-bit dot products; False if that is unknown."""
    try:
        flags = CPUINFO.read_text()
    except OSError:
        return False
    return is_x86() and ("avx512_vnni" in flags or "avx_vnni" in flags)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
