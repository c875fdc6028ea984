"""The one place where text from traced programs is made safe to show.

A hostile agent chooses its paths, arguments and names. `printable` makes any of them harmless on a
terminal, in a widget and on a page: no control bytes, escape sequences, line breaks, invisible or
direction-changing characters, and no bytes that are not UTF-8. It does not escape markup: widgets
and pages are handed text objects, never markup strings.
"""

from __future__ import annotations

import os
import re
import unicodedata

_PLAIN = re.compile(r"[ -\[\]-~]*")  # printable ASCII without the backslash
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
# Other, separators that are not the space, and combining marks are drawn by their code point.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"})


def printable(text: str) -> str:
    """`text` with everything that is not plainly visible written as an escape.

    Bytes that were not UTF-8 (held as surrogates, PEP 383) become ``\\xNN``, other code points
    ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``; the backslash is doubled, so the result is unambiguous.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if " " <= character <= "~" and character != "\\":
        return character
    named = _NAMED.get(character)
    if named is not None:
        return named
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def address(host: str, port: int) -> str:
    """A host and its port as people and URLs write them; without a port when that is 0."""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{bracketed}:{port}" if port else bracketed


def valid_unicode(text: str) -> str:
    """`text` as strict JSON and UTF-8 writers need it: bytes that were not UTF-8 become ``\\xNN``."""
    if text.isascii():
        return text
    try:
        return os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte: only in a forged trace
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
