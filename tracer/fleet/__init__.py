"""Traces of many machines in one place: NATS JetStream (https://docs.nats.io/nats-concepts/jetstream).

    trace --publish--> stream RUBICON, subject rubicon.trace.HOST.SESSION --mirror--> trace

What is published are the blocks of the trace, byte for byte and in their order: so what arrives elsewhere is
the same trace, with its chain and its seals, and every command reads it as it reads one that was recorded
there. While the server is away the blocks lie where they always lie, in the trace. Who publishes asks the
stream what its last block of the session is, and goes on after that; the server drops what it has already
(Nats-Msg-Id): each block is there exactly once.

A block too large for a message is divided. A message has the headers

    Nats-Msg-Id     SESSION:BLOCK:PIECE
    Rubicon-Block   BLOCK PIECE PIECES, numbers from 0 on
    Rubicon-State   live, ended (this was the last block) or cut (the engine was killed; then there are no
    bytes)

Stands beside the exports; imported by `tracer.cli`. Only here `nats` is imported,
and not by this file.
"""

SCHEMES = ("nats", "tls", "ws", "wss")


def is_address(word: str | None) -> bool:
    """Whether a word is the address of a server, or of a session there."""
    return word is not None and word.partition("://")[0] in SCHEMES and "://" in word
