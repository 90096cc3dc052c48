"""Megabytes that an install downloads and unpacks, for a machine that need not be this one.

Example:
    python benchmarks/install_size.py dist/tfyolo-0.1.0-py3-none-any.whl --python 3.13 --machine aarch64
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

GLIBC = (17, 24, 26, 27, 28, 31, 34, 35, 39)
"""Minor versions of glibc 2, whose wheels a current Debian or Raspberry Pi OS takes."""


def main() -> None:
    """Download the wheels, add them up."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("requirement", help="a wheel, with extras if any")
    parser.add_argument("--python", default="3.13", metavar="X.Y")
    parser.add_argument("--machine", default="aarch64", help="aarch64 or x86_64")
    options = parser.parse_args()
    platforms = [f"manylinux_2_{minor}_{options.machine}" for minor in GLIBC]
    platforms.append(f"manylinux2014_{options.machine}")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--only-binary=:all:",
                "--dest",
                folder,
                "--python-version",
                options.python,
                *(word for name in platforms for word in ("--platform", name)),
                options.requirement,
            ],
            check=True,
        )
        wheels = sorted(Path(folder).glob("*.whl"), key=lambda path: -path.stat().st_size)
        unpacked = {path: sum(x.file_size for x in zipfile.ZipFile(path).infolist()) for path in wheels}
        for path in wheels[:8]:
            name = path.name.partition("-")[0]
            print(f"{name:28} {path.stat().st_size / 1e6:7.1f} MB {unpacked[path] / 1e6:7.1f} MB unpacked")
        download, disk = sum(path.stat().st_size for path in wheels), sum(unpacked.values())
        print(f"{len(wheels)} packages: {download / 1e6:.0f} MB to download, {disk / 1e6:.0f} MB on disk")


if __name__ == "__main__":
    main()
