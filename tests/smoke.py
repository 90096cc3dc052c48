"""What an installed tfyolo does, outside of its clone: `python tests/smoke.py FOLDER`, within two minutes.

`make test-pythons` installs the wheel in an environment of each Python and runs this with it. There is no
pytest in such an environment, so checks are plain.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
MICRO = Path(__file__).with_name("micro.yaml").absolute()


def check(truth: object, what: str) -> None:
    """End with a sentence where something is not true."""
    if not truth:
        sys.exit(f"{sys.version.split()[0]}: {what}")


def command(*words: object, code: int = 0) -> str:
    """What the `tfyolo` command of this environment prints."""
    tool = Path(sys.executable).with_name("tfyolo")
    done = subprocess.run([str(tool), *map(str, words)], capture_output=True, text=True)
    check(
        done.returncode == code, f"tfyolo {words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    )
    check("Traceback" not in done.stderr, f"tfyolo {words[0]} printed a traceback: {done.stderr}")
    return done.stdout + done.stderr


def base() -> None:
    """Without TensorFlow: a .tflite file runs, the page is there, and what is missing is named."""
    import tfyolo
    from tfyolo.assets import DEFAULT_MODEL, MINI_DATA

    package = Path(tfyolo.__file__).parent
    check("site-packages" in package.parts, f"tfyolo is imported from {package}, not from the wheel")
    page = package / "web_page"
    check((page / "index.html").is_file(), "the wheel is without its page")
    model, images = page / "models/default.tflite", MINI_DATA.parent / "images/test"
    for threads in (1, 2):
        found = tfyolo.load(model, threads=threads)(images / "BloodImage_00007.jpg", confidence=0.3)[0]
        check(found.counts().get("RBC", 0) > 5, f"a file that ships finds {found.counts()}")
        check(found.plot().shape == (480, 640, 3), "a result cannot be drawn")
    said = command("detect", "--weights", model, "--source", images / "BloodImage_00062.jpg")
    check("results are in" in said, said)
    check("Platelets, RBC, WBC" in command("inspect", model), "inspect names no classes")
    check("1,872,157" in command("summary", "yolov5n"), "summary has other parameters")
    command("inspect", DEFAULT_MODEL)
    if importlib.util.find_spec("tensorflow") is None:
        said = command("detect", "--weights", DEFAULT_MODEL, "--source", images, code=2)
        check("pip install 'tfyolo[tensorflow]'" in said, said)


def with_tensorflow() -> None:
    """Training by command and by `fit`, and files of TensorFlow's formats."""
    from tfyolo.assets import MINI_DATA
    from tfyolo.cli.main import main

    def run(*words: object) -> None:
        check(main([str(word) for word in words]) == 0, f"tfyolo {' '.join(map(str, words))} failed")

    import tfyolo

    run(
        "train",
        "--data",
        MINI_DATA,
        "--cfg",
        MICRO,
        "--weights",
        "",
        "--img",
        64,
        "--epochs",
        1,
        "--batch",
        16,
        "--project",
        "runs",
        "--name",
        "smoke",
    )
    best = Path("runs/smoke/weights/best.keras")
    run("export", "--weights", best, "--include", "tflite", "--int8", "--data", MINI_DATA, "--calibration", 8)
    run("export", "--weights", best, "--include", "saved_model", "tfjs", "--conf-thres", 0.001)
    image = MINI_DATA.parent / "images/test/BloodImage_00007.jpg"
    for path in (best, best.with_suffix(".tflite"), best.with_name("best_saved_model")):
        result = tfyolo.load(path)(image, confidence=0.001)[0]
        check(result.image.shape == (480, 640, 3), f"{path} does not run")
    check(best.with_name("best_web_model").joinpath("model.json").is_file(), "TF.js was not written")
    data = tfyolo.TrainingData(MINI_DATA, image_size=64, batch_size=16)
    model = tfyolo.training_model(best, data)
    model.compile("SGD", epochs=1, steps_per_epoch=2, batch_size=16)
    history = model.fit(data.stream(), epochs=1, steps_per_epoch=2, verbose=0)
    check(history.history["loss"][0] > 0, "fit reports no loss")


def main() -> None:
    """Run what this environment can."""
    os.chdir(sys.argv[1])
    base()
    if importlib.util.find_spec("tensorflow") is not None:
        with_tensorflow()
    print(f"smoke test passed on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
