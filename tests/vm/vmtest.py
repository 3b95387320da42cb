#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: vmtest.py SERIES... [TEST...]

Runs the tests of cases.py, failover.py and discovery.py on Debian's kernels of these
series, side by side.
Prints one TAP-like line per test and "N passed, N failed".
"""

import collections
import re
import subprocess
import sys
import threading
import time

import cases
import discovery
import failover
from cases import want
from vmlab import BUILD, Lab, LabError, end_by_signal, say, start

CRYSTALS = [15, -80, 60, -35, 90]	# ppm
TESTS = cases.TESTS + failover.TESTS + discovery.TESTS


def run_one(lab, function):
    """(passed, figures or the reason)"""
    try:
        text = function(lab)
        problems = [f"{g.name}: {line}" for g in lab.guest for line in g.new_trouble()]
        want(not problems, "the kernel complained: " + "; ".join(problems[:5]))
        return True, text
    except LabError as error:
        logs = "".join(f"\n{g.name}: {g.peek_log()}" for g in lab.guest)
        return False, f"{error}{logs}"


def run_series(series, names):
    """Boot once; again only if a machine died."""
    passed = failed = 0
    todo = [(n, t) for n, t in TESTS if not names or t.__name__ in names]
    machines = max((n for n, _ in todo), default=0)
    while todo:
        with Lab(series, CRYSTALS[:machines], BUILD / "vm" / f"test-{series}") as lab:
            lab.boot()
            while todo and all(g.qemu.poll() is None for g in lab.guest):
                n, function = todo.pop(0)
                begin = time.monotonic()
                ok, text = run_one(lab.part(n), function)
                took = time.monotonic() - begin
                say(f"{'ok' if ok else 'not ok'} vm {series} {function.__name__} ({took:.0f} s): " +
                    text.replace("\n", "\n# "))
                passed += ok
                failed += not ok
    return passed, failed


def run_all(kernels, names):
    """One process per kernel, side by side; they wait most of the time."""
    total = collections.Counter()

    def copy(process, series):
        for line in process.stdout:
            count = re.match(r"(\d+) passed, (\d+) failed", line)
            if count:
                total.update(passed=int(count[1]), failed=int(count[2]))
            else:
                say(line.rstrip("\n"))
        if process.wait() not in (0, 1):
            say(f"not ok vm {series} ended with status {process.returncode}")
            total.update(failed=1)

    processes = [start([sys.executable, __file__, s] + names, text=True, stdout=subprocess.PIPE)
                 for s in kernels]
    try:
        threads = [threading.Thread(target=copy, args=pair, daemon=True)
                   for pair in zip(processes, kernels)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        for p in processes:
            if p.poll() is None:
                p.terminate()
        for p in processes:
            p.wait()
    return total["passed"], total["failed"]


def main():
    kernels = [a for a in sys.argv[1:] if a[0].isdigit()]
    names = [a for a in sys.argv[1:] if not a[0].isdigit()]
    end_by_signal()
    try:
        if len(kernels) > 1:
            passed, failed = run_all(kernels, names)
        else:
            passed, failed = run_series(kernels[0], names)
    except KeyboardInterrupt:
        return 130
    say(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
