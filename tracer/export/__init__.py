"""Judged events -> other people's formats. One file a format; all are written from the same ECS documents.

Stands above the pipeline: takes events and violations as plain iterables and writes them out as they come, in
constant memory. Imported by `tracer.cli` and `tracer.session`. Imports `tracer.events`, `errors` and `text`.

    ecs        an event or a violation as one Elastic Common Schema object
    schema     that object as a pydantic model: what tests hold every document against
    documents  a whole trace as a stream of them, ended by a summary
    redact     ... without the secrets in it
    columns    a document as one flat row, for tables; the views over it
    arrow      ... as Arrow record batches
    formats    the table of all the formats

    report     a page of HTML for an audit; `audit` gathers what it says
    following  a trace that still grows, read as one that is whole
    shipping   documents to somebody who may be away
    deeds      what a run did, for one to be compared with another

    jsonl      JSON lines                           csv_table  comma-separated values
    ocsf       Open Cybersecurity Schema Framework  cef        Common Event Format in syslog lines
    otlp       OpenTelemetry logs                   navigator  a layer for the ATT&CK Navigator
    steps      one object a step of the agent
    sqlite     a database with views                parquet    columns, typed and compressed
"""

from tracer.export.documents import Closing, Document, Documents, Summary, summary_document
from tracer.export.ecs import (
    ProcessDocuments,
    SessionFacts,
    action_document,
    event_document,
    session_facts,
    violation_document,
)

__all__ = [
    "Closing",
    "Document",
    "Documents",
    "ProcessDocuments",
    "SessionFacts",
    "Summary",
    "action_document",
    "event_document",
    "session_facts",
    "summary_document",
    "violation_document",
]
