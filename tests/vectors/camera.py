"""Cases that a camera brings with it: frames in YUV, held in any direction, and shown in a view."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfyolo.data.images.letterbox import Letterbox

Case = dict[str, Any]


def rgb_of_yuv(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """BT.601 of full range in 1/65536, as JPEG has it (ITU-T T.871, section 7).

    Args:
        y: (height, width) bytes; `u` and `v` alike, each sample repeated for its 2 x 2 pixels.

    Returns:
        (height, width, 3) uint8.
    """
    y, u, v = (plane.astype(np.int64) for plane in (y, u, v))
    u, v = u - 128, v - 128
    r = y + ((91881 * v + 32768) >> 16)
    g = y - ((22554 * u + 46802 * v + 32768) >> 16)
    b = y + ((116130 * u + 32768) >> 16)
    return np.clip(np.stack([r, g, b], -1), 0, 255).astype(np.uint8)


def yuv_cases() -> list[Case]:
    """Planes as YUV_420_888 lays them out, and the frame's RGB rows."""
    # height and width, bytes beyond a row, bytes from one chroma sample to the next, which chroma comes first
    shapes = [
        ("apart", (6, 8), 0, 1, "uv"),
        ("apart, rows padded", (10, 16), 9, 1, "uv"),
        ("v first, as NV21", (6, 8), 0, 2, "vu"),
        ("u first, as NV12", (10, 16), 0, 2, "uv"),
        ("v first, rows padded", (18, 34), 30, 2, "vu"),
        ("odd sides", (5, 7), 3, 2, "vu"),
        ("odd sides, apart", (7, 5), 1, 1, "uv"),
        ("one pixel", (1, 1), 0, 1, "uv"),
    ]
    rng = np.random.default_rng(6)
    return [_yuv_case(rng, *shape) for shape in shapes]


def _yuv_case(
    rng: np.random.Generator, name: str, image_size: tuple[int, int], beyond: int, step: int, order: str
) -> Case:
    height, width = image_size
    chroma_hw = ((height + 1) // 2, (width + 1) // 2)
    y = rng.integers(0, 256, image_size, np.uint8)
    u, v = rng.integers(0, 256, (2, *chroma_hw), np.uint8)
    # Black, white and the ends of each color difference, where sums leave 0 to 255.
    y.flat[: min(4, y.size)] = [0, 255, 0, 255][: y.size]
    u.flat[0], v.flat[-1] = 0, 255
    luma, y_stride = _laid_out(rng, y[..., None], beyond)
    both = np.stack([u, v] if order == "uv" else [v, u], -1)
    if step == 1:
        (first, stride), (second, _) = (_laid_out(rng, plane[..., None], beyond) for plane in (u, v))
    else:
        # One piece of memory; the second plane begins a byte later, and neither has the byte behind its last.
        memory, stride = _laid_out(rng, both, beyond)
        first, second = (memory[:-1], memory[1:]) if order == "uv" else (memory[1:], memory[:-1])
    wide = [plane.repeat(2, 0).repeat(2, 1)[:height, :width] for plane in (u, v)]
    return {
        "name": name,
        "image_hw": image_size,
        "y": luma.tolist(),
        "u": first.tolist(),
        "v": second.tolist(),
        "y_row_stride": y_stride,
        "uv_row_stride": stride,
        "uv_pixel_stride": step,
        "rgb": rgb_of_yuv(y, *wide).ravel().tolist(),
    }


def _laid_out(rng: np.random.Generator, plane: np.ndarray, beyond: int) -> tuple[np.ndarray, int]:
    """Rows with some bytes of anything between them, but not after the last; and the stride."""
    height, width, step = plane.shape
    rows = rng.integers(0, 256, (height, width * step + beyond), np.uint8)
    rows[:, : width * step] = plane.reshape(height, width * step)
    return rows.ravel()[: rows.size - beyond], width * step + beyond


def upright_cases() -> list[Case]:
    """Pixels of an image that is turned clockwise, then mirrored, then fitted into the input."""
    rng = np.random.default_rng(7)
    cases = []
    for image_size, target_hw in (((9, 13), (16, 16)), ((24, 16), (8, 12)), ((16, 16), (8, 8))):
        image = rng.integers(0, 256, (*image_size, 3), np.uint8)
        for rotation in (0, 90, 180, 270):
            for mirror in (False, True):
                turned = np.rot90(image, -rotation // 90)
                turned = np.ascontiguousarray(turned[:, ::-1] if mirror else turned)
                fit = Letterbox.fit(turned.shape[:2], target_hw)
                cases.append(
                    {
                        "name": f"{image_size} to {target_hw}, {rotation} degrees{', mirrored' * mirror}",
                        "image_hw": image_size,
                        "target_hw": target_hw,
                        "rotation": rotation,
                        "mirror": mirror,
                        "pixels_in": image.ravel().tolist(),
                        "pixels_out": fit.apply(turned).ravel().tolist(),
                    }
                )
    return cases


def view_cases() -> list[Case]:
    """Boxes in pixels of an image, and where they are in the view that shows it."""
    rng = np.random.default_rng(8)
    cases = []
    for image_size, view_hw in (
        ((720, 1280), (600, 400)),
        ((1280, 720), (2000, 1080)),
        ((480, 640), (480, 640)),
    ):
        for kind, choose in (("FIT_CENTER", min), ("FILL_CENTER", max)):
            scale = choose(view / image for view, image in zip(view_hw, image_size, strict=True))
            offset_xy = [(view - image * scale) / 2 for view, image in zip(view_hw, image_size, strict=True)][
                ::-1
            ]
            boxes = rng.integers(0, 4 * min(image_size), (3, 4)) / 4
            cases.append(
                {
                    "name": f"{image_size} in {view_hw}, {kind}",
                    "image_hw": image_size,
                    "view_hw": view_hw,
                    "scale_type": kind,
                    "boxes_in": boxes.tolist(),
                    "boxes_out": np.round(boxes * scale + np.tile(offset_xy, 2), 4).tolist(),
                }
            )
    return cases
