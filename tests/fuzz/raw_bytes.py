"""Mutations of bytes, whatever they stand for."""

from __future__ import annotations

import random

EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def mutate(content: bytes, rng: random.Random, most: int = 8) -> bytes:
    """Change, remove, insert or repeat a few bytes, or cut the end off."""
    data = bytearray(content)
    for _ in range(rng.randint(1, most)):
        if not data:
            break
        # Half of the places near the start, where headers and structure are.
        at = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 2000))
        length = min(rng.choice((1, 1, 2, 4, 8, 64)), len(data) - at)
        kind = rng.randrange(5) if rng.random() < 0.97 else 5
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = bytes(rng.choice(EDGES) for _ in range(length))
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.randbytes(length)
        elif kind == 4:
            data[at:at] = data[at : at + length]
        else:
            del data[at:]
    return bytes(data)
