"""Words into terminal cells: the only way by which text gets into a drawn line.

`Shown` is text that is safe to draw and of known width; only the functions here make it, and mypy sees to it
that nothing else is drawn. The input is raw: it is escaped here, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NewType

from rich.cells import cell_len, set_cell_size

from tracer.text import printable

Shown = NewType("Shown", str)

# A piece of a line: safe text, and the component class that gives its style ("" for the plain one).
Part = tuple[Shown, str]

ELLIPSIS = "…"


def shown(text: str) -> Shown:
    """`text` escaped, at its full length."""
    return Shown(printable(text))


def fit(text: str, width: int) -> Shown:
    """`text` in exactly `width` cells: filled with spaces, or cut at its end and marked with an ellipsis."""
    return _pad(clip(text, width), width)


def fit_right(text: str, width: int) -> Shown:
    """As `fit`, but at the right edge: for numbers."""
    clipped = clip(text, width)
    return Shown(" " * (width - cells(clipped)) + clipped)


def fit_middle(text: str, width: int) -> Shown:
    """As `fit`, but cut in the middle: the beginning and the end of a path say most."""
    if width <= 0:
        return Shown("")
    # Every character takes at least a cell, but for rare ones of no width: cut before escaping, for speed.
    if len(text) > 2 * width + 2:
        text = text[: width + 1] + text[-width - 1 :]
    safe = printable(text)
    if cell_len(safe) <= width:
        return _pad(Shown(safe), width)
    if width < 3:
        return fit(text, width)
    head = (width - 1) // 3
    tail = width - 1 - head
    return _pad(Shown(set_cell_size(safe, head) + ELLIPSIS + _tail(safe, tail)), width)


def clip(text: str, width: int) -> Shown:
    """`text` escaped and at most `width` cells wide, with an ellipsis where it was cut."""
    if width <= 0:
        return Shown("")
    safe = printable(text[: width + 1])
    if cell_len(safe) <= width and len(text) <= width + 1:
        return Shown(safe)
    return Shown(set_cell_size(safe, width - 1) + ELLIPSIS)


def cells(text: Shown) -> int:
    """How many cells it takes."""
    return cell_len(text)


def parts_cells(parts: Iterable[Part]) -> int:
    """How many cells they take together."""
    return sum(cell_len(text) for text, _style in parts)


def crop_parts(parts: Iterable[Part], width: int) -> list[Part]:
    """The parts that fit into `width`; the one across the edge is cut there."""
    kept: list[Part] = []
    for text, style in parts:
        room = width - parts_cells(kept)
        if room <= 0:
            break
        kept.append((text if cell_len(text) <= room else Shown(set_cell_size(text, room)), style))
    return kept


def spread(left: Iterable[Part], right: Iterable[Part], width: int) -> list[Part]:
    """`left` and `right` at the two edges of a line; when it is too short, `left` is cut."""
    right = crop_parts(right, width)
    left = crop_parts(left, width - parts_cells(right))
    gap = width - parts_cells(left) - parts_cells(right)
    return [*left, (Shown(" " * gap), ""), *right]


def _pad(text: Shown, width: int) -> Shown:
    return Shown(text + " " * (width - cell_len(text)))


def _tail(text: str, width: int) -> str:
    """The end of `text`, at most `width` cells of it."""
    start = max(0, len(text) - width)
    while cell_len(text[start:]) > width:
        start += 1
    return text[start:]
