"""What the processor can do."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
X86 = ("x86_64", "amd64", "i386", "i686")


def is_x86() -> bool:
    """Whether it is one of Intel's or AMD's."""
    return platform.machine().lower() in X86


@cache
def has_vnni() -> bool:
    """Whether it is one of those that add products of 8-bit numbers up in 32 bits, in one instruction.

    Where the processor cannot be asked, the answer is no.
    """
    try:
        flags = CPUINFO.read_text()
    except OSError:
        return False
    return is_x86() and ("avx512_vnni" in flags or "avx_vnni" in flags)


def cores() -> int:
    """Cores of the CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
