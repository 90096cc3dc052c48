"""Similarity of quantized segmentation models to the float model; test_mixed.py has that of detectors."""

import numpy as np
import pytest


def test_masks_count(tiny_seg):
    """A segmentation model is compared by its masks, at the size of the images; none are found in noise."""
    from tfyolo.models.network import Network
    from tfyolo.quantization.mixed import compare, heads_of

    network = Network.of(tiny_seg.model, tiny_seg.contract.spec)
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 3), np.uint8)
    heads = []
    for *scales, (prototypes,) in heads_of(network, None, images):  # random weights give pale masks
        heads.append([*scales, (prototypes / np.abs(prototypes).max() * 1000,)])
    same = compare(heads, heads, tiny_seg.contract)
    assert same.fidelity > 0.9  # some of the masks are empty or equal to others
    assert same.errors() == (0, pytest.approx(0, abs=1e-6), 0)
    turned = [[*scales, (-prototypes,)] for *scales, (prototypes,) in heads]
    other = compare(heads, turned, tiny_seg.contract)
    assert other.fidelity < same.fidelity / 2
    assert other.mask_error > 0.05
    assert other.errors()[:2] == same.errors()[:2]
    nothing = []
    for *scales, prototypes in heads:
        nothing.append([*((box, there - 20, *rest) for box, there, *rest in scales), prototypes])
    empty = compare(nothing, nothing, tiny_seg.contract)
    assert (empty.images, empty.errors()) == (2, (0, 0, 0))
