"""Checks what Helm makes of deploy/chart, and the YAML of docs/kubernetes.md and docs/cluster.md."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml

CHART = "deploy/chart"
HELM = Path(sys.executable).with_name("helm")
BINARY = os.environ["POLLIWOG_BIN"]
# The oldest that the chart is for, as far as the schemas go, and the newest.
VERSIONS = ["1.25", "1.37"]

EVERYTHING = """
config: |
  [[routes]]
  path = "/"
  dialect = "sockjs"
  upstream = "backend"

  [upstreams.backend]
  kind = "websocket"
  url = "wss://backend.example/"
cluster: { tokenSecret: of-mine }
drain: { timeoutSeconds: 100, delaySeconds: 20 }
service: { type: LoadBalancer, annotations: { a: b } }
ingress: { enabled: true, className: nginx, host: chat.example, tlsSecret: cert, annotations: { c: d } }
autoscaling: { enabled: true }
podMonitor: { enabled: true, labels: { release: prometheus } }
networkPolicy: { adminFrom: [{ namespaceSelector: { matchLabels: { name: monitoring } } }] }
imagePullSecrets: [{ name: pull }]
env: [{ name: POLLIWOG_SERVER__MAX_SESSIONS, value: "2000" }]
podAnnotations: { e: f }
nodeSelector: { disk: ssd }
tolerations: [{ key: a, operator: Exists }]
affinity: { podAntiAffinity: {} }
"""
ALONE = "{ cluster: { enabled: false }, replicas: 1, networkPolicy: { enabled: false }, disruptionBudget: { enabled: false } }"
STICKY = "{ cluster: { enabled: false }, service: { sessionAffinity: ClientIP } }"


def render(values, release="try"):
    """Returns the objects, or what Helm says against them."""
    command = [HELM, "template", release, CHART, "--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def one(objects, kind, suffix=""):
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{len(found)} of {kind} {suffix}"
    return found[0]


def check_schemas(objects):
    for each in objects:
        # Not one of Kubernetes' own.
        if each["kind"] == "PodMonitor":
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(each, version, strict=True)


def check_references(objects):
    """What names another object or a port names one that is there."""
    deployment = one(objects, "Deployment")
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    services = [each for each in objects if each["kind"] == "Service"]
    for service in services:
        assert service["spec"]["selector"].items() <= labels, service
        assert all(port["targetPort"] in ports for port in service["spec"]["ports"]), service
    for kind in ["PodDisruptionBudget", "PodMonitor"]:
        for each in (each for each in objects if each["kind"] == kind):
            assert each["spec"]["selector"]["matchLabels"].items() <= labels, each
    for policy in (each for each in objects if each["kind"] == "NetworkPolicy"):
        allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert allowed <= ports, policy
    for probe in ["livenessProbe", "readinessProbe"]:
        assert container[probe]["httpGet"]["port"] in ports
    config = one(objects, "ConfigMap")
    assert pod["spec"]["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    for scaler in (each for each in objects if each["kind"] == "HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        assert "replicas" not in deployment["spec"], "a scaler and the chart would both set it"


def environment(objects):
    """Returns the variables of a pod, with its address and its secrets in place."""
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    variables = {}
    for each in container["env"]:
        source = each.get("valueFrom", {})
        if "fieldRef" in source:
            variables[each["name"]] = "10.1.2.3"
        elif "secretKeyRef" in source:
            variables[each["name"]] = "a-long-secret-of-all-nodes"
        else:
            variables[each["name"]] = each["value"].replace("$(POD_IP)", "10.1.2.3")
    return variables


def check_configuration(objects):
    """The binary takes it, and the pod lives for as long as the drain may take."""
    variables = environment(objects)
    text = one(objects, "ConfigMap")["data"]["config.toml"]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([BINARY, "check", "--config", file.name], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    seconds = sum(int(variables[f"POLLIWOG_SERVER__DRAIN_{each}"].removesuffix("s")) for each in ["DELAY", "TIMEOUT"])
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == seconds + 5
    if "POLLIWOG_CLUSTER__PEERS" in variables:
        peers = one(objects, "Service", "-peers")["metadata"]["name"]
        assert variables["POLLIWOG_CLUSTER__PEERS"] == f"dns:{peers}:7400"


def blocks(page):
    """Returns what is in the YAML blocks of a page of docs/."""
    return re.findall(r"^```yaml\n(.*?)^```", Path("docs", page).read_text(), re.MULTILINE | re.DOTALL)


def check_pages():
    """The values of docs/kubernetes.md are rendered, and the objects of docs/cluster.md are of Kubernetes' schemas."""
    (values,) = blocks("kubernetes.md")
    objects = render(values, "chat")
    assert not isinstance(objects, str), objects
    check_schemas(objects)
    check_references(objects)
    check_configuration(objects)
    service, part = map(yaml.safe_load, blocks("cluster.md"))
    labels = service["spec"]["selector"]
    container = {"name": "polliwog", "image": "polliwog", **part}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "polliwog", "labels": labels}, "spec": {"containers": [container]}}
    check_schemas([service, pod])
    print("the pages")


def main():
    for name, values in {"defaults": "{}", "everything": EVERYTHING, "alone": ALONE, "sticky": STICKY}.items():
        objects = render(values)
        assert not isinstance(objects, str), f"{name}: {objects}"
        check_schemas(objects)
        check_references(objects)
        check_configuration(objects)
        print(f"{name}: {len(objects)} objects")
    secrets = [each for each in render(EVERYTHING) if each["kind"] == "Secret"]
    assert not secrets, "a secret beside the operator's own"
    assert one(render("{}", "polliwog"), "Deployment")["metadata"]["name"] == "polliwog"
    refused = render("{ cluster: { enabled: false } }")
    assert isinstance(refused, str) and "sessionAffinity" in refused, refused
    check_pages()


main()
