"""A python-socketio client that reads commands and writes events as lines of JSON: README.md.

Argument: sync or asyncio.
"""

import asyncio
import contextlib
import functools
import inspect
import sys

import socketio
from in_order import InOrder
from lines import read, tell


class Client(socketio.Client):
    def _engineio_client_class(self):
        return InOrder


def new_client(kind, case):
    """A client that reports everything; its handlers are plain functions, which both kinds accept."""
    client = (socketio.AsyncClient if kind == "asyncio" else Client)(reconnection=False)

    @client.on("*", namespace="*")
    def on_event(name, namespace, *args):
        tell(case, namespace, "event", name, *args)
        return list(args) if name == "question" else None

    def on(event, label):
        client.on(event, lambda namespace, *values: tell(case, namespace, label, *values), namespace="*")

    on("connect", "connect")
    on("connect_error", "refused")
    on("disconnect", "disconnect")
    return client


async def settled(result):
    """Awaits a result: one of the two kinds has coroutines for methods."""
    return await result if inspect.isawaitable(result) else result


async def obey(kind):
    client = None
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = read(line)
        id, namespace = command["id"], command.get("namespace")
        event = (command.get("name"), tuple(command.get("args", ())), namespace)
        match command["do"]:
            case "connect":
                client = new_client(kind, id)
                how = {name: command[name] for name in ("transports", "namespaces", "auth")}
                # A client that waits for all namespaces gives up all of them when one is refused.
                try:
                    await settled(client.connect(command["url"], wait=False, **how))
                    tell(id, "engine", "transport", client.transport())
                except socketio.exceptions.ConnectionError as error:
                    tell(id, "engine", "refused", str(error))
            case "emit":
                await settled(client.emit(*event))
            case "ask":
                await settled(client.emit(*event, functools.partial(tell, id, namespace, "answer")))
            case "identify":
                await settled(client.emit("my id", client.get_sid(namespace), namespace))
            case "disconnect":
                await settled(client.disconnect())
            case "forget":
                with contextlib.suppress(Exception):
                    await settled(client.disconnect())
                tell(id, "engine", "forgotten")


asyncio.run(obey(sys.argv[1]))
