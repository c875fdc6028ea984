"""A document as one flat row: the columns of every table (CSV, SQLite, Parquet, `rubicon query`).

A column has the ECS name of its field with "_" for ".", and is empty where the document has no such field.
The last row is the summary, `kind` "metric": a table without it was cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from tracer.export.documents import Document
from tracer.export.jsonl import line_of

Cell = str | int | None


class Kind(Enum):
    """TIME is RFC 3339 text in a row; `nanoseconds` makes a number of it. LABEL is text of few values."""

    TEXT = "text"
    LABEL = "label"
    INTEGER = "integer"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    read: Callable[[Document], Cell]


def _at(*path: str) -> Callable[[Document], Cell]:
    def read(document: Document) -> Cell:
        found: Any = document
        for name in path:
            found = found.get(name)
            if found is None:
                return None
        return ", ".join(found) if isinstance(found, list) else found

    return read


def _column(field: str, kind: Kind = Kind.TEXT, name: str = "") -> Column:
    return Column(name or field.replace(".", "_"), kind, _at(*field.split(".")))


def _whole(document: Document) -> Cell:
    return line_of(document).rstrip("\n")


COLUMNS = (
    _column("@timestamp", Kind.TIME, "time"),
    _column("event.sequence", Kind.INTEGER, "sequence"),
    _column("event.kind", Kind.LABEL, "kind"),
    _column("event.category", Kind.LABEL, "category"),
    _column("event.action", Kind.LABEL, "action"),
    _column("event.outcome", Kind.LABEL, "outcome"),
    _column("error.code", Kind.LABEL, "error"),
    _column("message"),
    _column("rule.id", Kind.LABEL),
    _column("rule.name", Kind.LABEL),
    _column("rule.level", Kind.LABEL),
    _column("threat.technique.id", Kind.LABEL, "techniques"),
    _column("rubicon.action.result", Kind.LABEL, "response_result"),  # of an action of Rubicon's own
    _column("process.pid", Kind.INTEGER),
    _column("process.entity_id", Kind.LABEL),
    _column("process.name", Kind.LABEL),
    _column("process.executable", Kind.LABEL),
    _column("process.command_line"),
    _column("process.working_directory", Kind.LABEL),
    _column("process.start", Kind.TIME),
    _column("process.exit_code", Kind.INTEGER),
    _column("process.parent.pid", Kind.INTEGER),
    _column("process.parent.entity_id", Kind.LABEL),
    _column("process.parent.executable", Kind.LABEL),
    _column("user.id", Kind.LABEL),
    _column("user.name", Kind.LABEL),
    _column("container.id", Kind.LABEL),
    _column("container.name", Kind.LABEL),
    _column("container.image.name", Kind.LABEL),
    _column("orchestrator.namespace", Kind.LABEL),
    _column("orchestrator.resource.name", Kind.LABEL),
    _column("file.path"),
    _column("file.Ext.original.path", name="file_original_path"),
    _column("file.inode"),
    _column("file.device", Kind.LABEL),
    _column("rubicon.file.bytes_written", Kind.INTEGER, "file_bytes_written"),
    _column("network.transport", Kind.LABEL),
    _column("network.direction", Kind.LABEL),
    _column("network.protocol", Kind.LABEL),
    _column("source.ip", Kind.LABEL),
    _column("source.port", Kind.INTEGER),
    _column("source.bytes", Kind.INTEGER),
    _column("destination.ip", Kind.LABEL),
    _column("destination.port", Kind.INTEGER),
    _column("destination.domain", Kind.LABEL),
    _column("destination.address", Kind.LABEL),
    _column("destination.bytes", Kind.INTEGER),
    _column("dns.question.name"),
    _column("tls.client.server_name", Kind.LABEL),
    _column("event.duration", Kind.INTEGER, "duration_ns"),
    _column("rubicon.scope", Kind.INTEGER, "scope"),
    _column("rubicon.target", Kind.LABEL, "target"),
    _column("rubicon.evidence", Kind.LABEL, "evidence"),
    _column("rubicon.step", Kind.LABEL, "step"),
    _column("gen_ai.tool.name", Kind.LABEL, "tool"),
    _column("gen_ai.conversation.id", Kind.LABEL, "episode"),
)
WHOLE = Column("document", Kind.TEXT, _whole)  # the JSON line, so that a database leaves out nothing


def nanoseconds(timestamp: str) -> int:
    """Since the Unix epoch, of a timestamp of a document."""
    moment = datetime.fromisoformat(f"{timestamp[:19]}+00:00")  # which itself has no nanoseconds
    return int(moment.timestamp()) * 1_000_000_000 + int(timestamp[20:29])
