"""What scripts/bench measured, as Markdown: ratios and counts, no times of this machine but the start-up."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence

from bench_peers import missing
from bench_results import Results, Row

LEAST_OVERHEAD = 0.01  # below that a ratio is noise, and overheads cannot be divided by one another


def report(results: Results, rounds: int) -> Iterator[str]:
    """Line by line."""
    yield (
        f"{rounds} rounds on {os.cpu_count()} cores, Linux {platform.release()} {platform.machine()}. "
        "Median of the rounds, lowest and highest in brackets."
    )
    yield ""
    peers = list(dict.fromkeys(name for row in results.rows.values() for name in row.peers))
    heads = "".join(f"{name} : bare | overhead, {name} : Rubicon | " for name in peers)
    yield f"| workload | Rubicon : bare | {heads}its own CPU, Rubicon : bare | events | lost |"
    yield "|---|---|" + "---|---|" * len(peers) + "---|---|---|"
    for row in results.rows.values():
        yield compared(row, peers)
    for row in (*results.beside.values(), *results.scopes.values()):
        ratios = f"{spread(row.ratios(row.watched))} |{' | |' * len(peers)} {spread(row.own_cpu_ratios())}"
        yield f"| {row.title} | {ratios} | | |"
    yield ""
    yield from missing()
    yield from peers_losses(results)
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield from counts(results)


def compared(row: Row, peers: Sequence[str]) -> str:
    watched = row.ratios(row.watched)
    events = statistics.median(each.events for each in row.recorded)
    lost = max(each.lost for each in row.recorded)
    others = ""
    for name in peers:
        if name in row.peers:
            ratios = row.ratios(row.peers[name])
            others += f"{spread(ratios)} | {times_less(watched, ratios)} | "
        else:
            others += "sees nothing | | "
    ratios = f"{spread(watched)} | {others}{spread(row.own_cpu_ratios())}"
    return f"| {row.title} | {ratios} | {events:,.0f} | {lost:,} |"


def peers_losses(results: Results) -> Iterator[str]:
    """What the peers themselves say they have lost."""
    for row in results.rows.values():
        for name, runs in row.peers.items():
            if worst := max(each.lost for each in runs):
                told = max(each.events for each in runs)
                yield f"{name} lost up to {worst:,} events of {row.title!r}, of which it told {told:,}."


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def times_less(watched: Sequence[float], peer: Sequence[float]) -> str:
    """How many times more the peer costs than Rubicon does."""
    ours, theirs = (statistics.median(each) - 1 for each in (watched, peer))
    if theirs < LEAST_OVERHEAD:
        return "-"
    if ours < LEAST_OVERHEAD:
        return f"over {theirs / LEAST_OVERHEAD:.0f}"
    return f"{theirs / ours:.1f}"


def counts(results: Results) -> Iterator[str]:
    if agent := results.rows.get("agent"):  # the others are too short to take the start of the tracer off
        startup_cpu = statistics.median(results.startup_cpu_seconds)
        yield f"| CPU of agent's work and Rubicon together : bare | {spread(agent.cpu_ratios(startup_cpu))} |"
    if results.flood:
        rates = [recorded.events / (run.times * run.elapsed_ns / 1e9) for run, recorded in results.flood]
        lost = [recorded.lost for _run, recorded in results.flood]
        least, most = min(rates), max(rates)
        yield (
            f"| events a second into the trace, two writers as fast as they can "
            f"| {statistics.median(rates):,.0f} ({least:,.0f}-{most:,.0f}) |"
        )
        yield f"| of them lost, at most, of {results.flood[0][1].events + lost[0]:,} | {max(lost):,} |"
        yield f"| peak memory of the engine in that | {peak_mebibytes(results):.0f} MiB |"
    for row in results.rows.values():
        if row.recorded[0].events > 100:
            sizes = [each.trace_bytes / each.events for each in row.recorded]
            yield f"| bytes an event on disk: {row.title} | {statistics.median(sizes):.1f} |"
    startup = sorted(results.startup_seconds)
    yield (
        f"| start and end of `rubicon run -- true`, less `true` "
        f"| {statistics.median(startup):.2f} s ({startup[0]:.2f}-{startup[-1]:.2f}) |"
    )


def peak_mebibytes(results: Results) -> float:
    return statistics.median(run.peak_bytes for run, _recorded in results.flood) / 2**20
