"""From a key to something done: what is selected, the question, the command, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tracer.control import Reply
from tracer.errors import RubiconError
from tracer.text import printable
from tracer.where import Where
from tui import acts
from tui.acts import Act, Session
from tui.screens.menus import Choice, ChoiceScreen, ConfirmScreen, Question

if TYPE_CHECKING:
    from tracer.rules.entries import PolicyEntry
    from tui.app import RubiconApp
    from tui.screens.base import SessionScreen

NOT_LIVE = frozenset({"export", "report"})


class Acting:
    """Everything that is done waits for a yes, and is done by a thread: the screen goes on meanwhile."""

    def __init__(self, app: RubiconApp, session: Callable[..., Session] = Session) -> None:
        self._app = app
        self._session = session

    def start(self, name: str, screen: SessionScreen) -> None:
        """`name` as in the bindings of `SessionScreen`. What cannot be done is said, with the reason."""
        why = acts.objection(screen.snapshot.summary, self._app.desk.trace)
        if why and name not in NOT_LIVE:
            self._refuse(f"read-only: {why}")
            return
        getattr(self, f"_{name}")(screen)

    def _refuse(self, why: str) -> None:
        self._app.notify(why, severity="warning", timeout=4, markup=False)

    # What each act is about

    def _freeze(self, _screen: SessionScreen) -> None:
        self._ask(acts.freeze())

    def _thaw(self, _screen: SessionScreen) -> None:
        self._ask(acts.thaw())

    def _kill(self, _screen: SessionScreen) -> None:
        self._ask(acts.kill_all())

    def _kill_process(self, screen: SessionScreen) -> None:
        process = screen.selected_process()
        if process is None:
            self._refuse("select a process first, or something that one did")
            return
        row = next(
            (each for each in screen.snapshot.processes if each.process.entity_id == process.entity_id), None
        )
        if row is not None and row.exit is not None:
            self._refuse(f"{process.name}[{process.pid}] has ended already")
            return
        self._ask(acts.kill_process(process, row.children if row else 0))

    def _deny(self, screen: SessionScreen) -> None:
        ip, name = acts.peer_of(screen.selected_peer())
        if ip:
            self._ask(acts.deny(ip, name))
        else:
            self._refuse("select a connection, or a peer on the network screen (2)")

    def _allow(self, screen: SessionScreen) -> None:
        from tracer.rules.entries import entries_for  # with it all that reads rules, which a screen need not

        violation = screen.selected_violation()
        entries = entries_for(violation) if violation else ()
        if not entries:
            self._refuse("select a violation of the policy: a detection is no line of a policy")
            return
        choices = [Choice(printable(f"{each.place}: {each.entry}"), each) for each in entries]

        def chosen(entry: PolicyEntry | None) -> None:
            if entry is not None:
                arguments = {"place": entry.place, "entry": entry.entry, "write": False}
                self._run("allow", arguments, partial(self._show_diff, entry))

        self._app.push_screen(ChoiceScreen("allow in the policy", choices), chosen)

    def _show_diff(self, entry: PolicyEntry, reply: Reply) -> None:
        if not reply.ok:
            self._refuse(reply.message)
            return
        diff = [str(line) for line in reply.data.get("diff", ())]
        self._ask(acts.allow(entry, str(reply.data.get("path", "")), diff))

    def _export(self, screen: SessionScreen) -> None:
        """What passes the filter; without one, what is selected."""
        from tui.saving import new_file, save_events  # takes a while to load, and most never ask for it

        trace = self._app.desk.trace
        text = self._app.desk.filter_text or screen.selected_text()
        if trace is None or not text:
            self._refuse("set a filter (/), or select something")
            return
        out = new_file(Path.cwd(), screen.snapshot.summary.session.id, ".jsonl")
        words = f"What passes this filter is written as JSON lines:\n\n    {text}\n\ninto {out}"

        def do() -> str:
            return f"{save_events(trace, Where(text), out):,} events are in {out}"

        self._confirm(Question("export selection", words, "write the file"), do)

    def _report(self, screen: SessionScreen) -> None:
        from tui.saving import new_file, save_report  # as above

        trace = self._app.desk.trace
        if trace is None:
            self._refuse("there is no trace to write a report of")
            return
        out = new_file(Path.cwd(), screen.snapshot.summary.session.id, ".html")

        def do() -> str:
            save_report(trace, out)
            return f"the report is in {out}"

        self._confirm(
            Question("write report", f"A page about this session is written into {out}", "write it"), do
        )

    # Asking, and doing

    def _confirm(self, question: Question, do: Callable[[], str]) -> None:
        """After a yes, `do` is done by a thread; it returns what to say."""

        def work() -> None:
            try:
                reply = Reply(ok=True, message=do())
            except (RubiconError, OSError) as error:
                reply = Reply(ok=False, message=str(error))
            self._app.call_from_thread(self._tell, reply)

        def answered(yes: bool | None) -> None:
            if yes:
                self._app.run_worker(work, thread=True, group="acts")

        self._app.push_screen(ConfirmScreen(question), answered)

    def _ask(self, act: Act) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._run(act.command, dict(act.arguments), self._tell)

        self._app.push_screen(ConfirmScreen(act.question), answered)

    def _run(self, command: str, arguments: dict[str, object], then: Callable[[Reply], None]) -> None:
        if self._app.desk.trace is None:
            return
        session = self._session(self._app.desk.trace)

        def do() -> None:
            reply = session.do(command, arguments)
            self._app.call_from_thread(then, reply)

        self._app.run_worker(do, thread=True, group="acts")

    def _tell(self, reply: Reply) -> None:
        self._app.notify(
            reply.message or "done", severity="information" if reply.ok else "error", timeout=5, markup=False
        )
