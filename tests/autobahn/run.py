"""Runs Autobahn's cases four ways, compares the verdicts with the expected ones, and prints the count."""

import argparse
import asyncio
import collections
import os
import signal
import sys
import time

from kosoku import FailureError, run_fuzzingclient
from kosoku._caseindex import initialize_shims

initialize_shims()  # makes the cases importable

import case12_x_x
import servers
import verdicts

# Each case has its own timeout; this one is for a runner that hangs.
GROUP_S = 900
PARALLEL = 4
ROW = "{:6} {:>5}  {:28} {:28} {:28} {:28} {:>6}"


def main():
    arguments = parse()
    # A SIGTERM unwinds as an interrupt does, so that the servers end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for case in case12_x_x.Case12_X_X + case12_x_x.Case13_X_X:
        case.COUNT = arguments.messages
    with servers.addresses(os.environ["POLLIWOG_BIN"], arguments.http2) as addresses:
        passed, faults = asyncio.run(run(arguments, addresses))
    print(*faults, sep="\n")
    print(f"{passed} passed, {len(faults)} failed")
    return 1 if faults or not passed else 0


def parse():
    parser = argparse.ArgumentParser(prog="tests/autobahn/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases of each slow group")
    parser.add_argument("--whole", action="store_true", help="every case of the slow groups in compressed sessions, too")
    parser.add_argument("--http2", action="store_true", help="reach the proxy over HTTP/2")
    parser.add_argument("--messages", type=int, default=100, help="how many each case of 12 and 13 sends; Autobahn says 1000")
    parser.add_argument("--only", action="append", choices=verdicts.SIZES, help="a group; may be given several times")
    return parser.parse_args()


async def run(arguments, addresses):
    """Returns how many cases are as expected, and a line for each fault."""
    passed, faults = 0, []
    print(ROW.format("group", "cases", "directly", "relayed", "in a session", "compressed", "time"))
    for group in arguments.only or verdicts.SIZES:
        began = time.monotonic()
        few = {way: arguments.quick or (way == "compressed" and not arguments.whole) for way in addresses}
        wanted = {way: verdicts.cases(group, few[way]) for way in addresses}
        judged = await asyncio.gather(*(judge(address, wanted[way][0]) for way, address in addresses.items()))
        results = dict(zip(addresses, judged))
        direct = results["direct"]
        for way, result in results.items():
            count = wanted[way][1]
            if len(result) != count or not result.keys() <= direct.keys():
                faults.append(f"{group} {way}: {len(result)} cases instead of {count}")
            for case, verdict in result.items():
                if fault := verdicts.fault(way, case, verdict, direct.get(case)):
                    faults.append(f"{case} {way}: {' / '.join(verdict)}; {fault}")
                else:
                    passed += 1
        counts = (count_of(result) for result in results.values())
        print(ROW.format(group, len(direct), *counts, f"{time.monotonic() - began:.1f} s"), flush=True)
    return passed, faults


async def judge(address, cases):
    """Runs `cases` and returns the verdicts on each."""
    running = run_fuzzingclient(address, cases, concurrency=PARALLEL)
    try:
        results = await asyncio.wait_for(running, GROUP_S)
    except FailureError as failure:
        results = failure.results
    return {result.case_id: (result.behavior.value, result.behavior_close.value) for result in results}


def count_of(result):
    counts = collections.Counter(what for what, _ in result.values())
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


sys.exit(main())
