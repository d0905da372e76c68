"""``--network user`` in real guests: out to the host, and in by published ports."""

from __future__ import annotations

import http.server
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.vm.conftest import NANOSERVER, Linwin, until

SERVER = "require('http').createServer((_, answer) => answer.end('from the guest')).listen(8080)"


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the host")

    def log_message(self, *_: object) -> None:
        """Nothing of it belongs in a test's output."""


@pytest.fixture
def host_port() -> Iterator[int]:
    """A port of 127.0.0.1 at which somebody answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def fetched(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""  # it does not listen yet


def test_a_guest_reaches_the_host_and_is_reached(
    linwin: Linwin, program: Callable[[str], str], host_port: int
) -> None:
    image = program("node")
    script = f"fetch('http://host.linwin.internal:{host_port}').then((a) => a.text()).then(console.log)"
    assert linwin.text("run", "--rm", "--network", "user", image, "node", "-e", script) == "from the host\n"
    words = ("run", "-d", "--network", "user", "-p", "127.0.0.1::8080", image, "node", "-e", SERVER)
    name = linwin.text(*words).strip()
    try:
        address = linwin.text("port", name, "8080").strip()
        until(
            lambda: fetched(f"http://{address}") == "from the guest", "nobody answers at the published port"
        )
        taken = linwin(
            "run", "--rm", "--network", "user", "-p", f"{address}:80", image, "node", "-e", "0", code=125
        )
        assert f"failed to bind host port {address}/tcp: address already in use" in taken.stderr.decode()
    finally:
        linwin("rm", "-f", name)
    assert fetched(f"http://{address}") == ""


def test_a_daemon_without_rights_over_networks_has_it(own_daemon: Linwin) -> None:
    linwin = own_daemon
    linwin("daemon", "stop", "--purge-network")
    without = ["setpriv", "--bounding-set=-net_admin,-net_raw,-sys_admin"]
    subprocess.run([*without, "linwin", "daemon", "start"], env=linwin.environment, check=True)
    refused = linwin("run", "--rm", "-p", "80", NANOSERVER, "cmd", "/c", "ver", code=125).stderr.decode()
    assert "this host cannot have networks: " in refused
    assert "use --network user" in refused
    asked = linwin.text(
        "run", "--rm", "--network", "user", NANOSERVER, "ping", "-n", "1", "host.linwin.internal"
    )
    assert "[10.0.2.2]" in asked
    assert "Received = 1" in asked
