"""libbpf.py: what is made of libbpf's own words."""

from __future__ import annotations

from tracer.capture.libbpf import refusal

LOG = """libbpf: prog 'on_sys_exit': -- BEGIN PROG LOAD LOG --
Func#37 ('connect_exit') is safe for any args that match its prototype
combined stack size of 6 calls is 528. Too large
processed 81368 insns (limit 1000000) max_states_per_insn 22 total_states 2360
-- END PROG LOAD LOG --"""


def test_a_refusal_names_the_program_and_the_last_words_of_the_verifier() -> None:
    said = refusal(["libbpf: prog 'on_sys_exit': BPF program load failed: Permission denied", LOG])
    assert said == " (prog 'on_sys_exit': combined stack size of 6 calls is 528. Too large)"


def test_without_a_log_there_are_no_words() -> None:
    assert refusal([]) == ""
    assert refusal(["libbpf: failed to load object 'x'"]) == ""
