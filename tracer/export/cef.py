"""Common Event Format in syslog lines (RFC 5424), for collectors that know neither ECS nor OCSF.

`<PRI>1 TIME HOST rubicon - ACTION - CEF:0|Rubicon|Rubicon|VERSION|SIGNATURE|NAME|SEVERITY|FIELDS`

The facility is 13, log audit. The signature is the rule's id for a violation, else `event.action`. Field
names are those of ArcSight's dictionary; what it has no name for is in cs1 to cs6 with their labels. The last
line is the summary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from tracer import __version__
from tracer.events import Level
from tracer.export.columns import COLUMNS, Cell
from tracer.export.documents import Document, Documents
from tracer.text import printable

_FACILITY = 13 << 3
# CEF counts 0 to 10; syslog's severities: 2 critical, 3 error, 4 warning, 5 notice, 6 informational.
_SEVERITIES = {
    Level.INFORMATIONAL: (1, 6),
    Level.LOW: (3, 5),
    Level.MEDIUM: (5, 4),
    Level.HIGH: (8, 3),
    Level.CRITICAL: (10, 2),
}
_NO_VIOLATION = (0, 6)
_NOT_IN_A_HEADER = re.compile(r"[^!-~]")
_FIELDS = {
    "outcome": "outcome",
    "error": "reason",
    "category": "cat",
    "sequence": "externalId",
    "process_pid": "spid",
    "process_executable": "sproc",
    "user_id": "suid",
    "user_name": "suser",
    "network_transport": "proto",
    "network_protocol": "app",
    "source_ip": "src",
    "source_port": "spt",
    "destination_ip": "dst",
    "destination_port": "dpt",
    "destination_domain": "dhost",
    "file_path": "filePath",
    "file_original_path": "oldFilePath",
    "file_inode": "fileId",
    "source_bytes": "out",
    "destination_bytes": "in",
}
_CUSTOM = {
    "process_command_line": "cs1",
    "process_entity_id": "cs2",
    "step": "cs3",
    "techniques": "cs4",
    "container_name": "cs5",
    "target": "cs6",
}
_COLUMNS: dict[str, Callable[[Document], Cell]] = {column.name: column.read for column in COLUMNS}


def write(documents: Documents, out: TextIO) -> None:
    """Errors of `out` (OSError) pass through."""
    host = _NOT_IN_A_HEADER.sub("_", documents.session.host)[:255] or "-"
    out.writelines(_lines(documents, host, documents.session.version or __version__))


def _lines(documents: Iterable[Document], host: str, version: str) -> Iterator[str]:
    for document in documents:
        action = document["event"]["action"]
        rule = document.get("rule")
        alert = document["event"]["kind"] == "alert"
        cef, syslog = _SEVERITIES[Level(rule["level"])] if alert and rule else _NO_VIOLATION
        signature, name = (rule["id"], rule["name"]) if alert and rule else (action, action)
        # RFC 5424 takes no finer time than microseconds.
        time = f"{document['@timestamp'][:26]}Z"
        header = "|".join(map(_header, ("Rubicon", "Rubicon", version, signature, name, str(cef))))
        fields = " ".join(f"{key}={_value(value)}" for key, value in _fields(document))
        yield f"<{_FACILITY | syslog}>1 {time} {host} rubicon - {action} - CEF:0|{header}|{fields}\n"


def _fields(document: Document) -> Iterator[tuple[str, Any]]:
    yield "act", document["event"]["action"]
    if message := document.get("message"):
        yield "msg", message
    for column, key in _FIELDS.items():
        value = _COLUMNS[column](document)
        if value is not None and value != "":
            yield key, value
    for column, key in _CUSTOM.items():
        value = _COLUMNS[column](document)
        if value is not None and value != "":
            yield key, value
            yield f"{key}Label", column.replace("_", ".", 1)
    if summary := document["rubicon"].get("summary"):
        yield "msg", f"verdict {summary['verdict']}"
        yield "cnt", summary["events"]
        yield "cn1", sum(summary["losses"].values())
        yield "cn1Label", "losses"


def _header(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace("|", "\\|")


def _value(value: Any) -> str:
    return printable(str(value)).replace("\\", "\\\\").replace("=", "\\=")
