from __future__ import annotations

from tui.cells import Shown, clip, crop_parts, fit, fit_middle, fit_right, parts_cells, spread


def test_fit_fills_up() -> None:
    assert fit("ab", 5) == "ab   "
    assert fit_right("ab", 5) == "   ab"


def test_fit_marks_where_it_cut() -> None:
    assert fit("abcdef", 4) == "abc…"
    assert fit_right("abcdef", 4) == "abc…"


def test_fit_middle_keeps_both_ends() -> None:
    assert fit_middle("/home/agent/work/file.txt", 16) == "/home…k/file.txt"


def test_wide_characters_count_two_cells() -> None:
    assert fit("日本語", 5) == "日本…"
    assert fit("日本", 6) == "日本  "


def test_no_room_is_no_text() -> None:
    assert fit("abc", 0) == fit_middle("abc", 0) == clip("abc", -3) == ""


def test_text_is_escaped_before_it_is_measured() -> None:
    assert fit("a\x1bb", 10) == "a\\x1bb    "
    assert clip("\n\n\n", 4) == "\\n\\…"


def test_clip_does_not_fill_up() -> None:
    assert clip("ab", 5) == "ab"


def test_spread_keeps_the_right_and_cuts_the_left() -> None:
    line = spread([(Shown("left side"), "a")], [(Shown("right"), "b")], 10)
    assert "".join(text for text, _style in line) == "left right"
    assert parts_cells(line) == 10


def test_crop_leaves_out_what_does_not_fit() -> None:
    parts = [(Shown("abc"), ""), (Shown("def"), ""), (Shown("ghi"), "")]
    assert [text for text, _style in crop_parts(parts, 5)] == ["abc", "de"]
