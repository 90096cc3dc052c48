"""Exports the valid files that fuzzers mutate: a small model of each task."""

from __future__ import annotations

from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[1]
OTHERS = {"classifier": "tiny-cls.yaml", "segmenter": "tiny-seg.yaml"}
"""Configurations of models with the default kind of NMS, by name."""
NAMES = ("ant", "bee", "cat", "dog")


def exported(format_name: str, kinds: tuple[str, ...], folder: Path) -> list[Path]:
    """Return a file per kind of non-maximum suppression; missing ones are exported.

    Args:
        format_name: name of a format in export/registry.py.
        kinds: kinds of NMS, which may be followed by a precision: `none int8`. A key of `OTHERS` is that
            model.
        folder: folder of the files.
    """
    from tfyolo.export.registry import find_format

    suffix = find_format(format_name).suffix
    paths = {folder / f"{kind.replace(' ', '_')}{suffix}": kind for kind in kinds}
    missing = {path: kind for path, kind in paths.items() if not path.exists()}
    for path, kind in missing.items():
        _export(format_name, kind, path, suffix)
    return list(paths)


def _export(format_name: str, kind: str, path: Path, suffix: str) -> None:
    import keras
    import numpy as np

    from tfyolo.export.graph.options import GraphNmsOptions
    from tfyolo.export.job import ExportJob, export_model
    from tfyolo.export.options import ExportOptions
    from tfyolo.inference.load import create_predictor
    from tfyolo.models.network import Network
    from tfyolo.quantization.calibration import CalibrationOptions, calibrate
    from tfyolo.quantization.model import quantized_model

    nms, _, precision = kind.partition(" ")
    keras.utils.set_random_seed(0)
    made = create_predictor(CONFIGS / OTHERS.get(nms, "tiny.yaml"), names=NAMES)
    model, contract = made.model, made.contract
    if precision == "int8":
        network = Network.of(model, contract.spec)
        images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
        quantized = calibrate(network, images, CalibrationOptions(reconstruct=False))
        model, contract = quantized_model(*quantized, contract)
    request = ExportJob(
        model,
        contract,
        ExportOptions(
            image_size=(64, 64),
            nms="auto" if nms in OTHERS else nms,
            nms_options=GraphNmsOptions(confidence=0.01, candidates=100, max_detections=20),
            precision=precision or "float32",
        ),
    )
    export_model(request, [format_name], path.with_name(path.name.removesuffix(suffix)))
