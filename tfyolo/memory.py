"""Memory of this process and of the machine, on Linux, macOS and Windows."""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def peak_memory_gib() -> float:
    """Return the peak memory of this process in GiB; 0 on Windows, which does not report it."""
    if resource is None:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)  # bytes on macOS, KiB on Linux


def available_memory_bytes(root: Path = Path("/")) -> int | None:
    """Return the memory that this process can still take, in bytes; None where the system does not report it.

    On Linux that is `MemAvailable`, which counts caches that can be freed, or what the limit of the container
    leaves, if that is less.

    Args:
        root: folder of the file system of the system, for tests.
    """
    try:
        rows = dict(line.split(":") for line in (root / "proc/meminfo").read_text().splitlines())
        available = int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        group = root / "sys/fs/cgroup"
        used = int((group / "memory.current").read_text())
        caches = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        limit = int((group / "memory.max").read_text())  # "max" without a limit
    except (OSError, ValueError):
        return available
    return min(available, max(limit - used + int(caches.get("inactive_file", 0)), 0))
