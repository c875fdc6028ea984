"""From files to a `RuleSet`: all are read and compiled, and the problems of all are told at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tracer.errors import Problem, RuleFileError, UsageError
from tracer.rules.collection import expanded
from tracer.rules.correlation import Correlation, compile_correlation
from tracer.rules.detection import Detection, Items, compile_detection
from tracer.rules.engine import RuleSet, Source, Texts
from tracer.rules.filters import Filter, apply_filters, compile_filter
from tracer.rules.header import Skipped
from tracer.rules.inheritance import Effective, Read, profile_path, read_policy
from tracer.rules.prepared import open_prepared
from tracer.rules.variables import Given
from tracer.rules.wiring import wire
from tracer.rules.yamlfile import Document, parse, read_bytes
from tracer.text import printable

PACKS = Path(__file__).parent / "packs"
TEXTS_MAX_BYTES = 512 << 10  # of rule files, that a rule set keeps: a block of a trace has room for them

_PACK = "pack:"
_SUFFIXES = (".yml", ".yaml")
_SIGMA_KEYS = frozenset({"detection", "correlation", "filter", "logsource", "action"})
_NOTHING_GIVEN = Given()


def load_rules(
    policy: str | os.PathLike[str] | None,
    rules: Sequence[Path],
    *,
    packs: bool = True,
    given: Given = _NOTHING_GIVEN,
) -> RuleSet:
    """The rules of a session: a policy, the packs that come with Rubicon, Sigma files and folders.

    `policy` is a file, or as `str` the name of a profile; `given` are the variables that no file declares.
    Raises RuleFileError with every problem of every file. The order of files does not depend on the disk, so
    the same files give the same violations in the same order.
    """
    loading = _Loading(given)
    if policy is not None:
        loading.policy_at(policy, loading.documents)
    if packs:
        loading.packs()
    for path in rules:
        loading.rules_at(path)
    return loading.result()


def load_any(paths: Sequence[str], *, packs: bool, given: Given = _NOTHING_GIVEN) -> RuleSet:
    """A policy, at most, and rules, told apart by what is in them. Raises RuleFileError, UsageError."""
    loading = _Loading(given)
    if packs:
        loading.packs()
    for path in paths:
        loading.either_at(path)
    return loading.result()


def load_texts(policy: Effective | None, texts: Texts, given: Given) -> RuleSet:
    """The pack, and what was read elsewhere. Raises RuleFileError."""
    loading = _Loading(given)
    loading.policy = policy
    loading.packs()
    for name, text in texts:
        loading.text(name, text)
    return loading.result()


@dataclass(slots=True)
class _Loading:
    """What was read so far."""

    given: Given
    policy: Effective | None = None
    policy_name: str = ""
    detections: list[Detection] = field(default_factory=list)
    correlations: list[Correlation] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    by_id: dict[str, Detection | Correlation] = field(default_factory=dict)
    not_here: dict[str, Skipped] = field(default_factory=dict)
    items: Items = field(default_factory=Items)
    texts: list[tuple[str, str]] = field(default_factory=list)
    texts_bytes: int = 0

    def documents(self, path: Path, name: str) -> list[Document]:
        """What is in a file, which goes among the sources. Raises RuleFileError."""
        return self.parsed(path, name, read_bytes(path))

    def parsed(self, path: Path, name: str, data: bytes) -> list[Document]:
        """Likewise, of bytes that were read already."""
        digest = hashlib.sha256(data).hexdigest()
        self.sources.append({"path": name, "sha256": digest})
        return self.items.prepared.documents(path, digest) or parse(path, data)

    def policy_at(self, name: str | os.PathLike[str], read: Read) -> None:
        """Raises UsageError when there is one already."""
        if self.policy_name:
            raise UsageError(f"one policy at a time: {printable(self.policy_name)}, {printable(str(name))}")
        self.policy_name = str(name)
        try:
            self.policy = read_policy(name, self.given, read)
        except RuleFileError as error:
            self.problems += error.problems

    def packs(self) -> None:
        self.items.prepared = open_prepared()
        for file in _files_below(PACKS):
            self._file(file, f"{_PACK}{file.relative_to(PACKS).as_posix()}")

    def rules_at(self, path: Path) -> None:
        """A file of rules, whatever its name, or all .yml and .yaml files below a folder."""
        if not path.is_dir():
            self._file(path, str(path))
            return
        files = list(_files_below(path))
        if not files:
            self.problems.append(Problem(path, 0, "", "is a folder without any .yml or .yaml file"))
        for file in files:
            self._file(file, str(file))

    def either_at(self, name: str) -> None:
        """A policy or rules. Raises UsageError when there is a policy already."""
        if profile_path(name) is not None:
            self.policy_at(name, self.documents)
        elif os.path.isdir(name):
            self.rules_at(Path(name))
        else:
            self._file(Path(name), name, may_be_policy=True)

    def _file(self, path: Path, name: str, *, may_be_policy: bool = False) -> None:
        real = os.path.realpath(path)
        if real in self.seen:
            return
        self.seen.add(real)
        try:
            data = read_bytes(path)
            documents = self.parsed(path, name, data)
            if may_be_policy and _is_policy(documents):
                self.policy_at(path, self._knowing(path, documents))
                return
        except RuleFileError as error:
            self.problems += error.problems
            return
        self._keep(name, data)
        self._compile_all(path, documents)

    def text(self, name: str, text: str) -> None:
        """A rule file that was read elsewhere."""
        try:
            documents = self.parsed(Path(name), name, text.encode())
        except RuleFileError as error:
            self.problems += error.problems
            return
        self.texts.append((name, text))
        self._compile_all(Path(name), documents)

    def _keep(self, name: str, data: bytes) -> None:
        if not name.startswith(_PACK):
            self.texts_bytes += len(data)
            if self.texts_bytes <= TEXTS_MAX_BYTES:
                self.texts.append((name, data.decode("utf-8-sig")))

    def _compile_all(self, path: Path, documents: list[Document]) -> None:
        try:
            documents = list(expanded(documents))
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

    def _knowing(self, known: Path, documents: list[Document]) -> Read:
        return lambda path, name: documents if path == known else self.documents(path, name)

    def _compile(self, document: Document) -> None:
        keys = document.value if isinstance(document.value, dict) else {}
        if "filter" in keys:
            self.filters.append(compile_filter(document, self.given.fixed))
        elif "correlation" in keys:
            self._add(document, compile_correlation(document))
        else:
            self._add(document, compile_detection(document, self.given.fixed, self.items))

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
        skipped = [*self.skipped, *wiring.skipped]
        texts = self.texts if self.texts_bytes <= TEXTS_MAX_BYTES else None
        return RuleSet(self.policy, wiring, skipped, self.sources, self.given, texts=texts)


def _is_policy(documents: Iterable[Document]) -> bool:
    values = [document.value for document in documents]
    return not any(isinstance(value, dict) and not _SIGMA_KEYS.isdisjoint(value) for value in values)


def _files_below(folder: Path) -> Iterator[Path]:
    """Rule files in the order of their names; hidden files and folders are passed over."""
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(directory, name)
