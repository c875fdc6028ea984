"""OpenTelemetry log records: as lines of OTLP/JSON, or sent to a collector by OTLP/HTTP.

A document is one log record: its fields are the attributes, by their ECS names, which OpenTelemetry shares;
the severity of a violation is its level. Sending waits for the collector: a slow one slows the export down,
and one that is away is asked again, longer and longer apart, for some two minutes, as the protocol wants it
(https://opentelemetry.io/docs/specs/otlp/#failures-1).
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TextIO

import urllib3
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tracer import __version__
from tracer.errors import RubiconError
from tracer.events import Level
from tracer.export.columns import nanoseconds
from tracer.export.documents import Document, Documents
from tracer.export.ecs import SessionFacts
from tracer.export.jsonl import line_of
from tracer.export.shipping import RefusedError, Shipment, Shipped, UnavailableError
from tracer.text import printable

RECORDS_AT_ONCE = 512
PATH = "/v1/logs"
_SEVERITIES = {
    Level.INFORMATIONAL: SeverityNumber.SEVERITY_NUMBER_INFO2,
    Level.LOW: SeverityNumber.SEVERITY_NUMBER_INFO3,
    Level.MEDIUM: SeverityNumber.SEVERITY_NUMBER_WARN,
    Level.HIGH: SeverityNumber.SEVERITY_NUMBER_ERROR,
    Level.CRITICAL: SeverityNumber.SEVERITY_NUMBER_FATAL,
}
_RETRIES = urllib3.Retry(
    total=8,
    allowed_methods=["POST"],
    status_forcelist=[429, 502, 503, 504],
    backoff_factor=0.5,
    backoff_max=30,
    backoff_jitter=0.5,
    respect_retry_after_header=True,
    raise_on_status=False,
)


def write(documents: Documents, out: TextIO) -> None:
    """One ExportLogsServiceRequest a line, as file receivers want. Errors of `out` pass through."""
    out.writelines(line_of(_as_json(request)) for request in requests(documents))


def _as_json(request: ExportLogsServiceRequest) -> dict[str, Any]:
    """As protobuf has it, but for the ids, which OTLP wants in hexadecimal digits."""
    made: dict[str, Any] = MessageToDict(request, use_integers_for_enums=True)
    for record in made["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        for name in ("traceId", "spanId"):
            if name in record:
                record[name] = base64.b64decode(record[name]).hex()
    return made


def send(documents: Documents, url: str, retries: urllib3.Retry = _RETRIES) -> None:
    """To the collector at `url`; without a path, to /v1/logs there.

    Raises RubiconError when it cannot be reached, refuses, or takes only a part.
    """
    with _pool(retries) as pool:
        for request in requests(documents):
            try:
                response = _post(pool, request, url)
            except urllib3.exceptions.HTTPError as error:
                raise RubiconError(f"cannot reach the collector at {printable(url)}: {error}") from error
            _check(response, url)


def ship(documents: Documents, url: str, say: Callable[[str], object], linger_seconds: float) -> Shipped:
    """The same as they come, with all the patience there is while they do: see `tracer.export.shipping`."""
    resource, scope = _resource(documents.session), _scope(documents.session)
    with _pool(urllib3.Retry(0)) as pool:

        def deliver(batch: Sequence[Document]) -> None:
            try:
                response = _post(pool, _request(batch, resource, scope), url)
            except urllib3.exceptions.HTTPError as error:
                where = f"the collector at {printable(url)}"
                raise UnavailableError(f"cannot reach {where}: {_cause(error)}") from error
            _heed(response, url, len(batch))

        return Shipment(deliver, say, linger_seconds=linger_seconds).ship(documents)


def _pool(retries: urllib3.Retry) -> urllib3.PoolManager:
    return urllib3.PoolManager(retries=retries, timeout=urllib3.Timeout(connect=5, read=30))


def _post(pool: urllib3.PoolManager, request: ExportLogsServiceRequest, url: str) -> urllib3.BaseHTTPResponse:
    parsed = urllib3.util.parse_url(url)
    target = url if parsed.path not in (None, "", "/") else f"{url.rstrip('/')}{PATH}"
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    body = gzip.compress(request.SerializeToString(), compresslevel=5)
    return pool.request("POST", target, body=body, headers=headers)


def _cause(error: urllib3.exceptions.HTTPError) -> str:
    reason = getattr(error, "reason", None) or error
    return printable(str(reason).rpartition(": ")[2])


def _heed(response: urllib3.BaseHTTPResponse, url: str, count: int) -> None:
    """What the protocol lets one try again is tried again; what is refused is refused.

    Raises UnavailableError, RefusedError.
    """
    if response.status in _RETRIES.status_forcelist:
        after = response.headers.get("Retry-After", "")
        where = f"the collector at {printable(url)}"
        raise UnavailableError(
            f"{where} answered {response.status}", float(after) if after.isdigit() else 0.0
        )
    try:
        _check(response, url)
    except RubiconError as error:
        refused = _rejected(response) or count
        raise RefusedError(str(error), min(refused, count)) from error


def _rejected(response: urllib3.BaseHTTPResponse) -> int:
    try:
        answer = ExportLogsServiceResponse.FromString(response.data)
    except DecodeError:
        return 0
    return answer.partial_success.rejected_log_records if response.status == 200 else 0


def _check(response: urllib3.BaseHTTPResponse, url: str) -> None:
    where = f"the collector at {printable(url)}"
    if response.status != 200:
        said = printable(response.data[:200].decode("utf-8", "replace"))
        raise RubiconError(f"{where} answered {response.status}: {said}")
    try:
        partial = ExportLogsServiceResponse.FromString(response.data).partial_success
    except DecodeError:
        return  # it took the request, whatever it says about it
    if partial.rejected_log_records:
        raise RubiconError(
            f"{where} refused {partial.rejected_log_records} records: {printable(partial.error_message)}"
        )


def requests(documents: Documents) -> Iterator[ExportLogsServiceRequest]:
    resource, scope = _resource(documents.session), _scope(documents.session)
    remaining = iter(documents)
    while batch := list(islice(remaining, RECORDS_AT_ONCE)):
        yield _request(batch, resource, scope)


def _request(
    batch: Iterable[Document], resource: Resource, scope: InstrumentationScope
) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add()
    logs.resource.CopyFrom(resource)
    scoped = logs.scope_logs.add()
    scoped.scope.CopyFrom(scope)
    scoped.log_records.extend(map(_record, batch))
    return request


def _scope(session: SessionFacts) -> InstrumentationScope:
    return InstrumentationScope(name="rubicon", version=session.version or __version__)


def _resource(session: SessionFacts) -> Resource:
    facts = {
        "service.name": "rubicon",
        "service.version": session.version or __version__,
        "service.instance.id": session.session,
        "host.name": session.host,
        "os.type": "linux",
        "os.version": session.kernel,
    }
    return Resource(attributes=_attributes({name: value for name, value in facts.items() if value}))


def _record(document: Document) -> LogRecord:
    kind, action = document["event"]["kind"], document["event"]["action"]
    level = Level(document["rule"]["level"]) if kind == "alert" else None
    time_ns = nanoseconds(document["@timestamp"])
    return LogRecord(
        time_unix_nano=time_ns,
        observed_time_unix_nano=time_ns,
        severity_number=_SEVERITIES[level] if level else SeverityNumber.SEVERITY_NUMBER_INFO,
        severity_text=level.value if level else "info",
        event_name=f"rubicon.{'violation' if level else action}",
        body=AnyValue(string_value=document.get("message") or _sentence(document)),
        attributes=_attributes(dict(_flat(document))),
        trace_id=bytes.fromhex(document.get("trace", {}).get("id", "")),
        span_id=bytes.fromhex(document.get("span", {}).get("id", "")),
    )


def _sentence(document: Document) -> str:
    """What was done to what, in short."""
    words = [document["event"]["action"]]
    if file := document.get("file"):
        words.append(file["path"])
    elif end := document.get("destination"):
        words.append(" ".join(str(end[name]) for name in ("address", "port") if name in end))
    elif process := document.get("process"):
        words.append(process.get("command_line") or process["executable"])
    return " ".join(words)


def _flat(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The fields by their dotted names. Lists of objects stay lists."""
    for name, value in document.items():
        if name in ("@timestamp", "trace", "span"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _attributes(facts: Mapping[str, Any]) -> Iterable[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in facts.items()]


def _value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(_value, value)))
        case Mapping():
            return AnyValue(kvlist_value=KeyValueList(values=_attributes(value)))
    return AnyValue(string_value=str(value))
