"""Lets the cases speak Engine.IO, so that they can be run through a session: a text is then a packet of type message."""

import contextlib

from case import Case

TEXT_FRAME = 1
MESSAGE = "4"


@contextlib.contextmanager
def packets():
    """While this lasts, every case that begins sends and receives packets."""
    stock = Case.__init__

    def begin(case, protocol):
        stock(case, Packets(protocol))
        case.onMessage = without_packets(case.onMessage)

    Case.__init__ = begin
    try:
        yield
    finally:
        Case.__init__ = stock


class Packets:
    """What a case sends with: the runner's own object, but that each text begins with its packet's type.

    Binary messages are packets as they are, and frames of other kinds are not Engine.IO's business.
    """

    def __init__(self, protocol):
        object.__setattr__(self, "protocol", protocol)

    def __getattr__(self, name):
        return getattr(self.protocol, name)

    def __setattr__(self, name, value):
        setattr(self.protocol, name, value)

    def sendFrame(self, opcode, payload="", payload_len=None, **rest):
        if opcode == TEXT_FRAME:
            # The runner repeats a payload up to the length asked for; the type stands there once.
            if payload_len is not None:
                payload, payload_len = (payload * (payload_len // len(payload) + 1))[:payload_len], None
            payload = packet(payload)
        if payload_len is not None:
            rest["payload_len"] = payload_len
        self.protocol.sendFrame(opcode=opcode, payload=payload, **rest)

    def sendMessage(self, payload, isBinary=False, **rest):
        self.protocol.sendMessage(payload if isBinary else packet(payload), isBinary, **rest)

    def beginMessageFrame(self, length):
        self.protocol.beginMessageFrame(length + len(MESSAGE))
        self.protocol.sendMessageFrameData(MESSAGE)


def packet(text):
    return message_like(text) + text


def without_packets(on_message):
    """Keeps the first packet, which opens the session, from the case, and takes their type from the others."""
    opened = False

    def received(payload, binary):
        nonlocal opened
        if opened:
            on_message(payload if binary else payload.removeprefix(message_like(payload)), binary)
        opened = True

    return received


def message_like(text):
    # The cases write some texts as bytes.
    return MESSAGE.encode() if isinstance(text, bytes) else MESSAGE
