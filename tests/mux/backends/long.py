"""A backend in the long form, with credit and resume: what to do for each frame.

The frames are in wire.py, the application is in echo.py.
"""

import asyncio
import collections
import math

import echo
from wire import Fault, goodbye, message

CREDIT = 262_144
NEWS_S = 0.01
SYNC_PART = 1000

Unsent = collections.namedtuple("Unsent", "frame at")


class Session:
    def __init__(self, epoch, id):
        self.epoch, self.id = epoch, id
        self.answer = None
        # Messages to P: those that wait for credit, and those after `acked`, which P may request again.
        self.waiting, self.kept = collections.deque(), collections.deque()
        self.acked = self.bytes = 0
        self.limit = epoch.credit or math.inf
        # Messages from P.
        self.got = self.taken = 0
        self.granted = CREDIT
        # Set by `close`, and when its `x` was sent on the current WebSocket.
        self.ending = None
        self.left = False

    @property
    def sent(self):
        return self.acked + len(self.kept)

    def send(self, data):
        if self.ending:
            return
        seq = self.sent + len(self.waiting) + 1
        self.waiting.append(Unsent(message(self.id, seq, data), self.bytes))
        self.bytes += size_of(data)
        self.pump()

    def close(self, *ending):
        """Closes after everything that was sent."""
        self.ending = self.ending or ending
        self.pump()

    def abort(self, code, reason):
        """Closes at once: P broke the session's rules."""
        self.waiting.clear()
        self.close(code, reason)

    def pump(self):
        """Sends what may be sent."""
        if not self.epoch.live or self.answer is None:
            return
        while self.waiting and self.waiting[0].at < self.limit:
            self.epoch.write(*self.waiting[0].frame)
            self.kept.append(self.waiting.popleft())
            if self.limit == math.inf:
                # Without credit nothing is ever acknowledged.
                self.acknowledge(self.sent, self.limit)
        if self.ending and not self.left and not self.waiting:
            self.left = True
            self.epoch.write("x", self.id, self.sent, *goodbye(self.epoch.hello, *self.ending))
        if self.granted < self.taken + CREDIT:
            self.epoch.note(self)

    def receive(self, seq, data):
        if self.answer is None or seq != self.got + 1:
            raise Fault("a seq out of order")
        self.got = seq
        if self.ending:
            return
        if size_of(data) > self.epoch.max_message:
            self.abort(1009, "too large")
        elif self.epoch.credit and self.taken >= self.granted:
            self.abort(1008, "over its credit")
        else:
            self.taken += size_of(data)
            self.epoch.app.message(self, data)
            self.epoch.note(self)

    def news(self):
        """The entry in `a` and `sync`. Messages from the application that wait for P are kept."""
        unsent = self.bytes - self.waiting[0].at if self.waiting else 0
        self.granted = max(self.granted, self.taken + CREDIT - unsent)
        return [self.id, self.got, self.granted]

    def acknowledge(self, seq, limit):
        if not self.acked <= seq <= self.sent:
            raise Fault("an acknowledgement of what was never sent")
        while self.acked < seq:
            self.kept.popleft()
            self.acked += 1
        self.limit = max(self.limit, limit)

    def resume(self, seq, limit):
        """Continues after `seq` on a new WebSocket; `seq` is -1 if P has no `ok`."""
        if seq < 0 and self.answer is not None:
            self.epoch.write("ok", self.id, self.answer)
        self.acknowledge(max(seq, 0), limit)
        self.waiting.extendleft(reversed(self.kept))
        self.kept.clear()
        self.left = False
        self.pump()


class Epoch:
    """The sessions of one P, over all its WebSockets."""

    all = {}

    def __init__(self, name, app):
        self.name, self.app = name, app
        self.sessions = {}
        self.noted = set()
        self.tasks = set()
        # P's WebSocket, and the same once frames of sessions may be written to it.
        self.wire = self.live = None
        self.timer = None
        self.all[name] = self

    def attach(self, wire, hello):
        if self.timer:
            self.timer.cancel()
        if self.wire:
            self.wire.close(1001, "replaced")
        self.wire, self.live, self.hello = wire, None, hello
        self.credit, self.max_message = hello.get("credit", 0), hello["max_message"]
        self.resume_ms = hello.get("resume_ms", 0) if self.credit else 0

    def write(self, *frame):
        if self.live:
            self.live.write(*frame)

    def note(self, session):
        """Acknowledges a session's messages to P, after a short delay; many sessions share one frame."""
        if self.credit and not self.noted:
            asyncio.get_running_loop().call_later(NEWS_S, self.tell)
        if self.credit:
            self.noted.add(session)

    def tell(self):
        heard = [each for each in self.noted if self.sessions.get(each.id) is each and not each.left]
        self.noted.clear()
        if heard:
            self.write("a", [each.news() for each in heard])

    def find(self, id):
        if id not in self.sessions:
            self.write("x", id, 0, 1001, "unknown session")
        return self.sessions.get(id)

    def forget(self, session, by_packet=False):
        del self.sessions[session.id]
        if session.answer is not None:
            self.app.closed(session, by_packet)

    def open(self, id, request):
        self.sessions[id] = Session(self, id)
        task = asyncio.create_task(self.admit(self.sessions[id], request))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

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

    def resume(self, entries):
        """Sessions that P's list lacks have ended. The others go on when P has our list."""
        theirs = {id: rest for id, *rest in entries}
        for session in list(self.sessions.values()):
            if session.id not in theirs:
                self.forget(session)
        self.live = self.wire
        ours = list(self.sessions.values())
        news = [session.news() for session in ours]
        parts = [news[i : i + SYNC_PART] for i in range(0, len(news), SYNC_PART)] or [[]]
        for part in parts[:-1]:
            self.write("sync", part, True)
        self.write("sync", parts[-1])
        for session in ours:
            session.resume(*theirs[session.id][:2])

    def broke(self, code):
        self.wire = self.live = None
        if code == 1002 or not self.resume_ms:
            self.end()
        else:
            self.timer = asyncio.get_running_loop().call_later(self.resume_ms / 1000, self.end)

    def end(self):
        del self.all[self.name]
        for session in list(self.sessions.values()):
            self.forget(session)


class Connection:
    """One WebSocket, beginning with its hello. A method with the name of a verb takes its frame."""

    def __init__(self, wire, app):
        self.wire, self.app = wire, app
        self.epoch = None
        # What P's sync has listed so far; nothing when no sync may come any more.
        self.entries = []

    def take(self, verb, fields):
        if verb not in ("hello", "sync"):
            if not self.epoch.live:
                raise Fault("a known epoch without its sync")
            self.entries = None
        getattr(self, verb)(*fields)

    def hello(self, hello, *_):
        known = Epoch.all.get(hello["epoch"])
        self.epoch = known or Epoch(hello["epoch"], self.app)
        self.epoch.attach(self.wire, hello)
        self.wire.write("hello", {"v": 1, "credit": CREDIT, "resume": self.epoch.credit > 0, "close_packets": True})
        if not known:
            self.epoch.live = self.wire

    def sync(self, name, entries, more=False, *_):
        if self.entries is None or name != self.epoch.name:
            raise Fault("a sync out of place")
        self.entries += entries
        if more is not True:
            self.epoch.resume(self.entries)
            self.entries = None

    def open(self, id, request, *_):
        known = self.epoch.sessions.get(id)
        if not known:
            self.epoch.open(id, request)
        elif known.answer is not None and not known.left:
            self.epoch.write("ok", id, known.answer)

    def t(self, id, seq, data, *_):
        if session := self.epoch.find(id):
            session.receive(seq, data)

    b = t

    def a(self, news, *_):
        for id, seq, limit, *_ in news if self.epoch.credit else []:
            if session := self.epoch.sessions.get(id):
                session.acknowledge(seq, limit)
                session.pump()

    def x(self, id, seq, code, reason, by_packet=False, *_):
        session = self.epoch.sessions.get(id)
        if not session:
            return
        if seq > session.got:
            raise Fault("an x for messages that never came")
        if not session.left:
            self.epoch.write("x", id, session.sent, code, "")
        self.epoch.forget(session, by_packet is True)

    def transport(self, id, *_):
        self.epoch.find(id)

    def drain(self, *_):
        pass

    def stop(self, seconds):
        if not self.epoch:
            return
        self.epoch.write("drain", seconds)
        for session in self.epoch.sessions.values():
            if session.answer is not None:
                session.close(1001, "going away")

    def end(self, code):
        if self.epoch and self.epoch.wire is self.wire:
            self.epoch.broke(code)


def size_of(data):
    return len(data.encode(errors="replace") if isinstance(data, str) else data)


echo.start(Connection)
