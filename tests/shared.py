"""Where the shared folder of references and checkpoints lies, and what tests do without it."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

ELSEWHERE = ("engine", "coreml")
"""Formats that need an NVIDIA GPU or macOS; tests/export has what can be checked without."""

# In CI these never skip: a run that lacks the references must fail, not pass.
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir() and not os.environ.get("CI"), reason="../shared is absent"
)


def require_shared() -> None:
    """Skip the test, or the fixture's tests, where the folder is absent; never in CI."""
    if not SHARED.is_dir() and not os.environ.get("CI"):
        pytest.skip("../shared is absent")
