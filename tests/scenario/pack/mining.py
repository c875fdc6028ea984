"""Mining."""

from tests.scenario.pack.case import Case

CASES = {
    "mining/mining_protocol": Case(
        ['say(OUT, 443, b\'{"id":1,"method":"mining.subscribe","params":[]}\\n\')'],
        ['say(OUT, 443, b\'{"jsonrpc":"2.0","id":1,"method":"initialize"}\\n\')'],
    ),
    "mining/mining_tool": Case(
        ['called("xmrig")', 'called("worker", "-o", "stratum+tcp://pool.example:443")'],
        ['called("xmrigger"); run("/usr/bin/grep", "-c", "stratum+tcp://", "/etc/hostname")'],
    ),
    "mining/mining_pool_port": Case(["dial(OUT, 3333)"], ['dial("127.0.0.1", 3333); dial(OUT, 443)']),
    "mining/mining_pool_asked": Case(
        ['ask("xmr-eu1.nanopool.org")'],
        ['ask("nanopool.org.example"); ask("notnanopool.org")'],
    ),
    "mining/mining_pool_domain": Case(
        ['ask("gulf.moneroocean.stream", wait=True); dial(OUT, 443)'],
        ['ask("example.org", wait=True); dial(OUT, 443)'],
    ),
    "mining/gpu_by_stranger": Case(
        [
            'run(program("/var/tmp/work", "/usr/bin/dd"), "if=/dev/null", "of=/dev/nvidia0", "conv=notrunc")',
            'run(program("/var/tmp/a/b", "/usr/bin/dd"), "if=/dev/null", "of=/dev/dri/renderD128")',
        ],
        ['run("/usr/bin/dd", "if=/dev/null", "of=/dev/nvidia0", "conv=notrunc")'],
    ),
}
