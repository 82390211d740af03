"""A client that keeps no rules: frames as bytes, each as the case wants it."""

import struct
import time

import hpack
from hyperframe.frame import Frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 1
END_HEADERS, PADDED = 4, 8
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 1, 3, 5, 9, 11

BLOCKED_S = 2


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def number(value):
    return struct.pack(">I", value)


class Hostile:
    def __init__(self, door, settings=b""):
        self.scheme, self.socket = door.scheme, door.connect()
        self.encoder = hpack.Encoder()
        self.unread = b""
        self.sent = 0
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def close(self):
        self.socket.close()

    def send(self, data):
        """Returns whether the server took it: it may have ended the connection, or stopped reading."""
        self.socket.settimeout(BLOCKED_S)
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        self.sent += len(data)
        return True

    def flood(self, data, limit):
        """Sends the same again and again, until the server takes no more or has taken so many bytes."""
        while self.sent < limit and self.send(data):
            pass

    def block(self, method, path, more=()):
        head = [(":method", method), (":scheme", self.scheme), (":authority", "127.0.0.1"), (":path", path), *more]
        return self.encoder.encode(head)

    def request(self, stream, method, path, flags=END_STREAM):
        self.send(frame(HEADERS, END_HEADERS | flags, stream, self.block(method, path)))

    def frames(self, within):
        """Yields what the server sends, until it ends the connection or the time is up."""
        deadline = time.monotonic() + within
        while True:
            while len(self.unread) >= 9:
                head, length = Frame.parse_frame_header(memoryview(self.unread)[:9])
                if len(self.unread) < 9 + length:
                    break
                head.parse_body(memoryview(self.unread)[9 : 9 + length])
                self.unread = self.unread[9 + length :]
                yield head
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                read = self.socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"the server neither ended the connection nor said what was awaited in {within} s") from None
            except OSError:
                return
            if not read:
                return
            self.unread += read

    def ends(self, within=10):
        """Waits for the end of the connection. Returns the code of the GOAWAY before it, if there was one."""
        code = None
        for each in self.frames(within):
            if each.type == GOAWAY:
                code = each.error_code
        return code

    def until(self, kind, stream, within=10):
        """Waits for a frame of a stream."""
        for each in self.frames(within):
            if each.type == kind and each.stream_id == stream:
                return each
        raise AssertionError("the connection ended")

    def serves(self):
        """Whether the connection lives: a PING comes back."""
        self.send(frame(PING, 0, 0, b"polliwog"))
        for each in self.frames(10):
            if each.type == PING and each.opaque_data == b"polliwog" and "ACK" in each.flags:
                return True
        return False
