"""Installs the wheel in a fresh environment of each Python and runs smoke.py there: `make test-pythons`.

The oldest and the newest are installed by pip, as the README says, that of the Dockerfile by its own steps,
the others by uv. On the newest, what runs without TensorFlow is tried first without it, and types are
checked against its libraries.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).absolute().parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
BY_PIP = (VERSIONS[0], VERSIONS[-1])
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def find_python(version: str) -> str | None:
    """An interpreter of this version: on the path, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places = [
        shutil.which(f"python{version}"),
        *map(str, pyenv.glob(f"versions/{version}.*/bin/python{version}")),
    ]
    for place in filter(None, places):  # pyenv puts commands on the path that refuse to run
        if subprocess.run([place, "-c", ""], capture_output=True).returncode == 0:
            return place
    return None


def run(*words: object, **options: object) -> None:
    """Run a command; a failure ends this one."""
    done = subprocess.run([str(word) for word in words], **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}")


def test(version: str, python: str, wheel: Path) -> None:
    """Install and try one version."""
    start = time.monotonic()
    environment, folder = ROOT / "build/pythons" / version, ROOT / "build/pythons" / f"{version}-work"
    for path in (environment, folder):
        shutil.rmtree(path, ignore_errors=True)
    folder.mkdir(parents=True)
    run(python, "-m", "venv", environment)
    inside, constraints = environment / "bin/python", ROOT / "constraints" / f"python{version}.txt"
    docker = f"FROM python:{version}-" in DOCKERFILE
    tool = "pip" if version in BY_PIP else "the Dockerfile's steps" if docker else "uv"
    # What is not imported need not be compiled.
    pip = (inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    uv = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", inside)
    install = pip if version in BY_PIP else uv
    smoking = 0.0
    smoke = (inside, ROOT / "tests/smoke.py", folder)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "log.txt").open("w") as log:
        output = {"stdout": log, "stderr": subprocess.STDOUT, "env": clean, "cwd": folder}
        try:
            if version == VERSIONS[-1]:
                run(*install, "--constraint", constraints, wheel, **output)
                run(*smoke, **output)
            if docker:
                follow_dockerfile(environment, folder, **output)
            else:
                run(*install, "--constraint", constraints, f"{wheel}[tensorflow]", **output)
            begin = time.monotonic()
            run(*smoke, **output)
            smoking = time.monotonic() - begin
            if version == VERSIONS[-1]:
                # `make` picks this Python where it is there, and the newest NumPy has other types.
                mypy = (sys.executable, "-m", "mypy", "--cache-dir", ROOT / "build/mypy-newest")
                run(*mypy, "--python-executable", inside, ROOT / "tfyolo", **{**output, "cwd": ROOT})
        except SystemExit:
            print(Path(log.name).read_text()[-5000:])
            raise
    seconds, size = time.monotonic() - start, sum(x.lstat().st_size for x in environment.rglob("*"))
    print(
        f"Python {version}, installed by {tool}: smoke test passed in {smoking:.0f} s, "
        f"{seconds:.0f} s with the installation, {size / 1e9:.1f} GB",
        flush=True,
    )


def follow_dockerfile(environment: Path, folder: Path, **options: object) -> None:
    """Run the steps of the Dockerfile in an environment, with a folder of its own for what it copies."""
    (copied,) = re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
    *sources, target = copied.split()
    place = folder / "docker"
    place.mkdir()
    for path in (path for source in sources for path in ROOT.glob(source)):
        shutil.copy(path, place)
    options["env"] = {**options["env"], "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
    for step in re.findall(r"^RUN (.*)$", DOCKERFILE, re.MULTILINE):
        run("sh", "-c", step.replace(target, f"{place}/"), **options)


def main() -> None:
    """Try each Python but those named by `--without`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--without", nargs="*", default=[], help="versions that are tested otherwise")
    options = parser.parse_args()
    for version in VERSIONS:
        # pip installs the oldest and the newest even if the suite runs on one of them, which uv installed.
        if version in options.without and version not in BY_PIP:
            continue
        python = find_python(version)
        if python is not None:
            test(version, python, options.wheel.absolute())
        elif os.environ.get("CI"):
            sys.exit(f"Python {version} is not installed")
        else:
            print(f"Python {version} is not installed, and is left out")


if __name__ == "__main__":
    main()
