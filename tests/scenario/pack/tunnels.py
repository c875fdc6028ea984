"""Tunnels, in both directions."""

from tests.scenario.pack.case import Case

SSH = 'SSH, BANNER = program("ssh"), b"SSH-2.0-x\\r\\n"\n'

CASES = {
    "tunnels/reverse_ssh_tunnel": Case(
        [
            SSH + 'run(SSH, "-N", "-R", "2222:localhost:22", "host")',
            SSH + 'run(SSH, "-oRemoteForward=2222:localhost:22", "host")',
            'called("autossh", "-M", "0", "-fNR", "2222:localhost:22", "host")',
        ],
        [SSH + 'run(SSH, "-N", "-L", "2222:localhost:22", "host"); run(SSH, "host", "ls -R /srv")'],
    ),
    "tunnels/reverse_tunnel_renamed_client": Case(
        ['called("updater", "-N", "-R", "2222:localhost:22", "host")'],
        ['called("updater", "-N", "-L", "2222:localhost:22", "host")'],
    ),
    "tunnels/ssh_dynamic_forward": Case(
        [
            SSH + 'run(SSH, "-ND", "1080", "host")',
            SSH + 'run(SSH, "-w", "0:0", "host")',
            SSH + 'run(SSH, "-o", "DynamicForward 1080", "host")',
        ],
        [SSH + 'run(SSH, "-NL", "1080:host:80", "host"); run(SSH, "-o", "Tunnel=no", "host")'],
    ),
    "tunnels/ssh_elsewhere": Case(
        [SSH + "say(OUT, 443, BANNER)", SSH + "say(OUT, 22, BANNER)"],
        [
            'say(OUT, 443, b"GET / HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n")',
            # The system's own, to whatever port of this machine; it gives up, as nobody answers.
            'run("/usr/bin/ssh", "-p", "443", "-oBatchMode=yes", "-oConnectTimeout=1", "127.0.0.1")',
        ],
    ),
    "tunnels/ssh_relay": Case(
        [SSH + 'say(OUT, 22, BANNER); dial("127.0.0.1", 8080)', SSH + "say(OUT, 443, BANNER); dial(IN, 22)"],
        [SSH + 'dial("127.0.0.1", 8080); say(OUT, 22, BANNER); dial(OUT, 80)'],
    ),
    "tunnels/ssh_listener": Case(
        [SSH + 'say(OUT, 22, BANNER); socket.create_server(("127.0.0.1", 0))'],
        [SSH + 'say(OUT, 22, BANNER); fork(socket.create_server, ("127.0.0.1", 0))'],
    ),
    "tunnels/socks_spoken": Case(
        ['say("127.0.0.1", 80, b"\\5\\1\\0")'],
        ['say("127.0.0.1", 80, b"\\5\\1 hello")'],
    ),
    "tunnels/relay_inwards": Case(
        [
            # One for one; by the bytes of an echo both ways are alike.
            'outer, inner = echo(OUT, 31), echo("127.0.0.1", 31); inner.close(); outer.close()',
            "outer, inner = echo(OUT, 37), echo(IN, 37); outer.close(); inner.close()",
            # Several in one, with framing.
            (
                "outer, inner = echo(OUT, 26_000), [echo(IN, 8_000) for _ in range(3)]\n"
                "for each in (*inner, outer): each.close()"
            ),
        ],
        [
            'outer, inner = echo(OUT, 31), echo("127.0.0.1", 29); inner.close(); outer.close()',
            'one, other = echo("127.0.0.1", 31), echo(IN, 31); one.close(); other.close()',
        ],
    ),
    "tunnels/tunnel_device": Case(
        ['os.close(os.open("/dev/net/tun", os.O_RDWR))'],
        ['write("dev/net/tun")'],
    ),
    "tunnels/tunnel_tool": Case(
        [
            'called("chisel", "--help")',
            'called("helper", "client", "host:80", "R:8000:localhost:80")',
            'called("relay", "TCP-LISTEN:80,fork", "TCP:host.example:22")',
        ],
        ['called("chisels"); called("relay", "TCP-LISTEN:80,fork", "TCP:127.0.0.1:22")'],
    ),
    "tunnels/tunnel_service_asked": Case(
        ['ask("a1b2.ngrok-free.app")', 'ask("serveo.net")'],
        ['ask("ngrok-free.app.example.org"); ask("notserveo.net")'],
    ),
    "tunnels/tunnel_service_spoken": Case(
        ['say(OUT, 80, b"GET / HTTP/1.1\\r\\nHost: x.trycloudflare.com\\r\\n\\r\\n")'],
        ['say(OUT, 80, b"GET / HTTP/1.1\\r\\nHost: cloudflare.com\\r\\n\\r\\n")'],
    ),
}
