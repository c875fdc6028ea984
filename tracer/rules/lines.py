"""Events as lines of a log: for Sigma rules of `product: linux` that name neither category nor service.

Such rules look for words in whatever a Linux machine logs. Of ours a line is what a program was run with, the
names of a file that was changed, the name that was asked for, or where a connection went; an event that says
nothing of this is no line. Who did it is not part of it, or one process would match with all it does.
"""

from __future__ import annotations

from tracer.events import Action, Dns, Event, Exec, File, Network
from tracer.rules.fields import PROCESS, Facts, LogSource, args, executable, fields_of, happened

_ACTIONS = (
    Action.EXEC,
    Action.FILE_WRITE,
    Action.FILE_RENAME,
    Action.FILE_UNLINK,
    Action.FILE_LINK,
    Action.FILE_SYMLINK,
    Action.CONNECT,
    Action.DNS,
)


def _line(facts: Facts) -> str | None:
    match facts.event.detail:
        case Exec():
            words = (facts[executable] or "", *facts[args])
        case File() as detail:
            words = (detail.path, detail.original_path, detail.target_path)
        case Network(more=Dns(name=name)):
            words = (name,)
        case Network() as detail:
            words = (detail.destination_domain, detail.destination_ip, detail.path)
        case _:
            words = ()
    return " ".join(word for word in words if word) or None


def _is_line(event: Event) -> bool:
    return happened(event) or event.action is Action.CONNECT


LINES = LogSource(
    "linux",
    _ACTIONS,
    _is_line,
    PROCESS | fields_of({"message": _line}),
    frozenset(),
    ("message",),
)
