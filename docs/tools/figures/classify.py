"""Center crop: how an image becomes the input of a classifier."""

from __future__ import annotations

from pathlib import Path

from docs.tools.figures._cells import RED, draw_box, save, start


def draw(folder: Path) -> None:
    """Draw `center_crop.jpg`."""
    from tfyolo.assets import SAMPLE_IMAGE
    from tfyolo.data.images.center_crop import center_crop
    from tfyolo.data.images.read import read_image

    image = read_image(SAMPLE_IMAGE)
    height, width = image.shape[:2]
    left = (width - height) // 2
    figure, axes = start(1, 2, (6.4, 3.0), width_ratios=(640, 480))
    axes[0].imshow(image)
    axes[0].axvspan(0, left, color="white", alpha=0.65)
    axes[0].axvspan(left + height, width, color="white", alpha=0.65)
    draw_box(axes[0], (left, 2, left + height, height - 2), RED, 3)
    axes[0].set(xlim=(0, width), ylim=(height, 0))
    axes[0].set_title(f"image {width} × {height},\nlargest centered square", fontsize=13)
    axes[1].imshow(center_crop(image, (224, 224)))
    axes[1].set_title("input of the network,\n224 × 224", fontsize=13)
    for panel in axes:
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set_visible(False)
    save(figure, folder / "center_crop.jpg")
