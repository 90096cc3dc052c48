"""Searching hyperparameters with short runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from tfyolo.disk import writing
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic
from tfyolo.libraries import require
from tfyolo.progress import Log
from tfyolo.training.detection.hyps import Hyps, read_hyps
from tfyolo.training.detection.options import TrainOptions
from tfyolo.training.detection.validation import metrics_fitness
from tfyolo.training.train import train

SEARCHED = {
    "lr0": (1e-5, 1e-1),
    "lrf": (0.01, 1.0),
    "momentum": (0.6, 0.98),
    "weight_decay": (1e-6, 1e-2),
    "warmup_bias_lr": (1e-4, 0.2),
    "box": (0.02, 0.2),
    "cls": (0.2, 4.0),
    "obj": (0.2, 4.0),
    "anchor_t": (2.0, 8.0),
    "hsv_h": (0.0, 0.1),
    "hsv_s": (0.0, 0.9),
    "hsv_v": (0.0, 0.9),
    "degrees": (0.0, 45.0),
    "translate": (0.0, 0.9),
    "scale": (0.0, 0.9),
    "shear": (0.0, 10.0),
    "flipud": (0.0, 1.0),
    "fliplr": (0.0, 1.0),
    "mosaic": (0.0, 1.0),
    "mixup": (0.0, 1.0),
}
"""Hyperparameters and the ranges in which they are searched; wide positive ranges by their logarithm."""
_WIDE = 100.0


def evolve(options: TrainOptions, folder: Path, runs: int, log: Log) -> Path:
    """Train `runs` times with varied hyperparameters; the first run has those of `options`.

    The search is optuna's TPE sampler; its record in `evolve.db` lets an interrupted search resume, when
    called with the same folder.

    Args:
        options: options of each run; a few epochs are enough.
        folder: folder for runs, `evolve.db` and the result.
        runs: how many.
        log: called with a sentence after each run.

    Returns:
        `hyp_evolved.yaml`, which `--hyp` takes.

    Raises:
        MissingExtraError: optuna is not installed.
        TfyoloError: no run came to an end.
    """
    require("optuna")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = read_hyps(options.hyp, **options.hyp_overrides)
    database = folder / "evolve.db"
    with writing(database):
        study = optuna.create_study(
            study_name="evolve",
            storage=f"sqlite:///{database}",
            load_if_exists=True,
            direction="maximize",
        )
    # A sampler begins with the same random numbers for the same seed: a resumed search needs new ones.
    study.sampler = optuna.samplers.TPESampler(seed=options.seed + len(study.trials))
    states = [trial.state for trial in study.trials]  # RUNNING after a kill, FAIL after Ctrl-C
    completed = states.count(optuna.trial.TrialState.COMPLETE)
    if not completed and optuna.trial.TrialState.WAITING not in states:
        study.enqueue_trial(
            {name: min(max(getattr(first, name), low), high) for name, (low, high) in SEARCHED.items()}
        )

    def one(trial: optuna.Trial) -> float:
        chosen = {
            name: trial.suggest_float(name, low, high, log=low > 0 and high / low >= _WIDE)
            for name, (low, high) in SEARCHED.items()
        }
        run = replace(
            options, hyp_overrides={**options.hyp_overrides, **chosen}, plots=False, tensorboard=False
        )
        metrics = train(run, folder / f"run{trial.number}").metrics
        value = metrics_fitness(metrics) if metrics else 0.0
        log(f"run {trial.number + 1}: fitness {value:.4f}")
        return value

    with writing(database):
        study.optimize(one, n_trials=max(runs - completed, 0), catch=(TfyoloError,))
    if not any(trial.value is not None for trial in study.trials):
        raise TfyoloError("no run was completed", fix="try the same options without --evolve")
    best = Hyps.model_validate({**first.model_dump(), **study.best_params})
    path = folder / "hyp_evolved.yaml"
    with atomic(path) as temporary:
        text = yaml.safe_dump(best.model_dump(exclude_none=True), sort_keys=False)
        temporary.write_text(
            f"# fitness {study.best_value:.4f} after {len(study.trials)} runs\n{text}", encoding="utf-8"
        )
    return path
