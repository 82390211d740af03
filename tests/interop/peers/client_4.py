"""client.py for python-socketio 4, which speaks Socket.IO 2: no payload in its CONNECT, no "*" for a handler."""

import contextlib
import functools
import sys
import urllib.parse

import socketio
from in_order import InOrder
from lines import read, tell


class Client(socketio.Client):
    """A client that reports everything."""

    labels = {"connect": "connect", "connect_error": "refused", "disconnect": "disconnect"}

    def __init__(self, case):
        super().__init__(reconnection=False)
        self.case = case

    def _engineio_client_class(self):
        return InOrder

    def _trigger_event(self, name, namespace, *args):
        # Some callbacks name a namespace with its query.
        namespace = namespace.partition("?")[0]
        if name in self.labels:
            tell(self.case, namespace, self.labels[name], *args)
            return None
        tell(self.case, namespace, "event", name, *args)
        return list(args) if name == "question" else None


def connect(command):
    """Joins the root and the other namespaces, each with the client's own data."""
    client = Client(command["id"])
    query = urllib.parse.urlencode(command.get("auth") or {})
    namespaces = [f"{name}?{query}" if query else name for name in command["namespaces"] if name != "/"]
    try:
        client.connect(command["url"], transports=command["transports"], namespaces=namespaces)
        tell(command["id"], "engine", "transport", client.transport())
    except socketio.exceptions.ConnectionError as error:
        tell(command["id"], "engine", "refused", str(error))
    return client


def obey():
    client = None
    for line in sys.stdin:
        command = read(line)
        id, namespace = command["id"], command.get("namespace")
        args = tuple(command.get("args", ()))
        match command["do"]:
            case "connect":
                client = connect(command)
            case "emit":
                client.emit(command["name"], args, namespace)
            case "ask":
                client.emit(command["name"], args, namespace, functools.partial(tell, id, namespace, "answer"))
            case "identify":
                client.emit("my id", client.sid, namespace)
            case "disconnect":
                client.disconnect()
            case "forget":
                with contextlib.suppress(Exception):
                    client.disconnect()
                tell(id, "engine", "forgotten")


obey()
