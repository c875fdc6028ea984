"""Judged events -> other people's formats. One file a format; `ecs` holds the document they share.

Stands above the pipeline: takes events and violations as plain iterables and writes them out as they come, in
constant memory. Imported by `tracer.cli` and `tracer.session`. Imports `tracer.events`, `errors` and `text`.

    ecs     an event or a violation as one Elastic Common Schema object
    schema  that object as a pydantic model: what tests hold every document against
    jsonl   the objects as JSON lines, ended by a summary
"""

from tracer.export.ecs import (
    ProcessDocuments,
    SessionFacts,
    action_document,
    event_document,
    session_facts,
    violation_document,
)
from tracer.export.jsonl import Closing, Summary, write_jsonl

__all__ = [
    "Closing",
    "ProcessDocuments",
    "SessionFacts",
    "Summary",
    "action_document",
    "event_document",
    "session_facts",
    "violation_document",
    "write_jsonl",
]
