"""The trace file: bytes <-> disk. The spine of Rubicon: capture writes it, everything else reads it.

    capture -> Writer -> FILE -> Reader    replay, export, report
                              -> Follower  the live pipeline and the TUI
                              -> verify    an auditor
    what a reader made of a finished one -> index -> the next reader

Imported by `tracer.pipeline` and what lies above it. Imports only `errors`, `records` and `text` of
`tracer`; knows nothing of what a kernel record means beyond the ring-buffer framing around it.

A trace is a row of blocks. One writer appends and holds an exclusive flock as long as it lives, so anyone can
tell a session that is running from one that was killed. A block is a little-endian header and a payload:

    ======  ====  ================  ===================================================================
    offset  size  field             meaning
    ======  ====  ================  ===================================================================
         0     4  magic             ``RBCN``
         4     2  version           of this format: 1
         6     2  header_bytes      144
         8     8  sequence          of the block, from 0
        16     8  first_ns          boot clock of the first kernel record, 0 without any
        24     8  last_ns           boot clock of the last kernel record, 0 without any
        32     4  context_records   lines of JSON
        36     4  critical_records  kernel records: processes, network, boundary
        40     4  bulk_records      kernel records: files
        44     4  context_bytes     length of that section before compression; so the next two
        48     4  critical_bytes
        52     4  bulk_bytes
        56     4  payload_bytes     what follows the header on disk
        60     4  reserved          0
        64     8  lost_critical     records the session had lost when this was written, cumulative
        72     8  lost_bulk
        80    32  previous          hash of the block before; zeros in block 0
       112    32  hash              SHA-256 of this header with zeros here, and the payload
    ======  ====  ================  ===================================================================

The payload is one zstd frame of three sections: context (JSON lines, each an object with a "type"; the first
of all is "session", the last is "end", and after it a seal in a block of its own), critical and bulk (kernel
records framed as in the BPF ring buffer: u32 length with bit 30 = discarded and bit 31 = busy, u32 page
offset, the bytes, padding to a multiple of 8).

The hash chain finds what a failing disk, a crash or a careless hand did, and says where. Who may write the
file can also compute a new chain, but not sign it: see `tracer.trace.seal`. Who has the key as well, as root
on the same machine does, can do both; against that the heads have to be kept somewhere else (`--anchor`).
"""

from tracer.records import EMPTY, Section
from tracer.trace.blocks import (
    MAX_CONTEXT_BYTES,
    MAX_RAW_BYTES,
    Block,
    Header,
    ring_records,
    ring_section,
)
from tracer.trace.correlated import correlated_path, read_correlated, write_correlated
from tracer.trace.follow import Follower
from tracer.trace.index import Index, IndexWriter, index_folder, open_index
from tracer.trace.keys import Keyring, PublicKey, SigningKey, default_keys_folder, read_public_key
from tracer.trace.parts import Place, part_path
from tracer.trace.read import Damage, DamageKind, Reader
from tracer.trace.rotate import Rotation, Rotator
from tracer.trace.seal import SEAL_SECONDS, Sealer
from tracer.trace.store import (
    StoredSession,
    default_folder,
    find_trace,
    new_session_id,
    new_trace_path,
    newest_trace,
    stored_sessions,
)
from tracer.trace.verify import Sealed, TraceState, Verdict, verify
from tracer.trace.write import MEMORY_LIMIT_BYTES, Writer, WriterState

__all__ = [
    "EMPTY",
    "MAX_CONTEXT_BYTES",
    "MAX_RAW_BYTES",
    "MEMORY_LIMIT_BYTES",
    "SEAL_SECONDS",
    "Block",
    "Damage",
    "DamageKind",
    "Follower",
    "Header",
    "Index",
    "IndexWriter",
    "Keyring",
    "Place",
    "PublicKey",
    "Reader",
    "Rotation",
    "Rotator",
    "Sealed",
    "Sealer",
    "Section",
    "SigningKey",
    "StoredSession",
    "TraceState",
    "Verdict",
    "Writer",
    "WriterState",
    "correlated_path",
    "default_folder",
    "default_keys_folder",
    "find_trace",
    "index_folder",
    "new_session_id",
    "new_trace_path",
    "newest_trace",
    "open_index",
    "part_path",
    "read_correlated",
    "read_public_key",
    "ring_records",
    "ring_section",
    "stored_sessions",
    "verify",
    "write_correlated",
]
