"""The peers: one line for each other end that the session talked to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tracer.text import address
from tui import describe, terms
from tui.cells import Part, clip, fit, fit_right, parts_cells, shown, spread
from tui.snapshot import Peer
from tui.terms import Term
from tui.widgets.rows import RowList

SORTS = ("worst", "latest", "bytes", "name")
_WIDE = 100


class PeerList(RowList[Peer]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("s", "sort", "Sort", show=False)]

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id)
        self.empty_text = "nobody was talked to"
        self.sort = SORTS[0]
        self._peers: Sequence[Peer] = ()

    def show(self, peers: Sequence[Peer]) -> None:
        if peers is not self._peers:
            self._peers = peers
            self._order()

    def _order(self) -> None:
        peers = self._peers
        self.set_rows(tuple(ordered(peers, self.sort)))
        new = sum(not peer.known for peer in peers)
        self.border_subtitle = (
            f"{describe.several(len(peers), 'peer')}, {describe.number(new)} new · by {self.sort} (s)"
        )

    def action_sort(self) -> None:
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self._order()

    def forget(self) -> None:
        self._peers = ()
        super().forget()

    def key(self, row: Peer) -> Hashable:
        return row.name, row.port, row.transport, row.incoming

    def version(self, row: Peer) -> Hashable:
        return row.connects, row.failed, row.bytes_in, row.bytes_out, row.last_ns, row.level, row.known

    def draw(self, row: Peer, line: int, width: int) -> list[Part]:  # noqa: ARG002  rows of one line
        return peer_line(row, width)

    def terms(self, row: Peer) -> Sequence[Term]:
        return terms.of_peer(row)

    def is_marked(self, row: Peer) -> bool:
        return row.level is not None


def ordered(peers: Sequence[Peer], sort: str) -> Sequence[Peer]:
    """`worst` is the order the model gives."""
    match sort:
        case "latest":
            return sorted(peers, key=lambda each: -each.last_ns)
        case "bytes":
            return sorted(peers, key=lambda each: -(each.bytes_in + each.bytes_out))
        case "name":
            return sorted(peers, key=lambda each: (each.name, each.port))
        case _:
            return peers


def peer_line(peer: Peer, width: int) -> list[Part]:
    """Level, new or known, name and port; at the right edge protocol, times, bytes and who."""
    mark = fit(describe.LEVEL_MARKS[peer.level] if peer.level else "", 2)
    known: Part = (fit("", 4), "") if peer.known else (fit("new", 4), "note")
    left: list[Part] = [(mark, peer.level.value if peer.level else ""), known]
    failed = f"/{peer.failed}" if peer.failed else ""
    right: list[Part] = [
        (fit(f" {peer.protocol or peer.transport}", 9), "network"),
        (fit_right(f"{peer.connects}{failed}", 8), "failed" if peer.failed else ""),
        (fit_right(f"↑{describe.short_size(peer.bytes_out)}", 8), "dim"),
        (fit_right(f"↓{describe.short_size(peer.bytes_in)}", 8), "dim"),
        (fit_right(describe.clock_time(peer.last_ns), 9), "dim"),
    ]
    if width >= _WIDE:
        right.append((fit(f" {' '.join(peer.processes)}", min(30, width // 4)), ""))
    room = max(0, width - parts_cells([*left, *right]))
    return spread([*left, (clip(peer_name(peer), room), "strong")], right, width)


def peer_name(peer: Peer) -> str:
    if peer.transport == "unix":
        return f"unix {peer.name}"
    at = address(peer.ip, peer.port)
    if peer.incoming:
        return f"from {at}"
    return at if peer.name in ("", peer.ip) else f"{peer.name}:{peer.port} {peer.ip}"


def peers_head(width: int) -> list[Part]:
    right: list[Part] = [
        (shown(" protocol"), ""),
        (fit_right("times", 8), ""),
        (fit_right("sent", 8), ""),
        (fit_right("got", 8), ""),
        (fit_right("last", 9), ""),
    ]
    if width >= _WIDE:
        right.append((fit(" programs", min(30, width // 4)), ""))
    return spread([(shown("      peer"), "")], right, width)
