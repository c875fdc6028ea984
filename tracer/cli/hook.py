"""`rubicon hook claude-code`: steps told by an agent's own hooks, JSON on stdin.

In ~/.claude/settings.json (https://docs.claude.com/en/docs/claude-code/hooks):

    {"hooks": {
      "PreToolUse":  [{"hooks": [{"type": "command", "command": "rubicon hook claude-code"}]}],
      "PostToolUse": [{"hooks": [{"type": "command", "command": "rubicon hook claude-code"}]}]}}
"""

from __future__ import annotations

import argparse
import sys

from pydantic import BaseModel, ConfigDict, ValidationError

from tracer import marking
from tracer.errors import EXIT_OK, RubiconError
from tracer.text import printable

_BEGINS = "PreToolUse"
_ENDS = ("PostToolUse", "PostToolUseFailure")


class ToolInput(BaseModel):
    model_config = ConfigDict(extra="allow")

    command: str = ""


class Call(BaseModel):
    """What Claude Code hands to a hook, as far as it is a step."""

    model_config = ConfigDict(extra="allow")

    hook_event_name: str
    session_id: str = ""
    tool_name: str = ""
    tool_use_id: str = ""
    tool_input: ToolInput = ToolInput()


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "hook",
        help="tell steps from an agent's own hooks",
        description="Called by the agent before and after each tool call, with JSON on stdin. It never holds "
        "the agent up: what goes wrong is said on stderr, and the status is 0.",
        epilog=__doc__.partition("\n\n")[2] if __doc__ else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("agent", choices=("claude-code",))
    parser.set_defaults(handler=run)


def run(_args: argparse.Namespace) -> int:
    try:
        _tell(Call.model_validate_json(sys.stdin.buffer.read()))
    except RubiconError as error:
        print(f"rubicon: no step told: {printable(str(error))}", file=sys.stderr)
    except ValidationError as error:
        print(
            f"rubicon: no step told: stdin is no call of a hook ({error.error_count()} faults)",
            file=sys.stderr,
        )
    return EXIT_OK


def _tell(call: Call) -> None:
    if call.hook_event_name == _BEGINS:
        facts = {
            "tool": call.tool_name,
            "episode": call.session_id,
            "call_id": call.tool_use_id,
            "command": call.tool_input.command,
        }
        marking.begin(marking.socket_of(), **marking.cut(facts))
    elif call.hook_event_name in _ENDS:
        marking.end(marking.socket_of(), **marking.cut({"call_id": call.tool_use_id}))
