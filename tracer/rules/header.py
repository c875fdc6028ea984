"""What detections, correlations and filters have in common: all keys but those that say what they look for.

One key is our own and optional, for Sigma has no word for what is to be done:

    rubicon:
      summary: opened a reverse tunnel    verb and object of the violation's sentence
      on_violation: kill                  alert (when nothing is said), freeze or kill, as in a policy
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tracer.errors import RuleFileError
from tracer.events import Level, Response, Rule, RuleKind
from tracer.rules.yamlfile import Document, by_line

_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that does not apply here, and why."""

    file: Path
    line: int
    title: str
    reason: str


def _check_tag(tag: str) -> str:
    if "." not in tag:
        raise ValueError(f'"{tag}" is not a tag: it has no namespace, as in "attack.t1572"')
    return tag


def _check_response(response: object) -> object:
    if response == "deny":
        raise ValueError('"deny" is for policies: a detection matches what has been done')
    if response not in ("alert", "freeze", "kill", "kill-scope"):
        raise ValueError(f"{response!r} is not one of alert, freeze, kill, kill-scope")
    return response


def listed(value: object) -> object:
    """One reference is a list of one."""
    return [value] if isinstance(value, str) else value


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class _Own(BaseModel):
    model_config = ConfigDict(extra="forbid")

    summary: Annotated[str, Field(max_length=100)] = ""
    on_violation: Annotated[Response, BeforeValidator(_check_response)] = Response.ALERT


class Header(BaseModel):
    """The keys of a Sigma rule that are used here; Sigma allows any others."""

    title: Annotated[str, Field(min_length=1, max_length=256)]
    id: UUID | None = None
    name: str | None = None
    level: Annotated[Level | None, BeforeValidator(_lowered)] = None
    description: str | None = None
    tags: list[Annotated[str, AfterValidator(_check_tag)]] | None = None
    rubicon: _Own = _Own()


AnyHeader = TypeVar("AnyHeader", bound=Header)


def parse_header(document: Document, model: type[AnyHeader]) -> AnyHeader:
    """Raises RuleFileError with every problem."""
    if not isinstance(document.value, dict):
        raise RuleFileError([document.problem((), "a Sigma rule is a mapping of keys")])
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        problems = [document.invalid(details, model) for details in error.errors(include_url=False)]
        raise RuleFileError(by_line(problems)) from None


def rule_of(header: Header) -> Rule:
    tags = (_TECHNIQUE.fullmatch(tag) for tag in header.tags or ())
    return Rule(
        id=str(header.id) if header.id else header.title,
        name=header.title,
        level=header.level or Level.MEDIUM,
        kind=RuleKind.DETECTION,
        description=(header.description or "").strip(),
        techniques=tuple(dict.fromkeys(found[1].upper() for found in tags if found)),
        response=header.rubicon.on_violation,
    )
