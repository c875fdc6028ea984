"""Open Cybersecurity Schema Framework 1.7, one object a line: https://schema.ocsf.io/1.7.0

    Process Activity 1007           fork, exec, exit, and acts aimed at another process
    File System Activity 1001       file_*, mounts
    Network Activity 4001           connect, bind, listen, accept, send, flow
    DNS Activity 4003               dns
    Kernel Extension Activity 1002  modules
    Kernel Activity 1003            the other boundary acts, by their system call
    Detection Finding 2004          violations, with what happened as evidence, and actions of Rubicon's own
    Base Event 0                    the summary at the end

What OCSF has no name for (evidence, scope, the boundary act's details) is under `unmapped`, as it is in ECS.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from tracer import __version__
from tracer.events import Action, Level
from tracer.export.columns import nanoseconds
from tracer.export.documents import Document, Documents
from tracer.export.ecs import SessionFacts
from tracer.export.jsonl import line_of

VERSION = "1.7.0"
_OTHER = 99
_SEVERITY_IDS = {level: number for number, level in enumerate(Level, start=1)}
_STATUS_IDS = {"success": 1, "failure": 2}
_FILE_TYPE_IDS = {"file": 1, "dir": 2, "char": 3, "block": 4, "socket": 5, "fifo": 6, "symlink": 7}
_DIRECTION_IDS = {"ingress": 1, "egress": 2}
_TYPES_OF_IP = {"ipv4": 4, "ipv6": 6}
_RCODE_IDS = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}

_PROCESS, _FILE, _NETWORK, _DNS = 1007, 1001, 4001, 4003
_EXTENSION, _KERNEL, _FINDING, _BASE = 1002, 1003, 2004, 0
_CLASS_NAMES = {
    _PROCESS: "Process Activity",
    _FILE: "File System Activity",
    _NETWORK: "Network Activity",
    _DNS: "DNS Activity",
    _EXTENSION: "Kernel Extension Activity",
    _KERNEL: "Kernel Activity",
    _FINDING: "Detection Finding",
    _BASE: "Base Event",
}
_CATEGORY_NAMES = {0: "Uncategorized", 1: "System Activity", 2: "Findings", 4: "Network Activity"}
# An action's class and its activity there; all others are system calls: Kernel Activity, Invoke.
_ACTIVITIES = {
    Action.FORK: (_PROCESS, 1),
    Action.EXEC: (_PROCESS, 1),
    Action.EXIT: (_PROCESS, 2),
    Action.CPU: (_PROCESS, _OTHER),
    Action.PTRACE: (_PROCESS, 3),
    Action.PROCESS_MEM_OPEN: (_PROCESS, 3),
    Action.PIDFD_GETFD: (_PROCESS, 3),
    Action.PROCESS_VM_WRITE: (_PROCESS, 4),
    Action.SETUID: (_PROCESS, 5),
    Action.KILL: (_PROCESS, _OTHER),
    Action.FILE_WRITE: (_FILE, 14),
    Action.FILE_CLOSE: (_FILE, 3),
    Action.FILE_RENAME: (_FILE, 5),
    Action.FILE_UNLINK: (_FILE, 4),
    Action.FILE_LINK: (_FILE, 1),
    Action.FILE_SYMLINK: (_FILE, 1),
    Action.FILE_MKDIR: (_FILE, 1),
    Action.FILE_RMDIR: (_FILE, 4),
    Action.FILE_TRUNCATE: (_FILE, 3),
    Action.FILE_CHMOD: (_FILE, 7),
    Action.FILE_CHOWN: (_FILE, 7),
    Action.CONNECT: (_NETWORK, 1),
    Action.ACCEPT: (_NETWORK, 1),
    Action.BIND: (_NETWORK, _OTHER),
    Action.LISTEN: (_NETWORK, 7),
    Action.SEND: (_NETWORK, 6),
    Action.FLOW: (_NETWORK, 2),
    Action.DNS: (_DNS, 1),
    Action.MODULE_LOAD: (_EXTENSION, 1),
    Action.MODULE_UNLOAD: (_EXTENSION, 2),
}
_INVOKE = (_KERNEL, 4)
_LAUNCH_TYPES = {Action.FORK: (2, "Fork"), Action.EXEC: (3, "Exec")}


def write(documents: Documents, out: TextIO) -> None:
    """Errors of `out` (OSError) pass through."""
    out.writelines(line_of(event) for event in events(documents))


def events(documents: Documents) -> Iterator[dict[str, Any]]:
    for document in documents:
        if "summary" in document["rubicon"]:
            yield _base(document, documents.session, _BASE, _OTHER)
        elif document["event"]["kind"] == "alert":
            yield _finding(document, documents.session)
        elif document["event"]["category"] == ["intrusion_detection"]:
            yield _response(document, documents.session)
        else:
            yield _activity(document, documents.session)


def _base(document: Document, session: SessionFacts, class_uid: int, activity_id: int) -> dict[str, Any]:
    """What every class has."""
    category = class_uid // 1000
    rule, fields = document.get("rule"), document["event"]
    severity = Level(rule["level"]) if rule and fields["kind"] == "alert" else Level.INFORMATIONAL
    metadata: dict[str, Any] = {
        "version": VERSION,
        "product": {"name": "Rubicon", "vendor_name": "Rubicon", "version": session.version or __version__},
        "log_name": session.session,
        "original_time": document["@timestamp"],
        "event_code": fields["action"],
    }
    if "container" in document:
        metadata["profiles"] = ["container"]
    if "sequence" in fields:
        metadata["sequence"] = fields["sequence"]
        metadata["uid"] = f"{session.session}-{fields['sequence']}"
    event: dict[str, Any] = {
        "time": nanoseconds(document["@timestamp"]) // 1_000_000,
        "category_uid": category,
        "category_name": _CATEGORY_NAMES[category],
        "class_uid": class_uid,
        "class_name": _CLASS_NAMES[class_uid],
        "activity_id": activity_id,
        "type_uid": class_uid * 100 + activity_id,
        "severity_id": _SEVERITY_IDS[severity],
        "severity": severity.value.capitalize(),
        "metadata": metadata,
        "unmapped": {"rubicon": document["rubicon"]},
    }
    if activity_id == _OTHER:
        event["activity_name"] = fields["action"]
    if (outcome := fields.get("outcome")) is not None:
        event["status_id"] = _STATUS_IDS.get(outcome, 0)
    if error := document.get("error"):
        event["status_code"] = error["code"]
    if message := document.get("message"):
        event["message"] = message
    if "duration" in fields:
        event["duration"] = fields["duration"] // 1_000_000
    return event


def _activity(document: Document, session: SessionFacts) -> dict[str, Any]:
    action = Action(document["event"]["action"])
    class_uid, activity_id = _ACTIVITIES.get(action, _INVOKE)
    if action is Action.DNS and document.get("dns", {}).get("type") == "answer":
        activity_id = 2
    if action is Action.CONNECT and document["event"]["outcome"] == "failure":
        activity_id = 4
    if action is Action.FILE_WRITE and document["rubicon"].get("file", {}).get("created"):
        activity_id = 1
    event = _base(document, session, class_uid, activity_id)
    subject = _process(document)
    event["device"] = _device(session)
    event["actor"] = {"process": subject}
    if class_uid in (_NETWORK, _DNS):
        event["metadata"].setdefault("profiles", []).append(
            "host"
        )  # there, device and actor are of this profile
        _add_network(event, document)
    if class_uid == _PROCESS:
        _add_process(event, document, action, subject)
    elif class_uid == _FILE:
        event["file"] = _file(document)
    elif class_uid == _EXTENSION:
        boundary = document["rubicon"]["boundary"]
        path = boundary.get("path") or boundary.get("name") or "unknown"
        event["driver"] = {"file": {"name": os.path.basename(path) or path, "path": path, "type_id": 1}}
    elif class_uid == _KERNEL:
        call = document["rubicon"].get("boundary", {}).get("call") or action.value
        event["kernel"] = {"name": call, "type_id": 2, "system_call": call}
    return event


def _finding(document: Document, session: SessionFacts) -> dict[str, Any]:
    rule = document["rule"]
    event = _base(document, session, _FINDING, 1)
    event["is_alert"] = True
    event["device"] = _device(session)
    event["finding_info"] = {
        "uid": f"{session.session}-{document['event']['sequence']}-{rule['id']}",
        "title": rule["name"],
        "desc": rule.get("description") or rule["name"],
        "created_time": event["time"],
        "analytic": {"uid": rule["id"], "name": rule["name"], "type_id": 1, "category": rule["category"]},
        "attacks": [
            {"technique": {"uid": technique}, "version": "17"}
            for technique in document.get("threat", {}).get("technique", {}).get("id", ())
        ],
    }
    evidence: dict[str, Any] = {"actor": {"process": _process(document)}}
    if "file" in document:
        evidence["file"] = _file(document)
    for end, name in (("source", "src_endpoint"), ("destination", "dst_endpoint")):
        if endpoint := _endpoint(document.get(end)):
            evidence[name] = endpoint
    if container := _container(document):
        evidence["container"] = container
    event["evidences"] = [evidence]
    return event


def _response(document: Document, session: SessionFacts) -> dict[str, Any]:
    """An action of Rubicon's own is an update to the finding that it answers."""
    event = _base(document, session, _FINDING, 2)
    rule, number = document.get("rule"), document["rubicon"]["action"].get("event")
    uid = (
        f"{session.session}-{number}-{rule['id']}"
        if rule and number is not None
        else f"{session.session}-asked"
    )
    event["finding_info"] = {"uid": uid, "title": document["message"]}
    if "process" in document:
        event["evidences"] = [{"process": _process(document)}]
    return event


def _process(document: Document) -> dict[str, Any]:
    process = document["process"]
    found = _image(process)
    if user := document.get("user"):
        found["user"] = {"uid": user["id"], **({"name": user["name"]} if "name" in user else {})}
    if "thread" in process:
        found["tid"] = process["thread"]["id"]
    if parent := process.get("parent"):
        found["parent_process"] = _image(parent)
    if ancestors := process.get("ancestors"):
        found["ancestry"] = [_image(ancestor) for ancestor in ancestors]
    if container := _container(document):
        found["container"] = container
    return found


def _image(process: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"pid": process["pid"], "uid": process["entity_id"], "name": process["name"]}
    if path := process["executable"]:
        found["path"] = path
    if "start" in process:
        if path:
            found["file"] = {"name": os.path.basename(path) or path, "path": path, "type_id": 1}
        found["created_time"] = nanoseconds(process["start"]) // 1_000_000
        found["cmd_line"] = process["command_line"]
        found["working_directory"] = process["working_directory"]
    return found


def _add_process(event: dict[str, Any], document: Document, action: Action, subject: dict[str, Any]) -> None:
    """Who acts is the actor; `process` is whom it concerns: the new image, or the target."""
    event["process"] = subject
    parent = subject.get("parent_process")
    if action in _LAUNCH_TYPES:
        event["launch_type_id"], event["launch_type"] = _LAUNCH_TYPES[action]
        if parent:
            event["actor"] = {"process": parent}
    elif action is Action.EXIT:
        event["exit_code"] = document["process"]["exit_code"]
    elif action is Action.PROCESS_VM_WRITE:
        event["injection_type_id"], event["injection_type"] = _OTHER, action.value
    target = document["rubicon"].get("boundary", {}).get("target")
    if target:
        event["process"] = {
            "pid": target["pid"],
            "uid": target["entity_id"],
            "name": target["name"] or "unknown",
        }


def _add_network(event: dict[str, Any], document: Document) -> None:
    network = document.get("network", {})
    info: dict[str, Any] = {"direction_id": _DIRECTION_IDS.get(network.get("direction", ""), 0)}
    if transport := network.get("transport"):
        info["protocol_name"] = transport
    if version := _TYPES_OF_IP.get(network.get("type", "")):
        info["protocol_ver_id"] = version
    event["connection_info"] = info
    if protocol := network.get("protocol"):
        event["app_name"] = protocol
    for end, name in (("source", "src_endpoint"), ("destination", "dst_endpoint")):
        if endpoint := _endpoint(document.get(end)):
            event[name] = endpoint
    source, destination = document.get("source", {}), document.get("destination", {})
    if "bytes" in source and "bytes" in destination:
        event["traffic"] = {
            "bytes_out": source["bytes"],
            "bytes_in": destination["bytes"],
            "bytes": source["bytes"] + destination["bytes"],
        }
    if dns := document.get("dns"):
        _add_dns(event, dns)


def _add_dns(event: dict[str, Any], dns: Mapping[str, Any]) -> None:
    question = dns["question"]
    event["query"] = {
        "hostname": question["name"],
        "type": question["type"],
        "class": question["class"],
        "packet_uid": int(dns["id"]),
    }
    if code := dns.get("response_code"):
        event["rcode_id"], event["rcode"] = _RCODE_IDS.get(code, _OTHER), code
    if answers := dns.get("answers"):
        event["answers"] = [
            {"rdata": each["data"], "type": each["type"], "class": each["class"], "ttl": each["ttl"]}
            for each in answers
        ]


def _endpoint(end: Mapping[str, Any] | None) -> dict[str, Any]:
    names = {"ip": "ip", "port": "port", "domain": "hostname"}
    end = end or {}
    found = {ours: end[name] for name, ours in names.items() if end.get(name)}
    if not found and end.get("address"):
        found["name"] = end["address"]
    return found


def _file(document: Document) -> dict[str, Any]:
    file = document.get("file")
    if file is None:  # a mount: what is done to a place
        path = document["rubicon"].get("boundary", {}).get("path") or "unknown"
        return {"name": os.path.basename(path) or path, "path": path, "type_id": 2}
    path = file["path"]
    found: dict[str, Any] = {
        "name": os.path.basename(path) or path or "unknown",
        "path": path,
        "type_id": _FILE_TYPE_IDS.get(file.get("type", ""), 0),
    }
    if "inode" in file:
        found["uid"] = f"{file['device']}:{file['inode']}"
    if "size" in file:
        found["size"] = file["size"]
    return found


def _container(document: Document) -> dict[str, Any]:
    container = document.get("container")
    if not container:
        return {}
    found: dict[str, Any] = {"uid": container["id"]}
    if "name" in container:
        found["name"] = container["name"]
    if "image" in container:
        found["image"] = {"uid": container["image"]["name"], "name": container["image"]["name"]}
    if "runtime" in container:
        found["runtime"] = container["runtime"]
    if "orchestrator" in document:
        found["orchestrator"] = document["orchestrator"]["type"]
    return found


def _device(session: SessionFacts) -> dict[str, Any]:
    device: dict[str, Any] = {"type_id": 0, "type": "Unknown"}
    if session.host:
        device["hostname"] = session.host
    if session.kernel:
        device["os"] = {"name": "Linux", "type_id": 200, "kernel_release": session.kernel}
    return device
