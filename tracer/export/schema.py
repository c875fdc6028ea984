"""The exact shape of every exported document; nothing more is allowed, and nothing in it may be wrong.

Tests hold every document against `Document`. It is not used while exporting: there it would cost more than
the export itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracer.events import (
    Action,
    Category,
    Evidence,
    Level,
    NetworkType,
    Outcome,
    Relation,
    Response,
    Result,
    RuleKind,
    StdioKind,
)

Timestamp = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")]
Number = Annotated[int, Field(ge=0)]
Port = Annotated[int, Field(ge=0, le=65535)]
Digits = Annotated[str, Field(pattern=r"^\d+$")]
Name = Annotated[str, Field(min_length=1)]
Ring = Literal["critical", "bulk"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _JsonModel(_Model):
    """For models with enums: those arrive as plain strings."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)


class EventFields(_JsonModel):
    kind: Literal["event", "alert", "state", "metric"]
    category: list[Category | Literal["intrusion_detection"]] | None = None
    type: list[Literal["change", "denied", "end", "info"]] | None = None
    action: Action | Response | Literal["summary"]
    outcome: Outcome | None = None
    duration: Number | None = None
    sequence: Number | None = None


class Ancestor(_Model):
    pid: Number
    entity_id: Name
    executable: str
    name: str


class Image(Ancestor):
    args: list[str]
    command_line: str
    working_directory: str
    start: Timestamp


class Capabilities(_Model):
    permitted: list[Name]
    effective: list[Name]


class Thread(_Model):
    id: Number
    capabilities: Capabilities | None = None


class ProcessFields(Image):
    thread: Thread
    exit_code: Annotated[int, Field(ge=0, le=255)] | None = None
    parent: Image | None = None
    ancestors: list[Ancestor] | None = None


class UserId(_Model):
    id: Digits


class User(UserId):
    group: UserId
    name: Name | None = None
    effective: UserId | None = None


class OriginalPath(_Model):
    path: Name


class FileExtension(_Model):
    original: OriginalPath


class FileFields(_Model):
    path: str
    target_path: Name | None = None
    type: Literal["file", "dir", "symlink", "char", "block", "fifo", "socket"] | None = None
    inode: Digits | None = None
    device: Annotated[str, Field(pattern=r"^\d+:\d+$")] | None = None
    mode: Annotated[str, Field(pattern=r"^[0-7]{4}$")] | None = None
    size: Number | None = None
    uid: Digits | None = None
    gid: Digits | None = None
    Ext: FileExtension | None = None


class Endpoint(_Model):
    address: str | None = None
    ip: Name | None = None
    port: Port | None = None
    domain: Name | None = None
    bytes: Number | None = None
    packets: Number | None = None


class NetworkFields(_JsonModel):
    type: NetworkType
    transport: Name
    direction: Literal["egress", "ingress"] | None = None
    protocol: Name | None = None
    bytes: Number | None = None
    packets: Number | None = None


class DnsQuestion(_Model):
    name: Name
    type: Name
    of_class: Annotated[Name, Field(alias="class")]


class DnsAnswer(DnsQuestion):
    ttl: Number
    data: str


class DnsFields(_Model):
    type: Literal["query", "answer"]
    id: Digits
    question: DnsQuestion
    response_code: Name | None = None
    answers: list[DnsAnswer] | None = None
    resolved_ip: list[Name] | None = None


class TlsClient(_Model):
    server_name: Name


class Tls(_Model):
    client: TlsClient


class Url(_Model):
    domain: Name


class SpokenFields(_Model):
    banner: Name | None = None
    method: Name | None = None


class SocketFields(_Model):
    family: Name


class Error(_Model):
    code: Annotated[str, Field(pattern=r"^(E[A-Z0-9]+|\d+)$")]


class RuleFields(_JsonModel):
    id: Name
    name: Name
    level: Level
    category: RuleKind
    description: Name | None = None


class Technique(_Model):
    id: list[Name]


class Threat(_Model):
    framework: Literal["MITRE ATT&CK"]
    technique: Technique


class Truncated(_Model):
    field: Name
    length_bytes: Number


class Matched(_Model):
    field: str
    value: str


class Signal(_Model):
    number: Annotated[int, Field(ge=1, le=64)]
    name: Name


class Attempted(_Model):
    filename: str
    args: list[str]


class NamespaceFields(_Model):
    mount: Number
    network: Number
    pid: Number
    user: Number


class ExecFields(_JsonModel):
    filename: str
    deleted: bool
    stdin: StdioKind
    stdout: StdioKind
    stderr: StdioKind
    stdin_peer: Name | None = None
    namespaces: NamespaceFields | None = None
    cgroup: Digits | None = None
    inode: Digits | None = None
    device: Annotated[str, Field(pattern=r"^\d+:\d+$")] | None = None


class ForkFields(_Model):
    generation: Number
    alive: Number


class CpuFields(_Model):
    percent: Number
    threads: Number
    contact: Name | None = None


class Leg(_Model):
    ip: Name
    port: Number
    direction: Literal["egress", "ingress"]


class FlowFields(_Model):
    relayed: list[Leg]


class Written(_Model):
    contact: Name | None = None
    copy_path: Annotated[Name | None, Field(alias="copy")] = None
    created: bool | None = None
    inherited: bool | None = None
    redirected: bool | None = None
    descriptor: Number | None = None
    flags: list[Name] | None = None
    bytes_written: Number | None = None
    writes: Number | None = None


class TargetFields(_JsonModel):
    pid: Number
    entity_id: Name
    name: str
    relation: Relation


class Ids(_Model):
    uid: Number
    euid: Number
    suid: Number
    fsuid: Number
    gid: Number
    egid: Number
    sgid: Number
    fsgid: Number


class ChangedCapabilities(_Model):
    gained: list[Name]
    lost: list[Name]


class BoundaryFields(_Model):
    call: Name | None = None
    operation: Name | None = None
    flags: list[Name] | None = None
    path: Name | None = None
    source: Name | None = None
    filesystem: Name | None = None
    name: Name | None = None
    value: Name | None = None
    requested: list[int] | None = None
    target: TargetFields | None = None
    old: Ids | None = None
    new: Ids | None = None
    capabilities: ChangedCapabilities | None = None
    own_namespace: bool | None = None
    user_namespace_level: Number


class ActionFields(_JsonModel):
    """`result` of an action of Rubicon's own, and for which event of this session it was."""

    result: Result
    latency_ns: Number
    in_kernel: bool
    by: Name | None = None
    event: Number | None = None


class SummaryFields(_JsonModel):
    events: Number
    actions: dict[Action, Number]
    violations: dict[Level, Number]
    losses: dict[Ring, Number]
    damage: Name | None = None
    unjudged: Number | None = None
    bad_records: Number | None = None
    verdict: Literal["clean", "violated", "incomplete"]


class ImageFields(_Model):
    name: Name


class ContainerFields(_Model):
    id: Name
    runtime: Name | None = None
    name: Name | None = None
    image: ImageFields | None = None


class Resource(_Model):
    type: Literal["pod"]
    name: Name


class Orchestrator(_Model):
    type: Literal["kubernetes"]
    namespace: str
    resource: Resource


class RubiconFields(_JsonModel):
    session: Name
    target: str
    tier: str
    scope: Number | None = None
    evidence: Evidence | None = None
    args_evidence: Evidence | None = None
    setting_up: bool | None = None
    truncated: list[Truncated] | None = None
    step: Name | None = None
    step_confidence: Annotated[float, Field(ge=0, lt=1)] | None = None
    matched: list[Matched] | None = None
    signal: Signal | None = None
    attempted: Attempted | None = None
    fork: ForkFields | None = None
    cpu: CpuFields | None = None
    exec: ExecFields | None = None
    flow: FlowFields | None = None
    first_contact: bool | None = None
    file: Written | None = None
    spoken: SpokenFields | None = None
    socket: SocketFields | None = None
    boundary: BoundaryFields | None = None
    late: bool | None = None
    answer: Response | None = None
    action: ActionFields | None = None
    summary: SummaryFields | None = None


class ToolCall(_Model):
    id: Name


class Tool(_Model):
    name: Name | None = None
    call: ToolCall | None = None


class Conversation(_Model):
    id: Name


class GenAi(_Model):
    tool: Tool | None = None
    conversation: Conversation | None = None


class TraceId(_Model):
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class SpanId(_Model):
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Document(_Model):
    """One line of `rubicon export --format jsonl`."""

    timestamp: Annotated[Timestamp, Field(alias="@timestamp")]
    event: EventFields
    rubicon: RubiconFields
    process: ProcessFields | Ancestor | None = None
    user: User | None = None
    container: ContainerFields | None = None
    orchestrator: Orchestrator | None = None
    file: FileFields | None = None
    source: Endpoint | None = None
    destination: Endpoint | None = None
    network: NetworkFields | None = None
    dns: DnsFields | None = None
    tls: Tls | None = None
    url: Url | None = None
    error: Error | None = None
    rule: RuleFields | None = None
    threat: Threat | None = None
    gen_ai: GenAi | None = None
    trace: TraceId | None = None
    span: SpanId | None = None
    message: Name | None = None
