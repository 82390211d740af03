"""Each hostile case, in the clear and by TLS, beside an honest client, and with a session that the hostile connection carries: none of them loses anything."""

import os
import signal
import sys
import time

import cases
import sites

# What the proxy may have more of the machine's memory at any time of a case, in MiB: what its allocator keeps for some time.
MEMORY_MAX = 24
# How long a case may keep processors busy, in seconds, the honest client's messages included: a tenth of it is usual.
CPU_MAX = 3


def main():
    wanted = sys.argv[1:]
    # A SIGTERM unwinds as an interrupt does, so that the proxy ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    passed, failed = 0, 0
    for secure in False, True:
        with sites.running(os.environ["POLLIWOG_BIN"], secure) as site:
            # What the first requests take is not the cases'.
            attempt(site, lambda *_: None)
            for case in cases.ALL:
                name = ("by TLS: " if secure else "") + case.__doc__.splitlines()[0]
                if wanted and not any(word in name for word in wanted):
                    continue
                try:
                    print(f"ok      {name} ({attempt(site, case)})", flush=True)
                    passed += 1
                except Exception as fault:
                    print(f"FAILED  {name}: {type(fault).__name__}: {fault}", flush=True)
                    failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def attempt(site, case):
    """Runs a case; returns what it cost."""
    site.forget_peak()
    before, busy = site.memory(), site.cpu()
    neighbour = sites.Neighbour(site.door)
    neighbour.start()
    began = time.monotonic()
    try:
        case(site)
    finally:
        took = time.monotonic() - began
        count, slowest = neighbour.stop()
    more, peak, busy = site.memory() - before, site.peak() - before, site.cpu() - busy
    assert max(more, peak) <= MEMORY_MAX, f"{more:.1f} MiB more memory, {peak:.1f} MiB at most"
    assert busy <= CPU_MAX, f"{busy:.1f} s of processor time"
    return f"{took:.1f} s, {more:+.1f} MiB, {peak:+.1f} at most, {busy:.2f} s of processor time, beside it {count} messages, {slowest * 1000:.0f} ms at most"


sys.exit(main())
