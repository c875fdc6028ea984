"""From files to a `RuleSet`: all are read and compiled, and the problems of all are told at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tracer.errors import Problem, RuleFileError
from tracer.rules.collection import expanded
from tracer.rules.correlation import Correlation, compile_correlation
from tracer.rules.detection import Detection, compile_detection
from tracer.rules.engine import RuleSet, Source
from tracer.rules.filters import Filter, apply_filters, compile_filter
from tracer.rules.header import Skipped
from tracer.rules.policy import Policy, parse_policy
from tracer.rules.wiring import wire
from tracer.rules.yamlfile import Document, parse, read_bytes

PACKS = Path(__file__).parent / "packs"

_SUFFIXES = (".yml", ".yaml")
_SIGMA_KEYS = frozenset({"detection", "correlation", "filter", "logsource", "action"})


def load_rules(policy: Path | None, rules: Sequence[Path], *, packs: bool = True) -> RuleSet:
    """The rules of a session: a policy file, the packs that come with Rubicon, Sigma files and folders.

    Raises RuleFileError with every problem of every file. The order of files does not depend on the disk, so
    the same files give the same violations in the same order.
    """
    loading = _Loading()
    if policy is not None:
        loading.policy_file(policy)
    if packs:
        for file in _files_below(PACKS):
            loading.rule_file(file, f"pack:{file.relative_to(PACKS).as_posix()}")
    for path in rules:
        loading.rules_at(path)
    return loading.result()


def is_policy(path: Path) -> bool:
    """Whether a file is a policy, and no file or folder of Sigma rules. Raises RuleFileError."""
    if path.is_dir():
        return False
    values = [document.value for document in parse(path, read_bytes(path))]
    return not any(isinstance(value, dict) and not _SIGMA_KEYS.isdisjoint(value) for value in values)


@dataclass(slots=True)
class _Loading:
    """What was read so far."""

    policy: Policy | None = None
    detections: list[Detection] = field(default_factory=list)
    correlations: list[Correlation] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    by_id: dict[str, Detection | Correlation] = field(default_factory=dict)
    not_here: dict[str, Skipped] = field(default_factory=dict)

    def policy_file(self, path: Path) -> None:
        try:
            data = self._read(path, str(path))
            self.policy = parse_policy(path, data)
        except RuleFileError as error:
            self.problems += error.problems

    def rules_at(self, path: Path) -> None:
        """A file of rules, whatever its name, or all .yml and .yaml files below a folder."""
        if not path.is_dir():
            self.rule_file(path, str(path))
            return
        files = list(_files_below(path))
        if not files:
            self.problems.append(Problem(path, 0, "", "is a folder without any .yml or .yaml file"))
        for file in files:
            self.rule_file(file, str(file))

    def rule_file(self, path: Path, name: str) -> None:
        real = os.path.realpath(path)
        if real in self.seen:
            return
        self.seen.add(real)
        try:
            documents = list(expanded(parse(path, self._read(path, name))))
        except RuleFileError as error:
            self.problems += error.problems
            return
        if not documents:
            self.problems.append(Problem(path, 0, "", "holds no rule"))
        for document in documents:
            try:
                self._compile(document)
            except RuleFileError as error:
                self.problems += error.problems

    def _compile(self, document: Document) -> None:
        keys = document.value if isinstance(document.value, dict) else {}
        if "filter" in keys:
            self.filters.append(compile_filter(document))
        elif "correlation" in keys:
            self._add(document, compile_correlation(document))
        else:
            self._add(document, compile_detection(document))

    def _read(self, path: Path, name: str) -> bytes:
        data = read_bytes(path)
        self.sources.append({"path": name, "sha256": hashlib.sha256(data).hexdigest()})
        return data

    def _add(self, document: Document, made: Detection | Correlation | Skipped) -> None:
        if isinstance(made, Skipped):
            self.skipped.append(made)
            self.not_here |= {str(key): made for name in ("id", "name") if (key := document.value.get(name))}
            return
        first = self.by_id.setdefault(made.rule.id, made)
        if first is not made:
            message = f'"{made.rule.id}" is already the id of the rule at {first.file}:{first.line}'
            self.problems.append(Problem(made.file, made.line, "id", message))
        if isinstance(made, Correlation):
            self.correlations.append(made)
        else:
            self.detections.append(made)

    def result(self) -> RuleSet:
        try:
            detections = apply_filters(self.detections, self.filters)
        except RuleFileError as error:
            raise RuleFileError([*self.problems, *error.problems]) from None
        wiring = wire(detections, self.correlations, self.not_here)
        problems = [*self.problems, *wiring.problems]
        if problems:
            raise RuleFileError(problems)
        return RuleSet(self.policy, wiring, [*self.skipped, *wiring.skipped], self.sources)


def _files_below(folder: Path) -> Iterator[Path]:
    """Rule files in the order of their names; hidden files and folders are passed over."""
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(directory, name)
