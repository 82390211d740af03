"""Checks an SBOM: by the schema of CycloneDX, and that it holds all that Cargo builds the binary of, each with its licence."""

import json
import subprocess
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def built():
    """Returns (name, version) of each crate that the binary is built of, on any platform, with all features."""
    listed = ["cargo", "tree", "--locked", "--offline", "--all-features", "--target", "all", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]
    lines = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
    crates = {tuple(line.split()[:2]) for line in lines if line.strip()}
    return {(name, version.removeprefix("v")) for name, version in crates if name != "polliwog"}


def main(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    assert fault is None, f"it is not valid: {fault}"
    components = json.loads(text)["components"]
    told = {(each["name"], each["version"]) for each in components}
    # It also names what the resolver takes for features that are off: more than is built, but never less.
    missing = built() - told
    assert not missing, f"it lacks {sorted(missing)}"
    licences = {}
    for each in components:
        said = [entry.get("expression") or entry["license"].get("id") or entry["license"]["name"] for entry in each.get("licenses", [])]
        assert said, f"{each['name']} has no licence"
        licences.setdefault(" and ".join(said), []).append(f"{each['name']} {each['version']}")
    for licence, crates in sorted(licences.items()):
        print(f"{licence}: {', '.join(sorted(crates))}")
    print(f"{path}: valid, {len(components)} components")


main(sys.argv[1])
