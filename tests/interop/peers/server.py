"""application.mjs for python-socketio's ASGI server. It writes its events as lines of JSON.

Arguments: the port, and options of the server in JSON.
"""

import asyncio
import functools
import json
import sys
import urllib.parse

import engineio
import socketio
import uvicorn
from lines import tell

# A payload of more packets than 16 ends the session, unless this is set; stock clients have no such limit.
engineio.payload.Payload.max_decode_packets = 1000

# Handlers run one after another, so that their events have an order.
server = socketio.AsyncServer(async_mode="asgi", async_handlers=False, **json.loads(sys.argv[2]))


def tell_of(sid, namespace, *values):
    """Writes an event of the case whose id the client has in its query."""
    query = server.get_environ(sid, namespace)["QUERY_STRING"]
    tell(urllib.parse.parse_qs(query)["id"][0], namespace, *values)


async def on_connect(namespace, sid, environ, auth):
    if namespace == "/private" and (auth or {}).get("token") != "good":
        raise socketio.exceptions.ConnectionRefusedError("not authorized", {"code": 7})
    tell_of(sid, namespace, "connection", auth)


async def on_disconnect(namespace, sid, reason):
    tell_of(sid, namespace, "disconnect", reason)


async def on_event(name, namespace, sid, *args):
    async def emit(*event):
        await server.emit(event[0], event[1:], to=sid, namespace=namespace)

    async def question(count):
        for i in range(count):
            answer = asyncio.get_running_loop().create_future()
            await server.emit("question", (i, bytes([i])), to=sid, namespace=namespace, callback=answer.set_result)
            tell_of(sid, namespace, "answer", await answer)
        await emit("asked")

    match name:
        case "ask":
            return args
        case "question me":
            server.start_background_task(question, *args)
        case "many":
            for i in range(args[0]):
                await emit("one of many", i)
        case "leave":
            if args == ("whole",):
                # It waits until everything is written, including this handler's acknowledgement.
                server.start_background_task(server.eio.disconnect, server.manager.eio_sid_from_sid(sid, namespace))
            else:
                await server.disconnect(sid, namespace=namespace)
        case _:
            tell_of(sid, namespace, "event", name, *args)
            await emit(name, *args)


for namespace in ("/", "/room", "/private"):
    server.on("connect", functools.partial(on_connect, namespace), namespace=namespace)
    server.on("disconnect", functools.partial(on_disconnect, namespace), namespace=namespace)
server.on("*", on_event, namespace="*")

uvicorn.run(socketio.ASGIApp(server), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off")
