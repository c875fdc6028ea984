"""What the text of a command can be recognised by among the programs that ran."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

_CONTROL = frozenset(";&|()\n")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_BEFORE_A_COMMAND = frozenset({"then", "do", "else", "elif", "if", "while", "until", "!", "{", "time"})
_DESCRIPTOR = re.compile(r"(?<!\S)\d+(?=[<>])")  # of a redirection
_SCRIPT_OPTION = re.compile(r"-[a-zA-Z]*c")
WORDS_MAX = 20_000  # characters of a command that are looked at

Argv = tuple[str, ...]


def programs(command: str) -> list[Argv]:
    """The simple commands in it, as arguments that an exec of them has; as far as text alone tells.

    What is expanded (variables, patterns) does not look like what ran then. Not a shell: a hint.
    """
    text = _DESCRIPTOR.sub("", command[:WORDS_MAX]).replace("\n", " ; ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[Argv] = []
    words: list[str] = []
    skip = False
    try:
        for token in lexer:
            if set(token) <= _CONTROL:
                _add(found, words)
                words = []
            elif set(token) <= set("<>&"):  # a redirection: the word after it is a file
                skip = True
            elif skip:
                skip = False
            else:
                words.append(token)
    except ValueError:  # a quotation without an end
        pass
    _add(found, words)
    return found


def _add(found: list[Argv], words: Sequence[str]) -> None:
    start = 0
    while start < len(words) and (words[start] in _BEFORE_A_COMMAND or _ASSIGNMENT.match(words[start])):
        start += 1
    if start < len(words):
        found.append(key_of(words[start:]))


def key_of(args: Sequence[str]) -> Argv:
    """Arguments as they are compared: programs go by the last part of their name."""
    return os.path.basename(args[0]), *args[1:]


def script_of(args: Sequence[str]) -> str:
    """The text that an interpreter was started with (`sh -c TEXT`), without blanks around it; "" if none."""
    for place, argument in enumerate(args[1:], start=1):
        if _SCRIPT_OPTION.fullmatch(argument):
            return next((each.strip() for each in args[place + 1 :] if not each.startswith("-")), "")
    return ""


def quoted_forms(command: str) -> set[str]:
    """A command as it is, and as it stands within the single quotes of another (`eval '...'`)."""
    return {command, command.replace("'", "'\\''"), command.replace("'", "'\"'\"'")}
