#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: demo.py SERIES NODES SECONDS

Machines whose clocks start seconds apart and run at different rates are handed
to berk; what comes of it is measured from outside (truth.c), shown while it
happens, and left in build/demo/ as summary.json, truth.csv and a picture.
"""

import csv
import json
import math
import random
import shutil
import subprocess
import sys
import time

from vmlab import BUILD, Lab, LabError, ROOT, end_by_signal, say

BOUND_US = 1000		# the promise: a spread below this
PROMISE_S = 15		# within this time of the first round
PPM = 95		# crystals differ by up to this
START_S = 4.7		# and clocks by up to this when berk starts
DRIFT_S = 3		# shown of the time before berk
OUT = BUILD / "demo"


def scatter(limit, n, seed):
    """n values from -limit to limit, in an order that looks like nothing."""
    values = [limit * (2 * i / max(1, n - 1) - 1) for i in range(n)]
    random.Random(seed).shuffle(values)
    return values


def human(us, sign=False):
    """Microseconds in three digits and the unit that suits."""
    if us is None:
        return "-"
    for unit, scale in (("s", 1e6), ("ms", 1e3), ("µs", 1)):
        if abs(us) >= scale or unit == "µs":
            return f"{us / scale:{'+' if sign else ''}.{3 if unit == 's' else 2}f} {unit}"


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, math.ceil(p / 100 * len(values)) - 1)]


class Demo:
    def __init__(self, lab, seconds):
        self.lab, self.seconds = lab, seconds
        self.first = None	# host time of the first round
        self.probes = 0
        self.berk = []		# (host time, status of every machine)
        self.tty = sys.stdout.isatty()
        self.drawn = 0

    def start(self):
        lab = self.lab
        for g, offset in zip(lab.guest, scatter(START_S, len(lab.guest), 7)):
            g.sh(f"agent settime {time.time() + offset:.6f}")
        self.release = lab.guest[0].sh("uname -r").strip()
        for g in lab.guest:
            g.sh("insmod /berk.ko")
        lab.instant()
        self.begin = time.monotonic()
        say(f"run:   clocks are set {2 * START_S:g} s apart; watching them drift for {DRIFT_S} s")
        while time.monotonic() < self.begin + DRIFT_S:
            lab.instant()
        for g in lab.guest[1:]:
            g.start_berkd(f"role = slave\nnode_id = {g.index + 1}")
        lab.guest[0].start_berkd("role = master\nnode_id = 1\n" + "\n".join(
            f"peer = {g.ip}" for g in lab.guest[1:]))

    def look(self):
        """Record what berk says; true while there is time left."""
        now = time.monotonic()
        self.berk.append((now, [g.berk() for g in self.lab.guest]))
        self.probes = int(self.berk[-1][1][0].get("probes_tx", 0))
        if self.first is None:
            if self.probes:
                self.first = self.berk[-2][0] if len(self.berk) > 1 else now
            elif now > self.begin + DRIFT_S + 60:
                raise LabError("no round within 60 s; the master's log:\n" +
                               self.lab.guest[0].log())
        for g in self.lab.guest:
            if g.qemu.poll() is not None:
                raise LabError(f"{g.name} died: {g.last_words()}")
        return self.first is None or now < self.first + self.seconds

    def rows(self):
        """The instants since the beginning at which all clocks are known."""
        return [r for r in self.lab.rows if r.t >= self.begin and r.known(self.lab.all)]

    def time_line(self, rows, width=60):
        """The spread from 10 s down to 0.1 us, as a line of blocks."""
        end = (self.first or time.monotonic()) + self.seconds
        cells = [0] * width
        for r in rows:
            i = int((r.t - self.begin) / (end - self.begin) * width)
            if 0 <= i < width:
                level = (math.log10(max(r.spread_us(self.lab.all), 0.1)) + 1) / 8
                cells[i] = max(cells[i], 1 + min(7, int(level * 8)))
        return "".join(" ▁▂▃▄▅▆▇█"[c] for c in cells)

    def table(self, rows):
        lab, row, status = self.lab, rows[-1], self.berk[-1][1]
        mean = row.mean_ns(lab.all)
        t = time.monotonic() - (self.first or time.monotonic())
        lines = [f"berk   {len(lab.guest)} machines, Linux {self.release}",
                 f"{t:5.0f} s of {self.seconds} s     spread {human(row.spread_us(lab.all)):>11}", "",
                 f"{'node':6} {'role':7} {'state':15} {'true offset':>13} {'berk says':>13}"
                 f" {'crystal':>11} {'correction':>12}"]
        for g, s in zip(lab.guest, status):
            says = int(s["offset_ns"]) / 1e3 if "offset_ns" in s else None
            freq = int(s.get("freq_ppb", 0)) / 1e3
            lines.append(f"{g.name:6} {s.get('role', '-'):7} {s.get('state', '-'):15}"
                         f" {human((row.ahead_ns[g.index] - mean) / 1e3, True):>13}"
                         f" {human(says, True):>13} {g.ppm:+7.1f} ppm {freq:+8.2f} ppm")
        lines += ["", f"spread |{self.time_line(rows)}|", ""]
        return lines

    def show(self):
        rows = self.rows()
        if not rows:
            return
        if self.tty:
            lines = self.table(rows)
            up = f"\033[{self.drawn}A" if self.drawn else ""
            sys.stdout.write(up + "".join(f"\033[K{line}\n" for line in lines))
            sys.stdout.flush()
            self.drawn = len(lines)
        elif self.first and time.monotonic() - self.first >= 5 * self.drawn:
            self.drawn += 1
            row, mean = rows[-1], rows[-1].mean_ns(self.lab.all)
            say(f"{time.monotonic() - self.first:5.0f} s  spread {human(row.spread_us(self.lab.all)):>11}  " +
                "  ".join(f"{g.name} {human((row.ahead_ns[g.index] - mean) / 1e3, True)}"
                          for g in self.lab.guest))

    def summary(self):
        rows = [r for r in self.rows() if r.t <= self.first + self.seconds]
        spread = [r.spread_us(self.lab.all) for r in rows]
        bad = [r.t for r, s in zip(rows, spread) if s >= BOUND_US]
        good = [(r, s) for r, s in zip(rows, spread) if not bad or r.t > bad[-1]]
        if not good:
            raise LabError(f"the spread at the end is {human(spread[-1])}")
        after = [s for _, s in good]
        trouble = [f"{g.name}: {line}" for g in self.lab.guest for line in g.trouble()]
        if trouble:
            raise LabError("a kernel complained: " + "; ".join(trouble[:3]))
        wanted = 10 * (rows[-1].t - rows[0].t)
        if len(rows) < 0.9 * wanted:
            raise LabError(f"the truth is known at {len(rows)} of {wanted:.0f} instants only")
        converged = max(0.0, good[0][0].t - self.first)
        return {
            "nodes": len(self.lab.guest),
            "kernel": self.release,
            "seconds": self.seconds,
            "start_spread_us": round(spread[0], 1),
            "converged_s": round(converged, 1),
            "spread_us_p50": round(percentile(after, 50), 2),
            "spread_us_p99": round(percentile(after, 99), 2),
            "spread_us_max": round(max(after), 2),
            "probes_per_s_per_node": round(self.probes / self.seconds / (len(self.lab.guest) - 1), 2),
            "truth_uncertainty_us": round(percentile(
                [max(r.unc_ns) for r, _ in good], 99) / 1e3, 3),
            "pass": converged <= PROMISE_S,
        }

    def write(self, summary):
        names = [g.name for g in self.lab.guest]
        berk = iter(self.berk)
        at, nxt = next(berk), next(berk, None)
        with open(OUT / "truth.csv", "w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["t_s", "spread_us"] + [f"offset_us_{n}" for n in names] +
                         [f"berk_offset_us_{n}" for n in names] +
                         [f"freq_ppm_{n}" for n in names])
            for r in self.rows():
                while nxt and nxt[0] <= r.t:
                    at, nxt = nxt, next(berk, None)
                mean = r.mean_ns(self.lab.all)
                out.writerow([f"{r.t - self.first:.3f}", f"{r.spread_us(self.lab.all):.3f}"] +
                             [f"{(a - mean) / 1e3:.3f}" for a in r.ahead_ns] +
                             [f"{int(s.get('offset_ns', 0)) / 1e3:.3f}" for s in at[1]] +
                             [f"{int(s.get('freq_ppb', 0)) / 1e3:.3f}" for s in at[1]])
        (OUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        args = [f"nodes={len(names)}"] + [f"{k}={summary[k]}" for k in (
            "seconds", "converged_s", "spread_us_p50", "spread_us_p99")] + [
            f"kernel='{summary['kernel']}'"]
        for kind, terminal in (("png", "pngcairo size 1500,1250 font 'DejaVu Sans,15'"),
                               ("svg", "svg size 1500,1250 font 'DejaVu Sans,15' background '#ffffff'")):
            subprocess.run(["gnuplot", "-e", f"set terminal {terminal}; set output "
                            f"'{OUT / ('convergence.' + kind)}'; csv='{OUT / 'truth.csv'}'; " +
                            "; ".join(args), ROOT / "tests/vm/convergence.gp"], check=True)


def main():
    series, nodes, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if not 2 <= nodes <= 16 or seconds < 20:
        sys.exit("demo: NODES must be 2 to 16, and SECONDS 20 or more")
    end_by_signal()
    shutil.rmtree(OUT, ignore_errors=True)
    say(f"boot:  {nodes} machines with Debian's {series} kernel, emulated")
    try:
        with Lab(series, scatter(PPM, nodes, 3), OUT) as lab:
            lab.boot(lambda text: say(f"boot:  {text}"))
            demo = Demo(lab, seconds)
            demo.start()
            while demo.look():
                demo.show()
                time.sleep(0.25)
            for g in lab.guest:
                (OUT / f"{g.name}.log").write_text(g.log())
            summary = demo.summary()
            demo.write(summary)
    except LabError as error:
        (OUT / "summary.json").write_text(json.dumps({"nodes": nodes, "pass": False,
                                                      "why": str(error)}, indent=2) + "\n")
        say(f"demo: FAIL {error}")
        return 1
    except KeyboardInterrupt:
        say("demo: stopped")
        return 130
    say(f"see {OUT}/convergence.png, truth.csv, summary.json")
    s = summary
    say(f"demo: {'PASS' if s['pass'] else 'FAIL'} {nodes} nodes on {s['kernel']}: spread from "
        f"{human(s['start_spread_us'])} to below 1 ms in {s['converged_s']} s; then p50 "
        f"{human(s['spread_us_p50'])}, p99 {human(s['spread_us_p99'])}, max {human(s['spread_us_max'])} "
        f"(truth known to ±{s['truth_uncertainty_us']} µs)")
    return 0 if s["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
