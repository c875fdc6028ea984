"""Looking round in the network; and whom a sandbox speaks to for the first time.

Windows are of the whole scope: the near misses, which all come first, leave room for each other.
"""

from tests.scenario.pack.case import Case

CASES = {
    "probing/internal_fan_out": Case(
        ['for i in range(12): dial(f"10.77.9.{i + 50}", 9)'],
        ['for i in range(5): dial(f"10.77.9.{i}", 9)'],
    ),
    "probing/port_scan": Case(
        ['for port in range(100, 120): dial("198.51.100.9", port)'],
        [
            (
                'for port in range(100, 107): dial("198.51.100.9", port)\n'
                'for port in (7, 22, 80, 443) * 9: dial("127.0.0.1", port)'
            )
        ],
    ),
    "probing/refused_burst": Case(
        ['for port in range(100, 120): dial("127.0.0.1", port)'],
        ['for _ in range(40): dial("127.0.0.1", 99)'],
    ),
    "probing/cloud_metadata": Case(
        ['dial("169.254.169.254", 80)'],
        ['dial("169.254.169.253", 80); dial("169.254.169.254", 53)'],
    ),
    "contact/first_contact_by_address": Case(
        ['dial("198.51.100.200", 80)'],
        ["dial(OUT, 80)", 'ask("host-201.example.org", wait=True); dial("198.51.100.201", 80)'],
    ),
    "contact/secret_then_contact": Case(
        ['read("/root/.aws/credentials"); dial("198.51.100.202", 80)'],
        [
            'read("/root/.aws/config"); dial("198.51.100.203", 80)',
            'run("ps", "aux"); dial("198.51.100.204", 80)',
            'read("/root/.netrc"); dial(OUT, 80)',
        ],
    ),
    "contact/first_contact_inside": Case(['dial("10.77.200.1", 80)'], ["dial(IN, 80)"]),
}
