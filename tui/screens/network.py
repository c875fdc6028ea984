"""The network screen: whom the session talked to."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tui import details, terms
from tui.screens.base import SessionScreen
from tui.screens.overlay import DetailsScreen
from tui.snapshot import Peer, Snapshot
from tui.widgets.columns import ColumnHead
from tui.widgets.details import DetailsPane
from tui.widgets.peers import PeerList, peers_head
from tui.widgets.rows import RowList


class NetworkScreen(SessionScreen):
    mode = "network"

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="body"):
            with Vertical(id="main"):
                yield ColumnHead(peers_head)
                yield PeerList(id="peers")
            yield DetailsPane(id="details")

    def on_mount(self) -> None:
        self.query_one("#peers").border_title = "network"
        self.query_one("#details").border_title = "details"
        self.focus_list()

    def draw(self, snapshot: Snapshot) -> None:  # noqa: ARG002  the peers are asked for when they are shown
        self.query_one(PeerList).show(self.desk.model.peers())
        self._show_details()

    def _show_details(self) -> None:
        pane, peer = self.query_one(DetailsPane), self.query_one(PeerList).selected
        if pane.display:
            pane.show(details.of_peer(peer) if peer else details.of_session(self.snapshot.summary))

    def selected_peer(self) -> Peer | None:
        return self.query_one(PeerList).selected

    def selected_moment(self) -> int:
        peer = self.query_one(PeerList).selected
        return peer.first_ns if peer else 0

    def on_row_list_selected(self, _message: RowList.Selected) -> None:
        self._show_details()

    def on_row_list_opened(self, _message: RowList.Opened) -> None:
        """All that went there, in the stream; where there is no pane of details, those first."""
        peer = self.query_one(PeerList).selected
        if peer is None:
            return
        if not self.query_one(DetailsPane).display and not isinstance(self.app.screen, DetailsScreen):
            self.app.push_screen(DetailsScreen(details.of_peer(peer)))
            return
        self.rubicon.show_filtered(terms.added("", terms.of_peer(peer)[0], exclude=False))
