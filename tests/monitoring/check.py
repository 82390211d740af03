"""Runs Prometheus as deploy/compose.monitoring.yaml does, beside a proxy under load and its backend, the shipped demo: it scrapes both, every
rule can be evaluated and is silent, and every panel of the dashboard shows something. Then the proxy is killed, and its rule notices."""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

MONITORING = Path(__file__).parents[2] / "deploy/monitoring"
PROXY = """
[[routes]]
path = "/socket.io/"
dialect = "engine.io"
upstream = "chat"

[[routes]]
path = "/"
dialect = "http"
upstream = "pages"

[upstreams.chat]
kind = "engine.io"
url = "ws://BACKEND/socket.io/"

[upstreams.pages]
kind = "http"
url = "http://BACKEND/"
"""
# What Grafana puts in.
VARIABLES = {"$__rate_interval": "10s", "$instance": ".*", "$route": ".*"}
# What a node without others has nothing of.
EMPTY = {"Other nodes", "Requests between nodes a second"}
PATIENCE = 60


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def configure(folder, admins):
    """Writes the shipped files, but for the addresses and the intervals."""
    text = (MONITORING / "prometheus.yml").read_text()
    targets = ", ".join(f'"127.0.0.1:{admin}"' for admin in admins)
    for old, new in [('"polliwog:9090"', targets), ("_interval: 15s", "_interval: 1s")]:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text)
    (folder / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())


class Prometheus:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/api/v1/"

    def ask(self, path, **query):
        """Returns the data of a response, or None while there is none."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as refused:
            # It is still starting.
            if refused.code == 503:
                return None
            raise AssertionError(f"{path} {query}: {refused.read().decode()}") from refused
        except OSError:
            return None

    def rules(self):
        return [rule for group in (self.ask("rules") or {"groups": []})["groups"] for rule in group["rules"]]

    def is_up(self):
        targets = (self.ask("targets") or {"activeTargets": []})["activeTargets"]
        return [target["health"] for target in targets] == ["up"] * 2

    def empty_panels(self, panels):
        return {title for title, expressions in panels if not all(self.ask("query", query=each)["result"] for each in expressions)}


def panels():
    """Returns the title of each panel of the dashboard, with its expressions."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    found = []
    for panel in dashboard["panels"]:
        expressions = [target["expr"] for target in panel.get("targets", [])]
        for name, value in VARIABLES.items():
            expressions = [each.replace(name, value) for each in expressions]
        assert not any("$" in each for each in expressions), expressions
        found.append((panel["title"], expressions))
    # The lists that its variables offer.
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()
            found.append((variable["label"], [f'{metric}{{{label}!=""}}']))
    return found


def wait_until(what, is_so):
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what()}"
        # The interval between two looks.
        time.sleep(0.2)


def main():
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        public, admin, backend, its_admin, port = free_ports(5)
        configure(folder, [admin, its_admin])
        (folder / "proxy.toml").write_text(PROXY.replace("BACKEND", f"127.0.0.1:{backend}"))

        def start(*command, **variables):
            log = stack.enter_context(open(folder / "log", "ab"))
            child = subprocess.Popen(command, env={**os.environ, **variables}, cwd=folder, stdout=log, stderr=log)
            stack.callback(child.wait)
            stack.callback(child.kill)
            return child

        binary = os.environ["POLLIWOG_BIN"]
        listeners = lambda public, admin: {"POLLIWOG_SERVER__LISTEN": f"127.0.0.1:{public}", "POLLIWOG_ADMIN__LISTEN": f"127.0.0.1:{admin}"}
        start(binary, "run", **listeners(backend, its_admin))
        polliwog = start(binary, "run", "--config", "proxy.toml", **listeners(public, admin))
        start("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}")
        prometheus = Prometheus(port)
        log = lambda: (folder / "log").read_text()
        wait_until(log, prometheus.is_up)

        load = ["--sessions", "6", "--rate", "5", "--duration", "2m", "--transport", "polling=40,websocket=40,upgrade=20"]
        start(binary, "load", f"http://127.0.0.1:{public}", *load)
        shown = panels()

        def empty():
            # A forwarded request.
            urllib.request.urlopen(f"http://127.0.0.1:{public}/", timeout=10).close()
            return prometheus.empty_panels(shown)
        wait_until(lambda: f"empty panels: {empty()}\n{log()}", lambda: empty() == EMPTY)
        print(f"{len(shown) - len(EMPTY)} of {len(shown)} panels and lists show something")

        names = re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text())
        wait_until(prometheus.rules, lambda: [rule["health"] for rule in prometheus.rules()] == ["ok"] * len(names))
        rules = prometheus.rules()
        assert [rule["name"] for rule in rules] == names
        loud = [rule["name"] for rule in rules if rule["state"] != "inactive"]
        assert not loud, f"{loud} of a healthy proxy"
        print(f"{len(rules)} rules are evaluated, and silent")

        polliwog.kill()
        state = lambda: {rule["name"]: rule["state"] for rule in prometheus.rules()}["PolliwogDown"]
        wait_until(state, lambda: state() == "pending")
        print("a proxy that is killed is noticed")


main()
