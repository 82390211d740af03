#!/usr/bin/env python3
"""Checks every dependency in Cargo.lock: its licence, its source, and that it is there in one version only.

Exits 1 with a line for each fault. To allow something, add it to the lists below, with a reason.
"""

import collections
import json
import re
import subprocess
import sys

# Licences that ask for no more than to be named.
LICENCES = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",  # Mozilla's list of authorities, which is data
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

# Crates that may be there in several versions, and why.
DUPLICATES = {
    "base64": "the embedded Socket.IO server is still at 0.22",
    "getrandom": "the older belongs to ring, which the lock file lists as an option of rustls-webpki; it is not built",
    "syn": "only at build time: macros move from 2 to 3 crate by crate",
    "untrusted": "the older belongs to an option of aws-lc-rs that is not built",
    "windows-sys": "not built on Unix",
}


def main():
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, stdout=subprocess.PIPE
        ).stdout
    )
    ours = set(metadata["workspace_members"])
    packages = [package for package in metadata["packages"] if package["id"] not in ours]

    faults = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if not is_allowed(package["license"]):
            faults.append(f"{name}: the licence {package['license']!r} is not in the list of {sys.argv[0]}")
        if not is_from_the_registry(package["source"]):
            faults.append(f"{name}: comes from {package['source']!r} and not from the crates.io registry")

    versions = collections.defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package["version"])
    duplicates = {name: found for name, found in sorted(versions.items()) if len(found) > 1}
    for name, found in duplicates.items():
        if name not in DUPLICATES:
            faults.append(f"{name}: is there in {len(found)} versions: {', '.join(found)}")

    for name, found in duplicates.items():
        print(f"twice: {name} {', '.join(found)}: {DUPLICATES.get(name, 'not allowed')}")
    for name in sorted(DUPLICATES.keys() - duplicates.keys()):
        print(f"no longer twice, can leave the list of {sys.argv[0]}: {name}")
    licences = sorted({package["license"] or "none" for package in packages})
    print(f"{len(packages)} dependencies, {len(licences)} licence expressions, {len(duplicates)} in several versions")
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


def is_from_the_registry(source):
    """Neither a git repository, nor a path, nor another registry. The lock file has the index's own address."""
    return source is not None and source.startswith("registry+") and source.endswith("/crates.io-index")


def is_allowed(expression):
    """Whether the SPDX expression leaves us a choice of licences that are all in the list."""
    if not expression:
        return False
    # The slash is how crates wrote "OR" before there was a syntax.
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def any_of():
        allowed = all_of()
        while peek() == "OR":
            take()
            # Both sides are read in any case.
            allowed = all_of() or allowed
        return allowed

    def all_of():
        allowed = one()
        while peek() == "AND":
            take()
            allowed = one() and allowed
        return allowed

    def one():
        if peek() == "(":
            take()
            allowed = any_of()
            if peek() != ")":
                raise ValueError(f"not a licence expression: {expression}")
            take()
            return allowed
        if peek() is None:
            raise ValueError(f"not a licence expression: {expression}")
        licence = take()
        if peek() == "WITH":
            licence = f"{licence} {take()} {take()}"
        return licence in LICENCES

    allowed = any_of()
    if peek() is not None:
        raise ValueError(f"not a licence expression: {expression}")
    return allowed


if __name__ == "__main__":
    main()
