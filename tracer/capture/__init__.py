"""Kernel -> ring bytes -> records: where everything Rubicon knows comes from.

    probes/build/rubicon.bpf.o -> core (through libbpf) -> ring -> bytes for the trace
                               -> btf -> layout -> decode: bytes -> Record

A `Source` is what a session drains; `core.CoreSource` is the one on the running kernel. Loading and decoding
have only the layout in common: it is taken from the object's own BTF, written into the trace, and is all that
a decoder on another machine needs.

Imported by `tracer.session` (sources, preflight) and `tracer.pipeline` (the decoder). Imports only
`tracer.records` and `tracer.errors`. libbpf is touched in `libbpf` alone.
"""

from tracer.capture.decode import RecordDecoder
from tracer.capture.source import FIRST_FOUND_SCOPE, Drained, ReadOf, ScopeCgroup, Source, Wanted

__all__ = ["FIRST_FOUND_SCOPE", "Drained", "ReadOf", "RecordDecoder", "ScopeCgroup", "Source", "Wanted"]
