"""The watched command's own terminal, kept by an emulator (pyte): bytes in, lines of styled cells out."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import threading
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress

import pyte
from rich.color import Color, ColorParseError
from rich.segment import Segment
from rich.style import Style

HISTORY_LINES = 2_000
READ_BYTES = 65_536
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"})
_NAMES = {"brown": "yellow", "brightbrown": "bright_yellow", "default": "default"}
_KEYS = {
    "enter": "\r",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "backspace": "\x7f",
    "escape": "\x1b",
    "delete": "\x1b[3~",
    "insert": "\x1b[2~",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "space": " ",
}
_ARROWS = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_CURSOR_KEYS = 1 << 5  # DECCKM, as pyte numbers private modes


class CommandTerminal:
    """`descriptor` is the other end of the command's terminal. `changed` is called by the reading thread."""

    def __init__(self, descriptor: int, changed: Callable[[], object] = lambda: None) -> None:
        self.ended = False
        self._descriptor = descriptor
        self._changed = changed
        self._lock = threading.Lock()
        self._screen = pyte.HistoryScreen(80, 24, history=HISTORY_LINES, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="terminal", daemon=True)

    def start(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1)

    def _run(self) -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], 0.2)
            if not ready:
                continue
            try:
                data = os.read(self._descriptor, READ_BYTES)
            except OSError:  # nobody has the other end any more (EIO)
                data = b""
            if not data:
                break
            self.feed(data)
            self._changed()
        self.ended = True
        self._changed()

    def feed(self, data: bytes) -> None:
        """Nothing that a program writes may end the reading of what it writes next."""
        with self._lock, suppress(Exception):
            self._stream.feed(data)

    def resize(self, columns: int, lines: int) -> None:
        if columns < 1 or lines < 1:
            return
        with self._lock:
            self._shrink(lines)
            self._screen.resize(lines, columns)
        with suppress(OSError, ValueError):  # nobody has the other end any more
            fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _shrink(self, lines: int) -> None:
        """Fewer lines: those below the cursor go first. pyte takes all from the top, be they all there is."""
        screen = self._screen
        above = max(0, screen.cursor.y + 1 - lines)
        if above:
            y = screen.cursor.y
            screen.cursor_position(1, 1)
            screen.delete_lines(above)
            screen.cursor.y = y - above
        for y in range(lines, screen.lines):
            screen.buffer.pop(y, None)
        screen.lines = min(screen.lines, lines)

    def scroll(self, pages: int) -> None:
        with self._lock:
            for _ in range(abs(pages)):
                (self._screen.next_page if pages > 0 else self._screen.prev_page)()

    def line(self, y: int, *, cursor: bool) -> list[Segment]:
        """One line; `cursor`: where the command types is marked."""
        with self._lock:
            screen = self._screen
            row = screen.buffer[y] if y < screen.lines else {}
            cells = [row.get(x, screen.default_char) for x in range(screen.columns)]
            at = screen.cursor.x if cursor and y == screen.cursor.y and not screen.cursor.hidden else -1
        segments: list[Segment] = []
        for x, cell in enumerate(cells):
            if cell.data == "":  # the second half of a wide character
                continue
            segments.append(Segment(_shown(cell.data), _style(cell, marked=x == at)))
        return list(Segment.simplify(segments))

    def send(self, key: str, character: str | None) -> bool:
        """What a key means to a terminal; false for one that means nothing."""
        data = self._bytes_of(key, character)
        if data:
            self.write(data)
        return bool(data)

    def write(self, text: str) -> None:
        with suppress(OSError):
            os.write(self._descriptor, text.encode("utf-8", "surrogateescape"))

    def _bytes_of(self, key: str, character: str | None) -> str:
        if key in _KEYS:
            return _KEYS[key]
        if key in _ARROWS:
            application = _CURSOR_KEYS in self._screen.mode
            return f"\x1b{'O' if application else '['}{_ARROWS[key]}"
        if key.startswith("ctrl+") and len(key) == 6 and key[5].isalpha():
            return chr(ord(key[5].lower()) - 96)
        return character or ""

    @property
    def modes(self) -> frozenset[int]:
        return frozenset(self._screen.mode)


def _shown(data: str) -> str:
    """One character that is plainly visible: combining marks and what changes direction is left out."""
    first = data[0]
    return first if unicodedata.category(first) not in _UNSAFE else "\N{REPLACEMENT CHARACTER}"


def _style(cell: pyte.screens.Char, *, marked: bool) -> Style:
    return Style(
        color=_colour(cell.fg),
        bgcolor=_colour(cell.bg),
        bold=cell.bold,
        italic=cell.italics,
        underline=cell.underscore,
        strike=cell.strikethrough,
        reverse=cell.reverse != marked,
    )


def _colour(name: str, known: Mapping[str, str] = _NAMES) -> Color | None:
    if name == "default":
        return None
    if name in known:
        name = known[name]
    elif name.startswith("bright"):
        name = f"bright_{name[6:]}"
    elif len(name) == 6 and not name.isalpha():
        name = f"#{name}"
    with suppress(ColorParseError):
        return Color.parse(name)
    with suppress(ColorParseError):
        return Color.parse(f"#{name}")
    return None
