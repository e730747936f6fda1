"""Icons, inline: 16 by 16, one stroke, the colour of the text they stand beside.

Source: console document, §11.5. The shapes are our own.
"""

# ruff: noqa: E501 - the outline of a shape is one word

from __future__ import annotations

from typing import Final

from markupsafe import Markup

__all__ = ["GLYPH", "icon"]

GLYPH: Final = (
    '<rect width="24" height="24" rx="7" class="glyph-ground"/>'
    '<g class="glyph-lines"><path d="M7 5v14"/><path d="M5.4 5h3.2"/>'
    '<path d="M7 8.5h3.7V12h3.6v3.5H18V19"/></g>'
)
"""The newel post with its cap and three steps, on a 24-unit square. Console document, §4."""

_PATHS: Final[dict[str, str]] = {
    "tick": "M3.2 8.6 6.4 11.8 12.8 4.8",
    "cross": "M4.2 4.2 11.8 11.8M11.8 4.2 4.2 11.8",
    "slash": "M8 1.9a6.1 6.1 0 1 0 0 12.2A6.1 6.1 0 1 0 8 1.9zM3.7 12.3 12.3 3.7",
    "triangle": "M8 2.4 14.2 13.2H1.8zM8 6.4v3.2M8 11.4v.1",
    "person": "M8 8a2.8 2.8 0 1 0 0-5.6A2.8 2.8 0 0 0 8 8zM2.9 13.8c.5-2.6 2.5-3.9 5.1-3.9s4.6 1.3 5.1 3.9",
    "again": "M13 8a5 5 0 1 1-1.6-3.7M13 2.4v2.9h-2.9",
    "ring": "M13.4 8A5.4 5.4 0 1 1 8 2.6",
    "hourglass": "M4.2 2.2h7.6M4.2 13.8h7.6M5 2.4c0 3 3 3.6 3 5.6s-3 2.6-3 5.6M11 2.4c0 3-3 3.6-3 5.6s3 2.6 3 5.6",
    "hand": "M8 1.9a6.1 6.1 0 1 0 0 12.2A6.1 6.1 0 1 0 8 1.9zM5.2 8.3 7.2 10.2 10.9 6.1",
    "question": "M8 1.9a6.1 6.1 0 1 0 0 12.2A6.1 6.1 0 1 0 8 1.9zM6.3 6.4a1.8 1.8 0 1 1 2.6 1.7c-.6.3-.9.6-.9 1.2M8 11.3v.1",
    "dots": "M8 2.6v.1M11.8 4.2v.1M13.4 8v.1M11.8 11.8v.1M8 13.4v.1M4.2 11.8v.1M2.6 8v.1M4.2 4.2v.1",
    "people": "M6 7.6a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.6 13.2c.4-2.4 2.1-3.5 4.4-3.5s4 1.1 4.4 3.5M10.6 2.9a2.4 2.4 0 0 1 0 4.5M12 9.9c1.3.5 2.1 1.6 2.4 3.3",
    "runs": "M5.8 3.6H10a2.2 2.2 0 0 1 2.2 2.2v4.6M10.2 12.4H6a2.2 2.2 0 0 1-2.2-2.2V5.6M3.8 5.4a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6zM12.2 14.2a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6z",
    "tray": "M1.9 9.3 3.9 3h8.2l2 6.3v3.9H1.9zM1.9 9.3h3.6c.2 1.3 1.1 2 2.5 2s2.3-.7 2.5-2h3.6",
    "plus": "M8 3v10M3 8h10",
    "search": "M7 11.6A4.6 4.6 0 1 0 7 2.4a4.6 4.6 0 0 0 0 9.2zM10.4 10.4 13.8 13.8",
    "menu": "M2.4 4.2h11.2M2.4 8h11.2M2.4 11.8h11.2",
    "arrow": "M6 3.2 10.8 8 6 12.8",
    "play": "M4.6 2.9v10.2L13 8z",
    "pause": "M5.4 3v10M10.6 3v10",
    "flag": "M3.6 14V2.4h8.2l-1.8 3 1.8 3H3.6",
    "ticket": "M2 4.4h12v2.2a1.4 1.4 0 0 0 0 2.8v2.2H2V9.4a1.4 1.4 0 0 0 0-2.8z",
    "plug": "M5.6 2.2v3.2M10.4 2.2v3.2M3.8 5.4h8.4v2.2a4.2 4.2 0 0 1-8.4 0zM8 11.8v2.4",
    "arrows": "M2.4 5.4h10.8M10.6 2.8l2.6 2.6-2.6 2.6M13.6 10.6H2.8M5.4 8 2.8 10.6l2.6 2.6",
    "key": "M6 11.6a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM8.6 6.4 13.4 2.2M11.2 4.2l1.7 1.9",
}


def icon(name: str, *, title: str = "") -> Markup:
    """Draw an icon; title: its name where no text stands beside it."""
    drawn = Markup('<path d="{}"/>').format(_PATHS[name])
    if title:
        return Markup(
            '<svg class="icon" viewBox="0 0 16 16" role="img" aria-label="{}">{}</svg>'
        ).format(title, drawn)
    return Markup('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(drawn)
