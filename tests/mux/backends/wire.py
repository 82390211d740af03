"""What both forms of the Python backend share: the frames of polliwog.mux.v1.json, and the server that takes them."""

import asyncio
import base64
import contextlib
import json

from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

PROFILE = "polliwog.mux.v1.json"
HELLO_S = 20
# A frame is larger than its message: base64 adds a third, and JSON's escapes make six bytes of one.
FRAME_MAX = 64 * 1024 * 1024


class Fault(Exception):
    """What closes the WebSocket with 1002."""


def is_text(it):
    # UTF-8 can't encode a lone surrogate, but json.loads reads its escape.
    return isinstance(it, str) and it.encode(errors="ignore").decode() == it


def is_count(it):
    return type(it) is int and 0 <= it < 2**53


def is_object(it):
    return isinstance(it, dict)


def list_of(is_one):
    return lambda it: isinstance(it, list) and all(map(is_one, it))


def is_pair(it):
    return isinstance(it, list) and len(it) > 1 and is_text(it[0]) and is_text(it[1])


def is_request(it):
    lists = {"headers": list_of(is_pair), "protocols": list_of(is_text)}
    plain = is_object(it) and is_text(it.get("path")) and it.get("eio", 4) in (3, 4)
    return plain and all(fits(it.get(name)) for name, fits in lists.items())


def is_hello(it):
    numbers = is_object(it) and is_count(it.get("v")) and is_count(it.get("max_message"))
    return numbers and it["v"] == 1 and is_text(it.get("epoch"))


def is_news(it):
    return isinstance(it, list) and len(it) > 2 and is_text(it[0]) and is_count(it[1]) and is_count(it[2])


def is_entry(it):
    return is_news(it) or isinstance(it, list) and is_news([*it[:1], 0, *it[2:]]) and is_count(it[1] + 1)


# What P may send: the fields after each verb. The base64 of `b` is checked by decoding it.
FRAMES = {
    "hello": [is_hello],
    "sync": [is_text, list_of(is_entry)],
    "open": [is_text, is_request],
    "t": [is_text, is_count, is_text],
    "b": [is_text, is_count, is_text],
    "a": [list_of(is_news)],
    "x": [is_text, is_count, is_count, is_text],
    "transport": [is_text, is_text],
    "drain": [is_count],
}


def refuse(constant):
    """JSON has no NaN and no Infinity, though Python reads them."""
    raise ValueError(constant)


def parse(data):
    try:
        frame = json.loads(data, parse_constant=refuse) if isinstance(data, str) else None
        verb, *fields = frame if isinstance(frame, list) else [None]
        shape = FRAMES[verb]
        if len(fields) < len(shape) or not all(fits(it) for fits, it in zip(shape, fields)):
            raise ValueError(verb)
        if verb == "b":
            fields[2] = base64.b64decode(fields[2], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Fault("not a JSON array in a text message, an unknown verb or a wrong field") from None
    return verb, fields


def message(id, seq, data):
    """The frame of a message, a str or bytes. A lone surrogate, which UTF-8 can't encode, would be a fault."""
    if isinstance(data, str):
        return "t", id, seq, data.encode(errors="replace").decode()
    return "b", id, seq, base64.b64encode(data).decode()


def goodbye(hello, code, reason, by_packet=False):
    """The end of an `x`: `by_packet` is for a P that knows it."""
    return (code, reason, True) if by_packet and hello.get("close_packets") is True else (code, reason)


class Wire:
    """A WebSocket that is written to without waiting, in order."""

    def __init__(self, ws):
        self.ws = ws
        self.outbox = asyncio.Queue()
        self.closing = False

    def write(self, *frame):
        self.outbox.put_nowait(json.dumps(frame, separators=(",", ":"), ensure_ascii=False))

    def close(self, code, reason):
        self.closing = True
        self.outbox.put_nowait((code, reason))

    async def send_all(self):
        with contextlib.suppress(ConnectionClosed):
            while isinstance(frame := await self.outbox.get(), str):
                await self.ws.send(frame)
            await self.ws.close(*frame)


async def serve(connection, app, port, token):
    """Serves `connection(wire, app)`, which gives `take(verb, fields)`, `end(code)` and `stop(seconds)`."""
    sides = set()

    def authorize(ws, request):
        if token and request.headers.get("Authorization") != f"Bearer {token}":
            return ws.respond(401, "")

    async def handle(ws):
        wire = Wire(ws)
        side = connection(wire, app)
        greeted = False

        def hurry():
            if not greeted:
                wire.close(1002, "no hello")

        writer = asyncio.create_task(wire.send_all())
        asyncio.get_running_loop().call_later(HELLO_S, hurry)
        sides.add(side)
        app.count("sockets", 1)
        with contextlib.suppress(ConnectionClosed):
            async for data in ws:
                if wire.closing:
                    continue
                try:
                    verb, fields = parse(data)
                    if (verb == "hello") == greeted:
                        raise Fault("hello comes first, and once")
                    greeted = True
                    side.take(verb, fields)
                except Fault as fault:
                    wire.close(1002, str(fault))
                    side.end(1002)
        side.end(ws.close_code)
        app.count("sockets", -1)
        sides.discard(side)
        writer.cancel()

    server = await serve_websockets(
        handle,
        "127.0.0.1",
        port,
        subprotocols=[PROFILE],
        process_request=authorize,
        compression=None,
        max_size=FRAME_MAX,
    )

    def stop(seconds):
        server.close(close_connections=False)
        for side in sides:
            side.stop(seconds)

    return server, stop
