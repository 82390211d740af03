"""The echo server, the proxy and what translates to HTTP/2: processes that end with the block that started them."""

import contextlib
import pathlib
import re
import subprocess
import tempfile
import time

READY_S = 10
END_S = 10

# All paths lead to the same server: `/relayed` relays frames, `/session` passes messages through a session, `/compressed` compresses
# them on both sides of it.
CONFIG = """
[server]
listen = ["127.0.0.1:0"]
h2c = true
[admin]
listen = "127.0.0.1:0"

[[routes]]
path = "/relayed"
dialect = "websocket"
upstream = "echo"

[[routes]]
path = "/session"
dialect = "websocket"
upstream = "echo"
relay = false
max_payload = "16MiB"  # the largest message
ping_interval = "1h"   # the cases know of no heartbeat

[[routes]]
path = "/compressed"
dialect = "websocket"
upstream = "compressed"
relay = false
max_payload = "16MiB"
ping_interval = "1h"
permessage_deflate = 1  # the runner counts a short message that comes uncompressed as a fault

[upstreams.compressed]
kind = "websocket"
url = "ws://127.0.0.1:{port}/"
permessage_deflate = 1

[upstreams.echo]
kind = "websocket"
url = "ws://127.0.0.1:{port}/"
"""


@contextlib.contextmanager
def addresses(binary, over_http2):
    """Where the cases are to be run: on the echo server itself, relayed, and through sessions; the proxy over HTTP/2 if wanted."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polliwog-autobahn-")))
        echo = stack.enter_context(running(["node", "echo.mjs"], directory / "echo.log"))
        config = directory / "config.toml"
        config.write_text(CONFIG.format(port=echo))
        proxy = stack.enter_context(running([binary, "run", "--config", config], directory / "proxy.log"))
        if over_http2:
            proxy = stack.enter_context(running(["node", "translator.mjs", str(proxy)], directory / "translator.log"))
        yield {
            "direct": f"ws://127.0.0.1:{echo}/",
            "relayed": f"ws://127.0.0.1:{proxy}/relayed",
            "session": f"ws://127.0.0.1:{proxy}/session",
            "compressed": f"ws://127.0.0.1:{proxy}/compressed",
        }


@contextlib.contextmanager
def running(command, log):
    """Starts `command`, waits until it listens, and yields its port; it must live to the end, and then exit with 0 on SIGTERM."""
    # A file, since a pipe that is not read would block it.
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield listening(child, log)
        if child.poll() is not None:
            raise RuntimeError(f"{command[0]} ended by itself, with {child.returncode}:\n{tail(log)}")
        child.terminate()
        if child.wait(END_S) != 0:
            raise RuntimeError(f"{command[0]} ended with {child.returncode} at SIGTERM:\n{tail(log)}")
    finally:
        child.kill()
        child.wait()


def listening(child, log):
    deadline = time.monotonic() + READY_S
    while child.poll() is None and time.monotonic() < deadline:
        # The proxy says the same of its admin pages, later.
        if said := re.search(r"\blistening\b.*127\.0\.0\.1:(\d+)", log.read_text()):
            return int(said[1])
        # The interval between two checks.
        time.sleep(0.02)
    raise RuntimeError(f"{child.args[0]} did not come to listen:\n{tail(log)}")


def tail(log):
    return "\n".join(log.read_text().splitlines()[-40:])
