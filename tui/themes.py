"""Colours. Levels are told apart by shape and word first.

The colours are from Okabe and Ito's set, made lighter, which people with the usual kinds of colour blindness
can tell apart. On a light background they are darker. With NO_COLOR (https://no-color.org) there are
none: what is selected is then reversed.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="rubicon",
    primary="#7aa2d6",
    secondary="#56b4e9",
    accent="#e5c07b",
    foreground="#d5d9e0",
    background="#101318",
    surface="#101318",
    panel="#1a1f27",
    success="#4cc9a0",
    warning="#e8b04a",
    error="#ff6b5e",
    variables={
        "level-critical": "#ff5f87", "level-high": "#ff8c42", "level-medium": "#f0d95c",
        "level-low": "#6cb8f0", "level-informational": "#9aa4b2",
        "family-process": "#7fc8a9", "family-network": "#d7a3e0", "family-file": "#8fb4e0",
        "quiet": "#7f8a99", "line": "#39424f", "marked": "#22344d",
    },
)  # fmt: skip
LIGHT = Theme(
    name="rubicon-light",
    primary="#2f5f9e",
    secondary="#0072b2",
    accent="#8a5a00",
    foreground="#1d232b",
    background="#fbfbf9",
    surface="#fbfbf9",
    panel="#eceef0",
    success="#00734d",
    warning="#8a5a00",
    error="#b3261e",
    dark=False,
    variables={
        "level-critical": "#b0003a", "level-high": "#b34700", "level-medium": "#7a6200",
        "level-low": "#00619e", "level-informational": "#5b6570",
        "family-process": "#00694b", "family-network": "#7d3c8c", "family-file": "#2f5f9e",
        "quiet": "#626c78", "line": "#c3c9d0", "marked": "#d3e2f5",
    },
)  # fmt: skip
THEMES = (DARK, LIGHT)
