"""Calls and programs that ran -> which process began which call.

1. By text: a shell was started with the command (`sh -c COMMAND`, also within a longer script), or a program
   was started with the arguments that a simple command of it has (a shell that is kept for all calls).
2. By order: calls and programs are both in the order of time, so of all pairs that fit by text the heaviest
   chain is taken that crosses nowhere. A command that was given ten times is told apart by that alone.
3. By time: from this chain the skew of the clocks is estimated, and the chain is sought once more with pairs
   that are near in time preferred. What ran at the same time as others, and so out of order, is taken when it
   is near.
4. Calls that no program fits, and which have times, are what was done in their time.

The confidence is that of the text (99 the whole script, 95 within a script, 85 the arguments of a program, 60
a program without arguments, 40 time alone) times that of the rest (whole within 5 seconds of when it should
have run, 4/5 within a minute, half beyond; without times 9/10, or 3/5 when another would have fitted as
well).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import ahocorasick

from tracer.correlate.calls import Call, Ran
from tracer.correlate.clocks import Seen, Skew, estimate
from tracer.correlate.commands import Argv, key_of, programs, quoted_forms, script_of

_WITHIN_MIN = 6  # characters: shorter ones are within anything
_PAIRS_MAX = 2_000_000
_TIME_ALONE = 40
_NEAR_NS, _FAR_NS = 5_000_000_000, 60_000_000_000


class By(StrEnum):
    SCRIPT = "script"  # a shell was started with it
    PROGRAM = "program"  # a program was started as it says
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Pair:
    call: int
    ran: int
    text: int  # percent
    by: By


@dataclass(frozen=True, slots=True)
class Joined:
    """`rans` is what it began, in order: a shell, or programs of one shell; none when there is only its time.

    `confidence` is in percent.
    """

    call: Call
    rans: tuple[Ran, ...]
    by: By
    confidence: int


def join(calls: Sequence[Call], rans: Sequence[Ran]) -> tuple[list[Joined], Skew | None]:
    """Both in order of time. What was found, in the order of `calls`; without those nothing is known of."""
    pairs = _pairs(calls, rans)
    chain = _chain(pairs, {pair: float(pair.text) for pair in pairs})
    skew = estimate([_seen(calls[pair.call], rans[pair.ran]) for pair in chain if calls[pair.call].begin_ns])
    if skew is not None:
        chain = _chain(pairs, {pair: pair.text * _closeness(pair, calls, rans, skew) for pair in pairs})
        chain += _near(pairs, chain, calls, rans, skew)
    taken = {pair.call: pair for pair in chain}
    groups = _groups(pairs, taken, rans)
    rivals = _rivals(pairs, taken, groups)
    found: list[Joined] = []
    for number, call in enumerate(calls):
        pair = taken.get(number)
        if pair is not None:
            sure = _confidence(pair, call, rans[pair.ran], skew, rival=number in rivals)
            found.append(Joined(call, tuple(rans[each] for each in groups[number]), pair.by, sure))
        elif call.begin_ns and skew is not None:
            found.append(Joined(call, (), By.TIME, _TIME_ALONE))
    return found, skew


def _confidence(pair: Pair, call: Call, ran: Ran, skew: Skew | None, *, rival: bool) -> int:
    if not call.begin_ns or skew is None:
        return pair.text * (6 if rival else 9) // 10
    off = _off_ns(call, ran, skew)
    return pair.text * (10 if off <= _NEAR_NS else 8 if off <= _FAR_NS else 5) // 10


def _groups(pairs: Sequence[Pair], taken: Mapping[int, Pair], rans: Sequence[Ran]) -> dict[int, list[int]]:
    """All the programs of each call: those of the same shell that fit it, and lie between its neighbours'."""
    order = sorted(pair.ran for pair in taken.values())
    groups = {call: [pair.ran] for call, pair in taken.items()}
    for pair in pairs:
        chosen = taken.get(pair.call)
        if chosen is None or pair.ran == chosen.ran or By.SCRIPT in (pair.by, chosen.by):
            continue
        if rans[pair.ran].parent == rans[chosen.ran].parent and _are_neighbours(order, pair.ran, chosen.ran):
            groups[pair.call].append(pair.ran)
    return {call: sorted(group) for call, group in groups.items()}


def _are_neighbours(order: Sequence[int], one: int, chosen: int) -> bool:
    """Whether no number but `chosen` lies between the two, or is the first."""
    first, last = min(one, chosen), max(one, chosen)
    return bisect_left(order, last + 1) - bisect_left(order, first) == 1


def _seen(call: Call, ran: Ran) -> Seen:
    return Seen(call.begin_ns, ran.began_ns, call.end_ns, ran.ended_ns)


def _off_ns(call: Call, ran: Ran, skew: Skew) -> int:
    """How far from when it should have run: between the call and its answer it is not off at all."""
    early = call.begin_ns + skew.add_ns - skew.within_ns - ran.began_ns
    late = ran.began_ns - (max(call.end_ns, call.begin_ns) + skew.add_ns + skew.within_ns)
    return max(early, late, 0)


def _closeness(pair: Pair, calls: Sequence[Call], rans: Sequence[Ran], skew: Skew) -> float:
    call = calls[pair.call]
    return _NEAR_NS / (_NEAR_NS + _off_ns(call, rans[pair.ran], skew)) if call.begin_ns else 1.0


# By text


def _pairs(calls: Sequence[Call], rans: Sequence[Ran]) -> list[Pair]:
    scripts, argvs = _by_script(calls), _by_program(calls)
    within = _automaton(scripts)
    found: dict[tuple[int, int], Pair] = {}
    for number, ran in enumerate(rans):
        for call, text, by in _fitting(ran, scripts, within, argvs):
            before = found.get((call, number))
            if before is None or before.text < text:
                found[call, number] = Pair(call, number, text, by)
        if len(found) > _PAIRS_MAX:
            break
    return sorted(found.values(), key=lambda pair: (pair.call, -pair.ran))


def _by_script(calls: Sequence[Call]) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for number, call in enumerate(calls):
        if command := call.command.strip():
            found[command].append(number)
    return found


def _by_program(calls: Sequence[Call]) -> dict[Argv, list[int]]:
    found: defaultdict[Argv, list[int]] = defaultdict(list)
    for number, call in enumerate(calls):
        for argv in dict.fromkeys(programs(call.command)):
            found[argv].append(number)
    return found


def _automaton(scripts: Iterable[str]) -> ahocorasick.Automaton | None:
    made = ahocorasick.Automaton()
    for script in scripts:
        if len(script) >= _WITHIN_MIN:
            for form in quoted_forms(script):
                made.add_word(form, (script, len(form)))
    if not len(made):
        return None
    made.make_automaton()
    return made


def _fitting(
    ran: Ran,
    scripts: Mapping[str, list[int]],
    within: ahocorasick.Automaton | None,
    argvs: Mapping[Argv, list[int]],
) -> Iterable[tuple[int, int, By]]:
    if script := script_of(ran.args):
        for call in scripts.get(script, ()):
            yield call, 99, By.SCRIPT
        for end, (text, length) in within.iter(script) if within else ():
            if text != script and _stands_alone(script, end + 1 - length, end + 1):
                for call in scripts[text]:
                    yield call, 95, By.SCRIPT
    elif ran.args:
        for call in argvs.get(key_of(ran.args), ()):
            yield call, 85 if len(ran.args) > 1 else 60, By.PROGRAM


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether it is not a part of longer words."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (before.isalnum() and text[start].isalnum()) and not (
        after.isalnum() and text[end - 1].isalnum()
    )


# By order


def _chain(pairs: Sequence[Pair], weights: Mapping[Pair, float]) -> list[Pair]:
    """The heaviest chain of pairs in which calls and programs both go up; `pairs` by call, later programs
    first.

    Best chains are kept by the program they end with, those that no shorter one beats (a staircase).
    """
    ends: list[int] = []  # programs, rising
    best: list[
        tuple[float, int]
    ] = []  # weight of a chain that ends there or before, rising; its place in links
    links: list[tuple[Pair, int]] = []
    for pair in pairs:
        place = bisect_left(ends, pair.ran)
        weight, before = best[place - 1] if place else (0.0, -1)
        weight += weights[pair]
        if place < len(ends) and ends[place] == pair.ran and best[place][0] >= weight:
            continue
        links.append((pair, before))
        last = place
        while last < len(ends) and best[last][0] <= weight:
            last += 1
        ends[place:last], best[place:last] = [pair.ran], [(weight, len(links) - 1)]
    found: list[Pair] = []
    at = best[-1][1] if best else -1
    while at >= 0:
        pair, at = links[at]
        found.append(pair)
    return found[::-1]


# By time


def _near(
    pairs: Sequence[Pair], chain: Sequence[Pair], calls: Sequence[Call], rans: Sequence[Ran], skew: Skew
) -> list[Pair]:
    """Of the calls that are left, those near what fits them: they ran beside others, in another order."""
    done, used = {pair.call for pair in chain}, {pair.ran for pair in chain}
    left = [
        pair for pair in pairs if pair.call not in done and pair.ran not in used and calls[pair.call].begin_ns
    ]
    left.sort(key=lambda pair: (-pair.text, _off_ns(calls[pair.call], rans[pair.ran], skew)))
    found: list[Pair] = []
    for pair in left:
        if pair.call in done or pair.ran in used or _off_ns(calls[pair.call], rans[pair.ran], skew) > _FAR_NS:
            continue
        done.add(pair.call)
        used.add(pair.ran)
        found.append(pair)
    return found


def _rivals(
    pairs: Sequence[Pair], taken: Mapping[int, Pair], groups: Mapping[int, Sequence[int]]
) -> set[int]:
    """The calls which another program, that no call has, fits as well as the one that was taken, by the same
    arguments or script."""
    used = {ran for group in groups.values() for ran in group}
    return {
        pair.call
        for pair in pairs
        if pair.call in taken and pair.ran not in used and pair.text >= taken[pair.call].text
    }
