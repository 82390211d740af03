"""What hostile clients do. A case's first line is its name; it returns once the proxy has done what it must."""

import json
import struct
import time

from hostile import (
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Hostile,
    frame,
    number,
)
from sites import Client

MIB = 1 << 20
CANCEL = number(8)
INITIAL_WINDOW_SIZE = 4


def setting(name, value):
    return struct.pack(">HI", name, value)


class Carried:
    """A session with a message that nobody has fetched, and one in which polls wait."""

    def __init__(self, site):
        self.site = site
        self.client = Client(site.door)
        self.path = self.client.begin()
        self.client.ask("POST", self.path, b"before")
        self.idle = self.client.begin()

    def is_whole(self, *more):
        """Asserts that a fresh connection finds all of its messages."""
        expected = ["before", *more]
        heard = Client(self.site.door).messages(self.path, 0)
        for _ in expected:
            if len(heard) < len(expected):
                heard |= Client(self.site.door).messages(self.path, len(heard))
        assert list(heard.values()) == expected, f"{heard} instead of {expected}"
        for path in self.path, self.idle:
            assert Client(self.site.door).ask("DELETE", path)[0] < 300, "the session is gone"


def flooded(site, flood):
    """Floods a connection on which a poll waits, whose body has not ended; it must end."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.request(1, "GET", f"{session.idle}?after=0", flags=0)
    # The proxy has read that there is one.
    assert hostile.serves()
    hostile.flood(flood, 16 * MIB)
    assert hostile.ends() in (ENHANCE_YOUR_CALM, None)
    hostile.close()
    session.is_whole()


def rapid_reset(site):
    """Requests that are reset at once end the connection."""
    session = Carried(site)
    hostile = Hostile(site.door)
    for stream in range(1, 20_001, 2):
        block = hostile.block("POST", "/feed/")
        if not hostile.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block) + frame(RST_STREAM, 0, stream, CANCEL)):
            break
    assert hostile.ends() in (ENHANCE_YOUR_CALM, None)
    session.is_whole()


def paced_reset(site):
    """Requests that are reset once they wait end the connection, after as many as a page may give up."""
    session = Carried(site)
    hostile = Hostile(site.door)
    given_up = 0
    for stream in range(1, 401, 2):
        hostile.request(stream, "GET", f"{session.idle}?after=0")
        if not hostile.serves():
            break
        hostile.send(frame(RST_STREAM, 0, stream, CANCEL))
        given_up += 1
    assert 90 <= given_up <= 150, f"it ended after {given_up}"
    session.is_whole()


def continuations(site):
    """A header section without end ends the connection."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.send(frame(HEADERS, END_STREAM, 1, hostile.block("GET", session.path)))
    hostile.flood(frame(CONTINUATION, 0, 1, hostile.encoder.encode([("x", "y" * 4000)])), 16 * MIB)
    hostile.ends()
    assert hostile.sent < 4 * MIB, f"the proxy has read {hostile.sent} bytes"
    session.is_whole()


def empty_continuations(site):
    """Empty continuations of a header section end the connection."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.send(frame(HEADERS, END_STREAM, 1, hostile.block("GET", session.path)))
    hostile.flood(frame(CONTINUATION, 0, 1) * 1000, 16 * MIB)
    hostile.ends()
    assert hostile.sent < 4 * MIB, f"the proxy has read {hostile.sent} bytes"
    session.is_whole()


def settings(site):
    """SETTINGS whose acknowledgements nobody reads stop being read."""
    unread(site, frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 65_535)))


def pings(site):
    """PINGs whose answers nobody reads stop being read."""
    unread(site, frame(PING, 0, 0, bytes(8)))


def unread(site, each):
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.flood(each * 1000, 64 * MIB)
    assert hostile.sent < 64 * MIB, "the proxy reads on"
    hostile.close()
    session.is_whole()


def bomb(site):
    """A short header section that unpacks to a long one is refused."""
    session = Carried(site)
    hostile = Hostile(site.door)
    # One long header in the table, and then its index again and again.
    first = hostile.encoder.encode([(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"), ("x", "y" * 3900)])
    again = hostile.encoder.encode([("x", "y" * 3900)])
    assert len(again) == 1
    hostile.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, first))
    for stream in range(3, 103, 2):
        block = hostile.block("GET", "/") + again * 15_000
        hostile.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block))
    assert hostile.until(RST_STREAM, stream).error_code == PROTOCOL_ERROR
    hostile.close()
    session.is_whole()


def table(site):
    """A header table larger than allowed ends the connection."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x3f\xe1\xff\xff\xff\x07" + hostile.block("GET", "/")))
    assert hostile.ends() in (COMPRESSION_ERROR, PROTOCOL_ERROR)
    session.is_whole()


def no_window(site):
    """A poll whose window never opens ends, and its message comes with the next."""
    session = Carried(site)
    hostile = Hostile(site.door, setting(INITIAL_WINDOW_SIZE, 0))
    hostile.request(1, "GET", f"{session.path}?after=0")
    # The poll first, and then the connection that makes no other request.
    hostile.ends(30)
    session.is_whole()


def untaken_batch(site):
    """A batch of Socket.IO's whose window never opens ends its session, and the next poll learns of it."""
    hostile, session = batch(site, 0)
    hostile.ends(30)
    is_over(site, session)


def reset_batch(site):
    """A poll of Socket.IO's that is reset with its batch half taken ends its session."""
    hostile, session = batch(site, 5)
    hostile.until(DATA, 1)
    hostile.send(frame(RST_STREAM, 0, 1, CANCEL))
    assert hostile.serves()
    is_over(site, session)
    hostile.close()


def batch(site, window):
    """Begins a session of Socket.IO's and polls its first packet through a window; returns the client and the session's path."""
    client, polling = Client(site.door), "/socket.io/?EIO=4&transport=polling"
    session = f"{polling}&sid={json.loads(client.ask('GET', polling)[1][1:])['sid']}"
    assert client.ask("POST", session, b"40") == (200, b"ok")
    hostile = Hostile(site.door, setting(INITIAL_WINDOW_SIZE, window))
    hostile.request(1, "GET", session)
    return hostile, session


def is_over(site, session):
    status, body = Client(site.door).ask("GET", session)
    assert (status, json.loads(body)["code"]) == (400, 1), f"{status} {body}"


def windows_overflow(site):
    """A window beyond its maximum ends its stream, or the connection."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.request(1, "GET", f"{session.idle}?after=0")
    hostile.send(frame(WINDOW_UPDATE, 0, 1, number(0x7FFF_FFFF)))
    assert hostile.until(RST_STREAM, 1).error_code == FLOW_CONTROL_ERROR
    assert hostile.serves()
    hostile.send(frame(WINDOW_UPDATE, 0, 0, number(0x7FFF_FFFF)))
    assert hostile.ends() == FLOW_CONTROL_ERROR
    session.is_whole()


def closed_stream(site):
    """DATA on a stream that is closed is refused, and ends the connection if it does not keep to the window."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.request(1, "GET", f"{session.path}?after=0")
    hostile.until(DATA, 1)
    # By TLS the client may be too slow to get ahead of the window.
    hostile.flood(frame(DATA, 0, 1, bytes(1000)), 16 * MIB)
    told = [each.error_code for each in hostile.frames(10) if each.type in (RST_STREAM, GOAWAY)]
    assert not told or told[0] in (STREAM_CLOSED, FLOW_CONTROL_ERROR, PROTOCOL_ERROR, ENHANCE_YOUR_CALM), f"{told}"
    session.is_whole()


def priorities(site):
    """Streams that depend on each other in circles cost nothing, one that depends on itself is refused."""
    session = Carried(site)
    hostile = Hostile(site.door)
    circle = b"".join(frame(PRIORITY, 0, stream, number(stream % 99 + 2) + b"\x10") for stream in range(1, 99, 2))
    hostile.flood(circle, 4 * MIB)
    assert hostile.serves()
    hostile.send(frame(PRIORITY, 0, 1, number(1) + b"\x10"))
    assert hostile.until(RST_STREAM, 1).error_code == PROTOCOL_ERROR
    assert hostile.serves()
    hostile.close()
    session.is_whole()


def empty_data(site):
    """Empty DATA on a poll that waits ends the connection."""
    flooded(site, frame(DATA, 0, 1) * 1000)


def divided_data(site):
    """Empty DATA between other frames ends the connection."""
    flooded(site, (frame(DATA, 0, 1) + frame(PRIORITY, 0, 3, number(0) + b"\x10")) * 1000)


def short_data(site):
    """DATA of one byte on a poll that waits is thrown away, or ends the poll or its connection."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.request(1, "GET", f"{session.idle}?after=0", flags=0)
    assert hostile.serves()
    hostile.flood(frame(DATA, 0, 1, b"x") * 1000, 8 * MIB)
    # Which of them depends on when the body is dropped; what would be wrong is neither an answer nor an end.
    hostile.serves()
    hostile.close()
    session.is_whole()


def padded_data(site):
    """DATA of padding alone ends the connection."""
    flooded(site, frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * 100)


def pushed(site):
    """A client that pushes is disconnected."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.send(frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + hostile.block("GET", "/")))
    assert hostile.ends() == PROTOCOL_ERROR
    session.is_whole()


def unknown_frames(site):
    """Frames of unknown types are passed over."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.flood(frame(0xEE, 0xFF, 0, bytes(100)) * 100, 4 * MIB)
    assert hostile.serves()
    hostile.close()
    session.is_whole()


def silence(site):
    """A connection that begins a header section and falls silent is closed."""
    session = Carried(site)
    silent = [Hostile(site.door) for _ in range(50)]
    for hostile in silent:
        hostile.send(frame(HEADERS, END_STREAM, 1, hostile.block("GET", session.path)))
    for hostile in silent:
        hostile.ends(30)
    session.is_whole()


def trickled_header(site):
    """A header section that trickles in beside a poll that waits ends the connection."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.request(1, "GET", f"{session.idle}?after=0")
    assert hostile.serves()
    began = time.monotonic()
    hostile.send(frame(HEADERS, END_STREAM, 3, hostile.block("GET", session.path)))
    while hostile.send(frame(CONTINUATION, 0, 3, hostile.encoder.encode([("x", "y")]))):
        assert time.monotonic() - began < 20, "it trickles on"
        # The pace of the trickle.
        time.sleep(0.7)
    session.is_whole()


def windows_of_one(site):
    """A response whose window opens byte by byte costs little, and nobody else waits."""
    session = Carried(site)
    hostile = Hostile(site.door, setting(INITIAL_WINDOW_SIZE, 0))
    hostile.request(1, "GET", "/socket.io/socket.io.js")
    assert hostile.serves()
    for _ in range(20):
        if not hostile.send(frame(WINDOW_UPDATE, 0, 1, number(1)) * 1000):
            break
        assert hostile.serves()
    hostile.close()
    session.is_whole()


def windows_to_and_fro(site):
    """Settings that move the windows of all streams up and down are followed, or end the connection."""
    session = Carried(site)
    hostile = Hostile(site.door, setting(INITIAL_WINDOW_SIZE, 0))
    for stream in range(1, 99, 2):
        hostile.request(stream, "GET", "/socket.io/socket.io.js")
    to_and_fro = frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 0)) + frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 1))
    hostile.flood(to_and_fro * 100, 1 * MIB)
    hostile.close()
    session.is_whole()


def half_said(site):
    """A POST whose connection ends in the middle of its body sends nothing."""
    session = Carried(site)
    hostile = Hostile(site.door)
    hostile.request(1, "POST", session.path, flags=0)
    hostile.send(frame(DATA, 0, 1, b"half a mess"))
    assert hostile.serves()
    hostile.close()
    session.client.ask("POST", session.path, b"after")
    session.is_whole("after")


ALL = [
    rapid_reset,
    paced_reset,
    continuations,
    empty_continuations,
    settings,
    pings,
    bomb,
    table,
    no_window,
    untaken_batch,
    reset_batch,
    windows_overflow,
    closed_stream,
    priorities,
    empty_data,
    divided_data,
    short_data,
    padded_data,
    pushed,
    unknown_frames,
    silence,
    trickled_header,
    windows_of_one,
    windows_to_and_fro,
    half_said,
]
