"""The views of a trace as a database: over a table `records` with the columns of `columns` and `document`.

The SQL is read by SQLite and by DuckDB.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    about: str
    query: str


VIEWS = {
    "events": View(
        "what the sandbox did, and what was there at the attach",
        """SELECT * FROM records
        WHERE kind IN ('event', 'state') AND category <> 'intrusion_detection'""",
    ),
    "violations": View(
        "what broke a rule, with the rule",
        "SELECT * FROM records WHERE kind = 'alert'",
    ),
    "responses": View(
        "what Rubicon did, or would have done, about it",
        """SELECT time, action, outcome, response_result, message, rule_name, process_pid, process_executable
        FROM records WHERE category = 'intrusion_detection'""",
    ),
    "commands": View(
        "every program that was started",
        """SELECT time, step, process_pid, process_entity_id, process_executable, process_command_line,
        process_working_directory, process_parent_pid, process_parent_executable, user_name,
        container_name, outcome, error
        FROM records WHERE action = 'exec' AND kind IN ('event', 'state')""",
    ),
    "processes": View(
        "one row a process: when it was seen, how much it did, what it broke",
        """SELECT process_entity_id, MIN(process_pid) AS process_pid,
        MAX(process_executable) AS process_executable, MIN(time) AS first_seen, MAX(time) AS last_seen,
        SUM(CASE WHEN kind = 'alert' THEN 0 ELSE 1 END) AS events,
        SUM(CASE WHEN kind = 'alert' THEN 1 ELSE 0 END) AS violations
        FROM records WHERE process_entity_id IS NOT NULL GROUP BY process_entity_id""",
    ),
    "connections": View(
        "every attempt to reach a peer, and who came in",
        """SELECT time, step, process_pid, process_executable, action, network_transport, destination_ip,
        destination_port, destination_domain, destination_address, source_ip, source_port, outcome, error
        FROM records WHERE action IN ('connect', 'accept', 'send') AND kind IN ('event', 'state')""",
    ),
    "peers": View(
        "one row an address and port: how often, by how many processes, how many bytes",
        """SELECT destination_ip, destination_port, MAX(destination_domain) AS destination_domain,
        SUM(CASE WHEN action = 'connect' THEN 1 ELSE 0 END) AS connects,
        COUNT(DISTINCT process_entity_id) AS processes, SUM(source_bytes) AS bytes_out,
        SUM(destination_bytes) AS bytes_in, MIN(time) AS first_seen, MAX(time) AS last_seen
        FROM records WHERE destination_ip IS NOT NULL AND kind IN ('event', 'state')
        GROUP BY destination_ip, destination_port""",
    ),
    "files": View(
        "every change to a file",
        """SELECT time, step, process_pid, process_executable, action, file_path, file_original_path,
        file_bytes_written, outcome, error
        FROM records WHERE category = 'file' AND kind IN ('event', 'state')""",
    ),
    "summary": View(
        "the last word: verdict, counts and losses, as JSON",
        "SELECT time, document FROM records WHERE kind = 'metric'",
    ),
}
