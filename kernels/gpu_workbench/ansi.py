"""What a terminal would show, as HTML: colours (ANSI's SGR), and lines that overwrite themselves.

Pure. Everything that is not a colour is dropped; what remains is escaped.
"""

from __future__ import annotations

import re
from html import escape

_SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)([A-Za-z])|\x1b[^\[]|\x1b$")
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_PLAIN = ("#3e424d", "#c9372c", "#1f845a", "#b38600", "#2f80d0", "#8e5bb5", "#227d9b", "#a1a6b4")
_LEVELS = (0, 95, 135, 175, 215, 255)


def lines(text: str) -> list[str]:
    """Lines as they stand in the end: of a progress bar only what it showed last."""
    return [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]


def plain(text: str) -> str:
    """Without any colours."""
    return _SEQUENCE.sub("", text)


def html(text: str) -> str:
    """Escaped, with a span wherever it is coloured, bold or underlined."""
    pieces: list[str] = []
    style: dict[str, str] = {}
    at = 0
    for found in _SEQUENCE.finditer(text):
        pieces.append(_span(text[at : found.start()], style))
        at = found.end()
        if found[2] == "m":
            _apply(found[1] or "0", style)
    return "".join([*pieces, _span(text[at:], style)])


def _span(text: str, style: dict[str, str]) -> str:
    if not text or not style:
        return escape(text)
    css = ";".join(f"{name}:{value}" for name, value in style.items())
    return f'<span style="{css}">{escape(text)}</span>'


def _apply(codes: str, style: dict[str, str]) -> None:
    rest = [int(code or 0) for code in re.split("[;:]", codes)]
    while rest:
        code = rest.pop(0)
        if code == 0:
            style.clear()
        elif code == 1:
            style["font-weight"] = "bold"
        elif code == 4:
            style["text-decoration"] = "underline"
        elif code in (22, 24, 39, 49):
            name = {22: "font-weight", 24: "text-decoration", 39: "color", 49: "background"}[code]
            style.pop(name, None)
        elif code in (38, 48):
            colour = _extended(rest)
            if colour:
                style["color" if code == 38 else "background"] = colour
        else:
            for first, name in ((30, "color"), (40, "background"), (90, "color")):
                if first <= code < first + 8:
                    style[name] = _named(code - first)


def _named(number: int) -> str:
    """JupyterLab's own colours, which fit its themes."""
    return f"var(--jp-ansi-{_NAMES[number]},{_PLAIN[number]})"


def _extended(rest: list[int]) -> str | None:
    """`5;n` of 256 colours, or `2;r;g;b`; takes its numbers from `rest`."""
    kind = rest.pop(0) if rest else None
    if kind == 2 and len(rest) >= 3:
        red, green, blue = (min(rest.pop(0), 255) for _ in range(3))
        return f"#{red:02x}{green:02x}{blue:02x}"
    if kind != 5 or not rest:
        return None
    number = min(rest.pop(0), 255)
    if number < 16:
        return _named(number % 8)
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    number -= 16
    red, green, blue = (_LEVELS[number // one % 6] for one in (36, 6, 1))
    return f"#{red:02x}{green:02x}{blue:02x}"
