"""The application of both Python backends: echo, broadcast, and what tests ask for. It knows sessions, not frames."""

import asyncio
import json
import os
import re
import signal
import sys

import wire

STOP_S = 5

everyone = set()
counts = {"sockets": 0, "sockets_ever": 0, "sessions": 0, "sessions_ever": 0, "close_packets": 0}


def count(what, change):
    counts[what] += change
    counts[f"{what}_ever"] += max(change, 0)


async def open(request):
    """Decides whether a client is accepted: returns the fields of `ok`, or `deny` with a status and a text."""
    asked = re.match(r"/(deny|wait)/(\d+)", request["path"])
    if asked and asked[1] == "deny":
        return {"deny": [int(asked[2]), "denied"]}
    if asked:
        # The path asks for this delay.
        await asyncio.sleep(int(asked[2]) / 1000)
    met = any(pair[0] == "cookie" for pair in request["headers"])
    answer = {} if met else {"headers": [["set-cookie", "met=1"]]}
    return answer | ({"protocol": request["protocols"][0]} if request["protocols"] else {})


def opened(session, request):
    everyone.add(session)
    count("sessions", 1)
    if request["path"] == "/stats":
        session.send(json.dumps(counts))


def message(session, data):
    """`data` is a str or bytes."""
    if isinstance(data, str):
        if asked := re.fullmatch(r"close:(\d{4}):(.*)", data, re.DOTALL):
            session.close(int(asked[1]), asked[2])
            return
        if data == "close packet":
            session.close(1005, "", True)
            return
        if asked := re.fullmatch(r"flood:(\d+):(\d+)", data):
            for i in range(int(asked[1])):
                session.send(str(i + 1).ljust(int(asked[2]), "."))
            return
    to_all = isinstance(data, str) and data.startswith("all:")
    for each in everyone if to_all else [session]:
        each.send(data)


def closed(session, by_packet):
    """`by_packet` if the client closed with a packet of its protocol."""
    everyone.discard(session)
    count("sessions", -1)
    counts["close_packets"] += by_packet


def start(connection):
    """`python long.py PORT` prints where it listens; SIGTERM makes it end its sessions, and then itself."""
    asyncio.run(run(connection))


async def run(connection):
    app = sys.modules[__name__]
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server, stop = await wire.serve(connection, app, port, os.environ.get("TOKEN"))
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    await asked.wait()
    stop(STOP_S)
    await asyncio.wait([asyncio.create_task(server.wait_closed())], timeout=STOP_S)
