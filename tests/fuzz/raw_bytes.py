"""Mutations of bytes, independent of the file format."""

from __future__ import annotations

import random

EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def mutate(content: bytes, rng: random.Random, max_mutations: int = 8) -> bytes:
    """Change, remove, insert or repeat a few bytes, or truncate the file."""
    data = bytearray(content)
    for _ in range(rng.randint(1, max_mutations)):
        if not data:
            break
        # Half of the positions are near the start of the file, where headers are.
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
