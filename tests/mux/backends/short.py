"""A backend in the short form, without credit and resume: what to do for each frame.

The frames are in wire.py, the application is in echo.py.
"""

import asyncio

import echo
from wire import Fault, goodbye, message


class Session:
    def __init__(self, id, write, hello):
        self.id, self.write, self.hello = id, write, hello
        self.sent = self.got = 0
        self.answer = None
        self.closed = False

    def send(self, data):
        if not self.closed:
            self.sent += 1
            self.write(*message(self.id, self.sent, data))

    def close(self, *ending):
        if not self.closed:
            self.closed = True
            self.write("x", self.id, self.sent, *goodbye(self.hello, *ending))


class Connection:
    """One shared WebSocket. A method with the name of a verb takes its frame."""

    def __init__(self, wire, app):
        self.write, self.app = wire.write, app
        self.sessions = {}
        self.opening = set()

    def take(self, verb, fields):
        getattr(self, verb)(*fields)

    def find(self, id):
        if id not in self.sessions:
            self.write("x", id, 0, 1001, "unknown session")
        return self.sessions.get(id)

    def forget(self, session, by_packet=False):
        del self.sessions[session.id]
        if session.answer is not None:
            self.app.closed(session, by_packet)

    def hello(self, hello, *_):
        self.theirs = hello
        self.write("hello", {"v": 1, "close_packets": True})

    def sync(self, *_):
        raise Fault("a sync, but no resume here")

    def open(self, id, request, *_):
        if known := self.sessions.get(id):
            if known.answer is not None and not known.closed:
                self.write("ok", id, known.answer)
            return
        self.sessions[id] = Session(id, self.write, self.theirs)
        task = asyncio.create_task(self.admit(self.sessions[id], request))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def admit(self, session, request):
        answer = await self.app.open(request)
        if self.sessions.get(session.id) is not session:
            return  # P gave up.
        if "deny" in answer:
            del self.sessions[session.id]
            self.write("deny", session.id, *answer["deny"])
            return
        session.answer = answer
        self.write("ok", session.id, answer)
        self.app.opened(session, request)

    def t(self, id, seq, data, *_):
        session = self.find(id)
        if not session:
            return
        if session.answer is None or seq != session.got + 1:
            raise Fault("a seq out of order")
        session.got = seq
        if session.closed:
            return  # It crossed with our x.
        if len(data.encode() if isinstance(data, str) else data) > self.theirs["max_message"]:
            session.close(1009, "too large")
        else:
            self.app.message(session, data)

    b = t

    def x(self, id, seq, code, reason, by_packet=False, *_):
        session = self.sessions.get(id)
        if not session:
            return
        if seq > session.got:
            raise Fault("an x for messages that never came")
        session.close(code, "")
        self.forget(session, by_packet is True)

    def transport(self, id, *_):
        self.find(id)

    def a(self, *_):
        pass

    def drain(self, *_):
        pass

    def stop(self, seconds):
        self.write("drain", seconds)
        for session in self.sessions.values():
            if session.answer is not None:
                session.close(1001, "going away")

    def end(self, _code):
        for session in list(self.sessions.values()):
            self.forget(session)


echo.start(Connection)
