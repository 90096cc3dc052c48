"""Labels of a scatter plot's points that overlap neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

MARK_PX = 11.0
"""Half of the square around a point that texts stay out of."""
GAP_PX = 4.0
"""Around a text."""
RINGS = 14
"""How far off a text may go, in steps of 16 pixels."""
SWEEPS = 3
"""Times that each text looks for its place; from the second on it sees all others."""


class _Place(NamedTuple):
    """Where a text may stand, in pixels."""

    point: np.ndarray
    center: np.ndarray
    box: np.ndarray
    """(4,): left, bottom, right, top, with the gap."""
    distance: float
    """How far off; beside a point is better than above it."""

    @property
    def has_line(self) -> bool:
        """Whether it is so far off that a line has to lead to it."""
        return self.distance >= 16


def place_labels(
    figure: Any,
    axes: Any,
    x: np.ndarray,
    y: np.ndarray,
    texts: Sequence[str],
    colors: Sequence[str],
    others_xy: np.ndarray | None = None,
) -> None:
    """Write a text near each point, and a thin line to the point where it stands further off.

    Each text takes the place around its point that costs least: distance costs little, a line through another
    point or text more, and what touches a text, a point or the edge is the last resort.

    Args:
        figure: whose layout is final but for the labels.
        axes: of the points; limits and scales are final.
        x: (n,) in data coordinates.
        y: (n,) in data coordinates.
        texts: of each point.
        colors: of each text.
        others_xy: (m, 2) points without a text in data coordinates, which texts stay off, too.
    """
    figure.draw_without_rendering()  # settles the layout, so that pixels are known
    points = axes.transData.transform(np.column_stack([x, y]))
    frame = axes.get_window_extent()
    shares = axes.transAxes.inverted()  # a PDF has another number of pixels than was measured with
    labels, choices = [], []
    for point, text, color in zip(points, texts, colors, strict=True):
        label = axes.text(
            0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=9, color=color,
            zorder=4,
        )  # fmt: skip
        size = label.get_window_extent()
        labels.append(label)
        choices.append(_places(point, np.array([size.width, size.height]) / 2))
    edges = np.array([frame.x0, frame.y0, frame.x1, frame.y1])
    others = axes.transData.transform(others_xy) if others_xy is not None else points[:0]
    for index, place in _choose(points, choices, edges, others).items():
        labels[index].set_position(shares.transform(place.center))
        if place.has_line:
            way = shares.transform([place.point, _end(place)])
            axes.plot(
                *way.T, transform=axes.transAxes, color=colors[index], alpha=0.5, linewidth=0.8, zorder=2
            )


def _choose(
    points: np.ndarray, choices: Sequence[Sequence[_Place]], edges: np.ndarray, without_text: np.ndarray
) -> dict[int, _Place]:
    """The cheapest place of each text."""
    marked = np.concatenate([points, without_text])
    marks = np.hstack([marked - MARK_PX, marked + MARK_PX])
    distances = np.linalg.norm((points[:, None] - points[None]) / (1.0, 0.4), axis=-1)
    # Points with near neighbors choose first, while there is room.
    order = np.argsort(-np.exp(-distances / 120).sum(1), kind="stable")
    chosen: dict[int, _Place] = {}
    for _ in range(SWEEPS):
        for index in order:
            others = [place for other, place in chosen.items() if other != index]
            boxes = np.array([place.box for place in others]).reshape(-1, 4)
            lines = [place for place in others if place.has_line]
            apart = marks[np.abs(marked - points[index]).max(1) > MARK_PX]

            best, lowest = choices[index][0], np.inf
            for place in choices[index]:
                outside = (place.box[:2] < edges[:2]).any() or (place.box[2:] > edges[2:]).any()
                cost = place.distance + 1e5 * outside
                cost += 1e4 * (_overlaps(place.box, boxes) + _overlaps(place.box, marks))
                if cost >= lowest:  # lines can only add to it
                    continue
                cost += 1e3 * sum(_crossed(line, place.box[None]) for line in lines)
                if place.has_line:
                    cost += 1e3 * _crossed(place, boxes) + 500 * _crossed(place, apart)
                if cost < lowest:
                    best, lowest = place, cost
            chosen[int(index)] = best
    return chosen


def _places(point: np.ndarray, half: np.ndarray) -> list[_Place]:
    """Around a point, for a text of half this width and height."""
    places = []
    for ring in range(RINGS):
        for angle in np.arange(24) * (np.pi / 12):
            direction = np.array([np.cos(angle), np.sin(angle)])
            # The text's edge, not its center, stands on the ring.
            edge = half * np.clip(1.5 * direction, -1, 1)
            center = point + direction * (MARK_PX + GAP_PX + 1 + 16.0 * ring) + edge
            beside = 0.0 if angle == 0 else 3.0
            box = np.hstack([center - half - GAP_PX, center + half + GAP_PX])
            places.append(_Place(point, center, box, 16.0 * ring + beside))
    return places


def _overlaps(box: np.ndarray, others: np.ndarray) -> int:
    """How many of the others a box touches."""
    apart = (box[:2] > others[:, 2:]) | (box[2:] < others[:, :2])
    return int((~apart.any(1)).sum())


def _crossed(place: _Place, boxes: np.ndarray) -> int:
    """How many boxes the line to a place runs through."""
    steps = place.point + np.linspace(0, 1, 24)[:, None] * (_end(place) - place.point)
    inside = (steps[:, None] > boxes[None, :, :2]) & (steps[:, None] < boxes[None, :, 2:])
    return int(inside.all(-1).any(0).sum())


def _end(place: _Place) -> np.ndarray:
    """Where the line meets the text: the point of its box that is nearest to the mark."""
    return np.clip(place.point, place.box[:2] + GAP_PX / 2, place.box[2:] - GAP_PX / 2)
