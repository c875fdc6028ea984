"""The policy file: what a sandbox may do.

    name: build agents            optional, shown with each violation
    description: ...              optional
    extends: coding-agent         optional: a profile, a file, or several (`tracer.rules.inheritance`)
    variables: {out: /srv/out}    optional, for entries such as "${out}/**" (`tracer.rules.variables`)
    on_violation: alert           in all sections that do not say otherwise, see below
    files:
      level: high                 optional, of the violations: informational low medium high critical
      on_violation: kill          optional, in this section
      write: [/work/**, /tmp/**, "!/work/.git/hooks/**"]
      mounts: [bwrap]             optional
    network:
      connect: [localhost, "pypi.org:443", "*.pythonhosted.org:443", 10.0.0.0/8, "unix:/run/**"]
    process:
      inherit: false              optional: nothing of this section is taken from what is extended
      exec: [git, /usr/bin/**]

A section, or a list, that is not there is not judged; an empty list allows nothing. Unknown keys are errors.

on_violation is done with `--enforce` only; without it the violation says what would have been done.

alert           say it
freeze          hold the whole scope still, until `rubicon thaw`: each target of a session is one
kill            end the process that did it, and no other: what it had started lives on. Who connects where no
                entry of `network.connect` lets it is killed before it has connected, if all entries are
                addresses; who becomes a program that is not in `process.exec`, before it has begun. In
                all other cases it is killed some milliseconds after the act. Who changes a file that is not
                allowed is killed when that is done, before its call returns; some milliseconds later where
                the name has ".." in it, the file was open before, or it is written through a mapping.
kill-scope      end all that is in the scope; who did it at once where `kill` would
deny            the kernel refuses it with EPERM, and nothing has happened. `network`: to connect or to send a
                datagram, and to make internet sockets that are neither TCP nor UDP. Unix sockets, and what is
                connected before the attach, are not refused. A domain is allowed at the addresses that the
                engine was told before the start, and that the sandbox is told later: by plain UDP at once,
                before it can connect; a connect at once after an answer over TCP may come too early.
                `process` and `files`: where the kernel asks BPF programs as a security module (`rubicon
                doctor`); elsewhere they are only reported. Not refused are writes to what was open before the
                attach, and of `files.mounts` setns, fsmount and open_tree, and, where that list has entries,
                all.

files.write     `tracer.rules.globs`; every name an act creates, changes or removes must be allowed. A pattern
                that begins with "!" takes away what others allow, wherever it stands. Terminals, and devices
                that keep nothing (/dev/null, /dev/zero, /dev/full), need no entry; nor does a file to which
                the sandbox's standard output was sent before the watch.
files.mounts    programs that may mount, unmount, change their root or enter another mount namespace;
                written as in `process.exec`, `[/**]` is any. After such an act a path may lead to another
                file than it names: where `files.write` or `process.exec` judges by paths, and this list is
                not there, nobody may. Who may is a process that has run only these programs since the watch
                began, and so have those it comes from: what a sandbox is made with is of no use to who is
                inside. Not judged: what failed and was not refused, other options for a mount, how mounts
                spread.
network.connect `tracer.rules.endpoints`; also who datagrams are sent to without a connect. A name is compared
                with the domain the address was resolved from: by the engine (exact names), or in a DNS answer
                that the sandbox got. Whoever may ask a resolver of its own choosing may be told that any
                address is an allowed name: allow `*:53` to none but the resolvers you trust.
process.exec    paths as in `files.write`, or a name without a slash, which allows a program of that base name
                wherever it lies, but for where `files.write` lets the sandbox put one: that needs its path.
                Judged is what the kernel runs: of a script its interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tracer.errors import Problem, RuleFileError
from tracer.events import Level, Response
from tracer.rules.endpoints import Endpoint, parse_endpoint
from tracer.rules.globs import translate
from tracer.rules.yamlfile import NOT_TEXT, Document, by_line


def _check_path(pattern: str) -> str:
    translate(pattern.removeprefix("!"))
    return pattern


def _check_program(pattern: str) -> str:
    if pattern and "/" not in pattern:
        translate("/" + pattern.removeprefix("!"))
        return pattern
    return _check_path(pattern)


def _check_response(response: object) -> object:
    if response not in ("alert", "freeze", "kill", "kill-scope", "deny"):
        raise ValueError(f"{response!r} is not one of alert, freeze, kill, kill-scope, deny")
    return response


def _check_endpoint(text: object) -> Endpoint:
    if not isinstance(text, str):
        raise ValueError(NOT_TEXT)  # noqa: TRY004 - pydantic collects no TypeError
    return parse_endpoint(text)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_listed)]
PathPattern = Annotated[str, AfterValidator(_check_path)]
ProgramPattern = Annotated[str, AfterValidator(_check_program)]
ConnectEntry = Annotated[Endpoint, BeforeValidator(_check_endpoint)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


OnViolation = Annotated[Response, Field(strict=False), BeforeValidator(_check_response)]


class _Judging(_Section):
    """A section that judges."""

    inherit: bool = True
    level: Annotated[Level, Field(strict=False)] = Level.HIGH
    on_violation: OnViolation | None = None


class FilesSection(_Judging):
    write: tuple[PathPattern, ...] | None = Field(default=None, strict=False)
    mounts: tuple[ProgramPattern, ...] | None = Field(default=None, strict=False)


class NetworkSection(_Judging):
    connect: tuple[ConnectEntry, ...] | None = Field(default=None, strict=False)


class ProcessSection(_Judging):
    exec: tuple[ProgramPattern, ...] | None = Field(default=None, strict=False)


class Policy(_Section):
    """A policy file as it stands; `tracer.rules.policing` judges by it."""

    name: str = ""
    description: str = ""
    extends: Texts = ()
    variables: dict[str, Texts] = {}
    on_violation: OnViolation = Response.ALERT
    files: FilesSection = FilesSection()
    network: NetworkSection = NetworkSection()
    process: ProcessSection = ProcessSection()

    @property
    def domains(self) -> frozenset[str]:
        """The exact domain names that may be connected to."""
        return frozenset(entry.domain for entry in self.network.connect or () if entry.domain)

    @property
    def mounts(self) -> tuple[str, ...] | None:
        """Who may mount; nobody, where paths are judged and nothing is said of it."""
        judges_paths = self.files.write is not None or self.process.exec is not None
        return () if self.files.mounts is None and judges_paths else self.files.mounts

    @property
    def is_empty(self) -> bool:
        return self.mounts is None and self.network.connect is None


def only_document(path: Path, documents: Sequence[Document]) -> Document:
    """The one mapping that a policy file is. Raises RuleFileError."""
    if not documents:
        raise RuleFileError([Problem(path, 0, "", "is empty: it would judge nothing")])
    if len(documents) > 1:
        raise RuleFileError([documents[1].problem((), "a policy is one YAML document, this begins another")])
    if not isinstance(documents[0].value, dict):
        raise RuleFileError([documents[0].problem((), "a policy is a mapping of keys")])
    return documents[0]


def problems_of(document: Document) -> list[Problem]:
    """What is wrong with the keys of one file, whatever it extends."""
    try:
        Policy.model_validate(document.value)
    except ValidationError as error:
        return by_line(document.invalid(details, Policy) for details in error.errors(include_url=False))
    return []


def policy_of(keys: Mapping[str, Any], document: Document) -> Policy:
    """The policy in `keys`, of which each was found right.

    Raises RuleFileError, told of `document`, for what is wrong in the whole.
    """
    policy = Policy.model_validate(dict(keys))
    if policy.is_empty:
        message = "judges nothing: it has no list of what is allowed"
        raise RuleFileError([document.problem((), message)])
    return policy
