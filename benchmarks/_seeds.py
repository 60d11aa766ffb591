"""Seeds on the command line: "42-51", "42,43,50"."""

from __future__ import annotations

import argparse


def seeds_of(text: str) -> list[int]:
    """The seeds in order; raises `argparse.ArgumentTypeError` where it is no list of numbers."""
    try:
        found: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not like 42-51 or 42,43") from None
    if not found:
        raise argparse.ArgumentTypeError(f"{text} has no seed in it")
    return found
