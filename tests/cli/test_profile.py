"""`tfyolo profile`."""

from __future__ import annotations

import pytest

from tfyolo.cli.main import main

SMALL = ("--channels", "16", "--size", "8", "--batch", "1", "--repeats", "1")


@pytest.fixture(scope="module")
def printed() -> str:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["profile", "SPP", "SPPF", "Conv(16, 3)", *SMALL]) == 0
    return out.getvalue()


def test_spp_and_sppf_are_equal(printed):
    assert "SPP and SPPF with the same weights: outputs differ by at most 0\n" in printed


def test_blocks_of_other_weights_are_not_compared(printed):
    assert "SPP and Conv(16, 3): weights or outputs differ in shape" in printed


@pytest.mark.parametrize(
    "text", ["SPP ", "SPPF ", "Conv(16, 3)", "1 x 8 x 8 x 16", "parameters", "backward ms"]
)
def test_table(printed, text):
    assert text in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("SPQ",), "`SPQ` is not a block with a single input"),
        (("Concat",), "`Concat` is not a block"),
        (("Conv(16, x)",), "`Conv(16, x)`"),
        (("SPP", "--batch", "0"), "0 is not a whole number"),
        ((), "required"),
    ],
)
def test_mistakes(capsys, arguments, words):
    try:
        code = main(["profile", *arguments])
    except SystemExit as exit_:  # argparse
        code = exit_.code
    assert (code, words in capsys.readouterr().err) == (2, True)
