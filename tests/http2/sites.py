"""The proxy with its shipped configuration and HTTP/2, in the clear or by TLS, and an honest client beside the hostile one."""

import contextlib
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded

READY_S = 10
END_S = 10
ANSWER_S = 20

# Short, so that the cases that wait for one of them are.
TIMEOUTS = {"SERVER__IDLE_TIMEOUT": "3s", "LIMITS__HEADER_TIMEOUT": "2s", "SERVER__DRAIN_TIMEOUT": "2s", "DEFAULTS__STALL_TIMEOUT": "2s"}
SETTINGS = {"SERVER__LISTEN": "127.0.0.1:0", "ADMIN__LISTEN": "127.0.0.1:0", **TIMEOUTS}
CLEAR = {**SETTINGS, "SERVER__H2C": "true"}
SECURE = {**SETTINGS, "SERVER__TLS__CERTIFICATE": "cert.pem", "SERVER__TLS__KEY": "key.pem"}


class Door:
    """Where clients connect: a port, by TLS if there is an authority."""

    def __init__(self, port, authority=None):
        self.port, self.scheme, self.context = port, "https" if authority else "http", None
        if authority:
            self.context = ssl.create_default_context(cafile=authority)
            self.context.set_alpn_protocols(["h2"])

    def connect(self):
        """Returns a connection on which HTTP/2 begins."""
        connection = socket.create_connection(("127.0.0.1", self.port), ANSWER_S)
        # A frame that follows another is not to wait for an acknowledgement.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.context:
            return connection
        connection = self.context.wrap_socket(connection, server_hostname="127.0.0.1")
        assert connection.selected_alpn_protocol() == "h2"
        return connection


class Site:
    def __init__(self, pid, door):
        self.pid, self.door = pid, door

    def memory(self):
        """What the proxy has of the machine's memory, in MiB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1]) / 1024

    def forget_peak(self):
        """Has peak() begin anew."""
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self):
        """The most that it has had, in MiB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)[1]) / 1024

    def cpu(self):
        """How long the proxy has kept processors busy, in seconds."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(binary, secure):
    """Starts the proxy, with TLS or without; it must live to the end, and then exit with 0 on SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="polliwog-http2-") as directory:
        log = pathlib.Path(directory, "log")
        settings, authority = (SECURE, certificate(directory)) if secure else (CLEAR, None)
        environment = {**os.environ, **{f"POLLIWOG_{key}": value for key, value in settings.items()}}
        with log.open("wb") as output:
            child = subprocess.Popen([binary], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stderr=output)
        try:
            yield Site(child.pid, Door(listening(child, log), authority))
            if child.poll() is not None:
                raise RuntimeError(f"the proxy ended by itself, with {child.returncode}:\n{log.read_text()[-4000:]}")
            child.terminate()
            if child.wait(END_S) != 0:
                raise RuntimeError(f"the proxy ended with {child.returncode} at SIGTERM:\n{log.read_text()[-4000:]}")
            if "panicked" in log.read_text():
                raise RuntimeError(f"the proxy panicked:\n{log.read_text()[-4000:]}")
        finally:
            child.kill()
            child.wait()


def certificate(directory):
    """Makes a certificate for the proxy; returns its file."""
    made = pathlib.Path(directory, "cert.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", made, "-keyout", pathlib.Path(directory, "key.pem")]
    subprocess.run([*command.split(), *names], check=True, stderr=subprocess.DEVNULL)
    return made


def listening(child, log):
    deadline = time.monotonic() + READY_S
    while child.poll() is None and time.monotonic() < deadline:
        said = log.read_text()
        if "admin listening" in said:
            return int(re.search(r": listening address=127\.0\.0\.1:(\d+)", said)[1])
        # The interval between two checks.
        time.sleep(0.02)
    raise RuntimeError(f"the proxy did not come to listen:\n{log.read_text()}")


class Client:
    """A client that keeps the protocol: one request after the other, on one connection."""

    def __init__(self, door):
        self.scheme, self.socket = door.scheme, door.connect()
        self.http = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.socket.sendall(self.http.data_to_send())

    def ask(self, method, path, body=b""):
        """Returns the status and the body of the response."""
        stream = self.http.get_next_available_stream_id()
        head = [(":method", method), (":scheme", self.scheme), (":authority", "127.0.0.1"), (":path", path)]
        self.http.send_headers(stream, head, end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        status, answer = 0, b""
        while True:
            self.socket.sendall(self.http.data_to_send())
            read = self.socket.recv(65536)
            if not read:
                raise RuntimeError(f"the connection ended before the response to {method} {path}")
            for event in self.http.receive_data(read):
                if isinstance(event, ResponseReceived):
                    status = int(dict(event.headers)[":status"])
                elif isinstance(event, DataReceived):
                    answer += event.data
                    self.http.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, StreamEnded):
                    self.socket.sendall(self.http.data_to_send())
                    return status, answer

    def begin(self):
        """Begins a session of longpoll's; returns its path."""
        return json.loads(self.ask("POST", "/feed/")[1])["url"]

    def messages(self, path, after):
        """What a poll of the session gets, by number."""
        status, body = self.ask("GET", f"{path}?after={after}")
        assert status == 200, f"a poll got {status}: {body}"
        return {message["id"]: message["text"] for message in json.loads(body)["messages"]}


class Neighbour(threading.Thread):
    """A session of an honest client, which has one message after the other echoed until it is stopped."""

    def __init__(self, door):
        super().__init__(daemon=True)
        self.client = Client(door)
        self.path = self.client.begin()
        self.count, self.slowest, self.fault = 0, 0.0, None
        self.stopped = threading.Event()

    def run(self):
        try:
            while not self.stopped.is_set():
                began = time.monotonic()
                self.echo()
                self.slowest = max(self.slowest, time.monotonic() - began)
                # Its pace.
                self.stopped.wait(0.01)
        except Exception as fault:
            self.fault = fault

    def echo(self):
        text = f"message {self.count + 1}"
        status, _ = self.client.ask("POST", self.path, text.encode())
        assert status < 300, f"a POST got {status}"
        heard = self.client.messages(self.path, self.count)
        assert heard == {self.count + 1: text}, f"{heard} instead of {text}"
        self.count += 1

    def stop(self):
        """Ends it; returns how many messages came back, and the longest that one took, in seconds."""
        self.stopped.set()
        self.join(2 * ANSWER_S)
        assert not self.is_alive(), "the neighbour still waits"
        if self.fault:
            raise self.fault
        self.client.ask("DELETE", self.path)
        assert self.count > 0, "the neighbour has heard nothing"
        return self.count, self.slowest
