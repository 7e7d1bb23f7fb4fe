"""Names that are near what was typed."""

from __future__ import annotations

from collections.abc import Iterable


def near(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Those of `known` that are most like `word`, the nearest first."""
    from difflib import get_close_matches  # only a mistake needs it

    return get_close_matches(word, list(known), most)
