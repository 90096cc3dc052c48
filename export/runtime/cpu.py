"""Features of the CPU."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
X86 = ("x86_64", "amd64", "i386", "i686")
ARM = ("aarch64", "arm64")
_INT8_FLAGS = {"x86": ("avx512_vnni", "avx_vnni"), "Arm": ("asimddp",)}
"""Flags in /proc/cpuinfo of instructions for 8-bit dot products."""


def is_x86() -> bool:
    """Return True on an x86 CPU."""
    return platform.machine().lower() in X86


@cache
def has_vnni() -> bool:
    """Return True if the CPU has VNNI, the instructions for 8-bit dot products; False if that is unknown."""
    return is_x86() and has_int8_dot_products() is True


def has_int8_dot_products() -> bool | None:
    """Return whether the CPU has instructions for 8-bit dot products, without which int8 can be slow.

    Returns:
        True for VNNI on x86 and asimddp on Arm; None on other platforms, and where the flags are unknown.
    """
    machine = platform.machine().lower()
    family = "x86" if machine in X86 else "Arm" if machine in ARM else None
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return None
    flags = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return not flags.isdisjoint(_INT8_FLAGS[family]) if family and flags else None


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
