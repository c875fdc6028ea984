from __future__ import annotations

from tracer.context.recent import Recent


def test_keeps_the_last_and_never_more_than_twice_the_limit() -> None:
    recent: Recent[int, str] = Recent(10)
    for number in range(1000):
        recent.put(number, str(number))
        assert len(recent) <= 20
        assert all(recent.get(kept) == str(kept) for kept in range(max(0, number - 9), number + 1))
    assert recent.get(1) is None


def test_what_is_asked_for_stays() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("asked", 1)
    for number in range(1000):
        recent.put(str(number), number)
        assert recent.get("asked") == 1


def test_discarded_is_gone_from_both_generations() -> None:
    recent: Recent[str, int] = Recent(1)
    for value in (1, 2, 3):
        recent.put("a", value)
    recent.discard("a")
    assert recent.get("a") is None
    assert len(recent) == 0


def test_heavy_entries_count_for_more() -> None:
    recent: Recent[int, bytes] = Recent(100, weigh=len)
    for number in range(1000):
        recent.put(number, bytes(50))
        assert len(recent) <= 4
