"""What is expected: which cases there are, and how each may end.

A case has two verdicts: one on what came back, one on how the connection ended.
"""

import fnmatch

# Groups and how many cases are in each. 12 and 13 are permessage-deflate: with five kinds of data, and with seven offers.
SIZES = {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1}
SIZES |= {f"12.{kind}": 18 for kind in range(1, 6)}
SIZES |= {f"13.{offer}": 18 for offer in range(1, 8)}

# The cases of the slow groups that a quick run keeps: small and large, whole and in fragments, text and binary.
QUICK = {"9": ["9.1.1", "9.2.6", "9.3.1", "9.5.6", "9.7.1"]}
QUICK |= {group: [f"{group}.1", f"{group}.5", f"{group}.11"] for group in SIZES if group.startswith(("12.", "13."))}

PASSES = {"OK", "NON-STRICT", "INFORMATIONAL"}

# Cases in which a session's verdict need not be OK: what it may be, and why.
UNCOMPRESSED = [(["12.*", "13.*"], {"UNIMPLEMENTED"}, "a session negotiates no extension unless its route says so")]
IN_A_SESSION = [
    (
        ["3.2", "3.3", "3.4", "4.1.[345]", "4.2.[345]", "5.15"],
        {"OK", "NON-STRICT"},
        "a frame that breaks the protocol ends a session at once: the echo of the message before it may not be back yet",
    ),
    (["7.1.6", "7.13.[12]"], {"INFORMATIONAL"}, "the cases judge nothing: the protocol leaves it open"),
]


def cases(group, quick):
    """Returns the patterns for the runner, and how many cases they must select."""
    if quick and group in QUICK:
        return QUICK[group], len(QUICK[group])
    return [f"{group}.*"], SIZES[group]


def fault(way, case, verdicts, direct):
    """Returns what is wrong with a case's `verdicts`, if anything; `direct` are those on the echo server itself."""
    if way == "direct":
        return None if PASSES.issuperset(verdicts) else "does not pass on the echo server itself"
    if way == "relayed":
        return None if verdicts == direct else f"directly it is {' / '.join(direct)}"
    what, end = verdicts
    expected, why = in_a_session(case, way == "compressed")
    if what not in expected:
        return f"expected {' or '.join(sorted(expected))}: {why}"
    return None if end in PASSES else "the connection must end as the case wants it"


def in_a_session(case, is_compressed):
    for patterns, expected, why in ([] if is_compressed else UNCOMPRESSED) + IN_A_SESSION:
        if any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns):
            return expected, why
    return {"OK"}, "a session passes messages on and keeps the protocol"
