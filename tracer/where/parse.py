"""Text -> tree. The grammar is in `tracer.where`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracer.errors import UsageError

MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<bracket>[()]) |
        (?P<not>[!-])(?=[\w("@]) |
        (?P<term>(?P<field>@?[A-Za-z_][\w.]*)(?P<op>!=|>=|<=|[:~<>=])
            (?P<value>(?:"(?:[^"\\]|\\.)*"?|[^\s()"])*)) |
        (?P<word>"(?:[^"\\]|\\.)*"?|[^\s()"]+)
    )""",
    re.VERBOSE,
)
_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"?|([^",]+)|(,)')


class WhereError(UsageError):
    """A mistake in a filter; `place` counts characters from 0."""

    def __init__(self, message: str, place: int) -> None:
        self.place = place
        super().__init__(f"filter, at character {place + 1}: {message}")


@dataclass(frozen=True, slots=True)
class Word:
    text: str


@dataclass(frozen=True, slots=True)
class Term:
    """`values` are the alternatives; of each whether it stood in quotes: then `*` and `..` are plain."""

    field: str
    operator: str
    values: tuple[tuple[str, bool], ...]
    place: int


@dataclass(frozen=True, slots=True)
class Not:
    child: Node


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Node, ...]


Node = Word | Term | Not | And | Or


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int
    node: Word | Term | None = None


def parse(text: str) -> Node | None:
    """None for a text that asks for nothing. Raises WhereError."""
    tokens = _tokens(text)
    if not tokens:
        return None
    parser = _Parser(tokens, len(text))
    node = parser.alternatives(0)
    if (left := parser.peek()) is not None:
        raise WhereError('a ")" without its "("', left.place)
    return node


def quoted(value: str) -> str:
    """`value` as it has to be written to stand for itself."""
    if value and re.fullmatch(r"[\w./:@+=%-]+", value) and ".." not in value:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tokens(text: str) -> list[_Token]:
    tokens = []
    place = 0
    while place < len(text) and text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:  # a lone sign that says nothing yet, as while it is typed
            raise WhereError(f"{text[place:].strip()[:1]!r} says nothing here", place)
        tokens.append(_token(found))
        place = found.end()
    return tokens


def _token(found: re.Match[str]) -> _Token:
    if bracket := found["bracket"]:
        return _Token(bracket, bracket, found.start("bracket"))
    if found["not"]:
        return _Token("not", found["not"], found.start("not"))
    if found["term"] is not None:
        place = found.start("term")
        operator = ":" if found["op"] == "=" else found["op"]
        term = Term(found["field"], operator, _values(found["value"]), place)
        return _Token("term", found["term"], place, term)
    word, place = found["word"], found.start("word")
    if word.lower() in ("and", "or", "not"):
        return _Token(word.lower(), word, place)
    return _Token("word", word, place, Word("".join(value for value, _quoted in _values(word, whole=True))))


def _values(text: str, *, whole: bool = False) -> tuple[tuple[str, bool], ...]:
    """The alternatives between commas; `whole`: a comma is a character like others."""
    values: list[tuple[str, bool]] = []
    current, any_quoted, open_value = "", False, False
    for inside, plain, comma in _PIECE.findall(text):
        if comma and not whole:
            values.append((current, any_quoted))
            current, any_quoted, open_value = "", False, False
            continue
        any_quoted = any_quoted or not (plain or comma)
        current += plain or comma or re.sub(r"\\(.)", r"\1", inside)
        open_value = True
    if open_value or not values:
        values.append((current, any_quoted))
    return tuple(values)


class _Parser:
    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = end

    def peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def alternatives(self, depth: int) -> Node:
        nodes = [self._together(depth)]
        while (token := self.peek()) is not None and token.kind == "or":
            self._next += 1
            nodes.append(self._together(depth))
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _together(self, depth: int) -> Node:
        nodes = [self._one(depth)]
        while (token := self.peek()) is not None and token.kind not in ("or", ")"):
            if token.kind == "and":
                self._next += 1
            nodes.append(self._one(depth))
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _one(self, depth: int) -> Node:
        token = self.peek()
        if token is None:
            raise WhereError("something is missing at the end", self._end)
        if depth > MAX_DEPTH:
            raise WhereError("too many brackets within brackets", token.place)
        self._next += 1
        if token.node is not None:
            return token.node
        if token.kind == "not":
            return Not(self._one(depth + 1))
        if token.kind == "(":
            return self._bracket(token, depth)
        raise WhereError(f'"{token.text}" where a term belongs', token.place)

    def _bracket(self, opened: _Token, depth: int) -> Node:
        node = self.alternatives(depth + 1)
        token = self.peek()
        if token is None:
            raise WhereError('a "(" without its ")"', opened.place)
        self._next += 1
        return node
