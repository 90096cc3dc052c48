"""Official release weights by name: downloaded once, verified, and announced with their license."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tfyolo.assets import MODELS
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, cache_folder, suffix_of
from tfyolo.libraries import require

RELEASE_URL = "https://github.com/ultralytics/yolov5/releases/download/v7.0"
SHA256 = {
    "yolov5n": "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3",
    "yolov5s": "8b3b748c1e592ddd8868022e8732fde20025197328490623cc16c6f24d0782ee",
    "yolov5m": "61d933360ba5a7733a36764996c800287d973889d875227f5beedd2473a97a56",
    "yolov5l": "2f603b7354c25454d1270663a14d8ddc1eea98e5eebc1d84ce0c6e3150fa155f",
    "yolov5x": "9f27a794fa0308e2606f90565164571d6f0a0ba18a3ce2e5e5d323b71c157859",
    "yolov5n6": "496c05a2b991da15acc6c4408c63da287f2513a46c6756618776d4dd71170781",
    "yolov5s6": "95bda9019ada63f37338308d0c81a66047a6fbaba061abaff271ba9334cf2a6f",
    "yolov5m6": "7afe7fa0f29a8351467200a2a5a33c7996d1155ed6636c7edd8ca70b14951c64",
    "yolov5l6": "b357b77f646b0190912985937c44e2923441369d5fda69ba86da2aa919212618",
    "yolov5x6": "257c991b216d625427dc4d9c7c76d6c6d93cf3732797538da34bdc02f97bfef0",
}
"""Checksums of the v7.0 release's detection checkpoints."""
LICENSE = "Ultralytics' weights are licensed AGPL-3.0 (https://ultralytics.com/license); tfyolo is not."


def fetch_weights(path_or_name: str | Path) -> Path:
    """Return the file of a path, of a shipped model (`bccd-n`), or of a release (`yolov5s` or `yolov5s.pt`).

    The search order is: current folder, shipped models, cache, download, which is announced on stderr.

    Raises:
        TfyoloError: there is no such file or release, or the download failed or has a wrong checksum.
    """
    path = Path(path_or_name)
    name = path.stem if suffix_of(path) == ".pt" else path.name
    is_release = path.name == str(path_or_name) and name in SHA256
    # A folder `yolov5s` may be a run or a clone, exported folders have longer names; "" is a folder, too.
    if str(path_or_name) and path.exists() and not (path.is_dir() and is_release):
        if path.is_dir() and suffix_of(path) in (".pt", ".pth", ".keras"):
            raise TfyoloError("is a folder", path=path, fix=f"pass a {path.suffix} file")
        return path
    if str(path_or_name) in MODELS:
        return MODELS[str(path_or_name)]
    if not is_release:
        hint = f"pass a file, or one of {', '.join([*MODELS, *SHA256])}"
        raise TfyoloError("no such model file", path=path, fix=hint)
    local = Path(f"{name}.pt")
    if local.is_file():
        return local
    cached = cache_folder() / local
    if cached.exists() and hashlib.sha256(cached.read_bytes()).hexdigest() == SHA256[name]:
        return cached
    return _download(name, cached)


def output_stem(path_or_name: str | Path) -> Path:
    """Return the path without suffix for files made from weights: next to a file, or here for known names.

    Example:
        >>> output_stem("bccd-n").name
        'bccd-n'
    """
    path = fetch_weights(path_or_name)
    return path.with_suffix("") if path == Path(path_or_name) else Path(path.stem)


def _download(name: str, target: Path) -> Path:
    from tfyolo.models.build import import_keras

    require("tensorflow", "keras")  # which also run what is downloaded
    url = f"{RELEASE_URL}/{target.name}"
    print(f"downloading {url}\n{LICENSE}", file=sys.stderr)
    try:
        # get_file shows progress and verifies the checksum, but does not delete a wrong file.
        with atomic(target) as temporary:
            import_keras().utils.get_file(
                temporary.name,
                url,
                file_hash=SHA256[name],
                hash_algorithm="sha256",
                cache_dir=temporary.parent,
                cache_subdir="",
            )
    except Exception as error:  # URL errors, time-outs and checksum mismatches come as different kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise TfyoloError(
            f"{url} could not be downloaded: {reason}",
            fix=f"download it on another machine and copy it to {target}, or pass the path of a .pt file",
        ) from error
    return target
