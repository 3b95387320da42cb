#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: demo.py SERIES NODES SECONDS [KILL]

Machines whose clocks start seconds apart and run at different rates are handed
to berk, all with the same configuration; what comes of it is measured from outside
(truth.c), shown while it happens, and left in build/demo/ as summary.json, truth.csv
and a picture. After half of the time the master fails, if KILL says how: "master",
"daemon" or "freeze" (demo_kill.py).
"""

import csv
import json
import math
import random
import shutil
import subprocess
import sys
import time

from demo_kill import Kill, WAYS
from vmlab import BUILD, Lab, LabError, ROOT, end_by_signal, say

BOUND_US = 1000		# the promise: a spread below this
PROMISE_S = 15		# within this time of the first round
PPM = 95		# crystals differ by up to this
START_S = 4.7		# and clocks by up to this when berk starts
DRIFT_S = 3		# shown of the time before berk
CONFIG = "cluster = demo"	# of every machine
LOOK_S = 0.1
SHOW_S = 0.25
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


class Probes:
    """How many were sent by all machines together; counters start anew after a failure."""

    def __init__(self):
        self.total, self.last = 0, {}

    def count(self, status):
        for i, s in enumerate(status):
            if "probes_tx" not in s:
                continue
            n = int(s["probes_tx"])
            self.total += n - self.last.get(i, 0) if n >= self.last.get(i, 0) else n
            self.last[i] = n


class Demo:
    def __init__(self, lab, seconds, way):
        self.lab, self.seconds = lab, seconds
        self.kill = Kill(lab, way, CONFIG) if way else None
        self.first = None	# host time of the first round
        self.probes = Probes()
        self.berk = []		# (host time, status of every machine)
        self.events = []
        self.tty = sys.stdout.isatty()
        self.drawn = self.shown = 0

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
        for g in lab.guest:
            g.begin(g.berkd(CONFIG))
        for g in lab.guest:
            g.finish()

    def look(self):
        """Record what berk says, let fail what shall; true while there is time left."""
        now = time.monotonic()
        status = [g.berk() for g in self.lab.guest]
        self.berk.append((now, status))
        self.probes.count(status)
        if self.first is None:
            if self.probes.total:
                self.first = self.berk[-2][0] if len(self.berk) > 1 else now
            elif now > self.begin + DRIFT_S + 60:
                raise LabError("no round within 60 s; the log of node1:\n" +
                               self.lab.guest[0].log())
        elif self.kill and now >= self.first + self.seconds / 2:
            self.tell(self.kill.look(status) if self.kill.at else self.kill.strike(status))
        for g in self.lab.guest:
            if g.qemu.poll() is not None and not (self.kill and self.kill.is_off(g)):
                raise LabError(f"{g.name} died: {g.last_words()}")
        return self.first is None or now < self.first + self.seconds

    def tell(self, what):
        if what:
            self.events.append(f"{time.monotonic() - self.first:5.1f} s  {what}")
            if not self.tty:
                say(self.events[-1])

    def members(self, t):
        """The living at that moment."""
        return [g.index for g in self.lab.guest if not (self.kill and self.kill.is_out(g, t))]

    def spread_us(self, row):
        return row.spread_us(self.members(row.t))

    def rows(self):
        """The instants since the beginning at which all these clocks are known."""
        return [r for r in self.lab.rows if r.t >= self.begin and r.known(self.members(r.t))]

    def peak_us(self, rows):
        """Since the master failed; None: nobody leads yet."""
        if not self.kill or self.kill.leader is None:
            return None
        return max((self.spread_us(r) for r in rows if r.t >= self.kill.at), default=None)

    def time_line(self, rows, width=60):
        """The spread from 10 s down to 0.1 us, as a line of blocks."""
        end = (self.first or time.monotonic()) + self.seconds
        cells = [0] * width
        for r in rows:
            i = int((r.t - self.begin) / (end - self.begin) * width)
            if 0 <= i < width:
                level = (math.log10(max(self.spread_us(r), 0.1)) + 1) / 8
                cells[i] = max(cells[i], 1 + min(7, int(level * 8)))
        return "".join(" ▁▂▃▄▅▆▇█"[c] for c in cells)

    def table(self, rows):
        lab, row, status = self.lab, rows[-1], self.berk[-1][1]
        mean = row.mean_ns(self.members(row.t))
        t = time.monotonic() - (self.first or time.monotonic())
        lines = [f"berk   {len(lab.guest)} machines, Linux {self.release}",
                 f"{t:5.0f} s of {self.seconds} s     spread {human(self.spread_us(row)):>11}", "",
                 f"{'node':6} {'role':8} {'term':>6} {'state':15} {'true offset':>13}"
                 f" {'berk says':>13} {'crystal':>11} {'correction':>12}"]
        for g, s in zip(lab.guest, status):
            ahead = row.ahead_ns[g.index]
            off = (ahead - mean) / 1e3 if ahead is not None else None
            if self.kill and self.kill.is_off(g):
                s = {"state": self.kill.state}
            says = int(s["offset_ns"]) / 1e3 if "offset_ns" in s else None
            freq = int(s.get("freq_ppb", 0)) / 1e3
            lines.append(f"{g.name:6} {s.get('role', '-'):8} {s.get('term', '-'):>6}"
                         f" {s.get('state', '-'):15} {human(off, True):>13}"
                         f" {human(says, True):>13} {g.ppm:+7.1f} ppm {freq:+8.2f} ppm")
        lines += ["", f"spread |{self.time_line(rows)}|", ""]
        if self.kill:
            peak = self.peak_us(rows)
            lines += self.events + [f"largest spread since then {human(peak)}" if peak else ""]
        return lines

    def show(self):
        rows, now = self.rows(), time.monotonic()
        if not rows:
            return
        if self.tty and now >= self.shown + SHOW_S:
            lines = self.table(rows)
            up = f"\033[{self.drawn}A" if self.drawn else ""
            sys.stdout.write(up + "".join(f"\033[K{line}\n" for line in lines))
            sys.stdout.flush()
            self.drawn, self.shown = len(lines), now
        elif not self.tty and self.first and now - self.first >= 5 * self.drawn:
            self.drawn += 1
            row, mean = rows[-1], rows[-1].mean_ns(self.members(rows[-1].t))
            say(f"{now - self.first:5.0f} s  spread {human(self.spread_us(row)):>11}  " +
                "  ".join(f"{g.name} {human((row.ahead_ns[g.index] - mean) / 1e3, True)}"
                          for g in self.lab.guest if row.ahead_ns[g.index] is not None))

    def summary(self):
        rows = [r for r in self.rows() if r.t <= self.first + self.seconds]
        spread = [self.spread_us(r) for r in rows]
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
        uncertain = [max(r.unc_ns[i] for i in self.members(r.t)) for r, _ in good]
        summary = {
            "nodes": len(self.lab.guest),
            "kernel": self.release,
            "seconds": self.seconds,
            "start_spread_us": round(spread[0], 1),
            "converged_s": round(converged, 1),
            "spread_us_p50": round(percentile(after, 50), 2),
            "spread_us_p99": round(percentile(after, 99), 2),
            "spread_us_max": round(max(after), 2),
            "probes_per_s_per_node": round(
                self.probes.total / self.seconds / (len(self.lab.guest) - 1), 2),
            "truth_uncertainty_us": round(percentile(uncertain, 99) / 1e3, 3),
            "pass": converged <= PROMISE_S,
        }
        if self.kill:
            f = summary["failover"] = self.failover(rows)
            summary["pass"] &= f["spread_us_peak"] < BOUND_US and f["joined_s"] is not None
        return summary

    def failover(self, rows):
        k = self.kill
        if k.leader is None:
            raise LabError("the master failed, and nobody has followed it" if k.victim else
                           "there was no master that could fail")
        return {"what": f"{k.victim.name} {k.words}", "at_s": round(k.at - self.first, 1),
                "leader": k.leader.name, "first_round_after_s": round(k.first_round - k.at, 1),
                "spread_us_peak": round(self.peak_us(rows), 2),
                "back_s": round(k.back - self.first, 1) if k.back else None,
                "joined_s": round(k.joined - self.first, 1) if k.joined else None}

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
                mean = r.mean_ns(self.members(r.t))
                out.writerow([f"{r.t - self.first:.3f}", f"{self.spread_us(r):.3f}"] +
                             [f"{(a - mean) / 1e3:.3f}" if a is not None else "nan"
                              for a in r.ahead_ns] +
                             [f"{int(s.get('offset_ns', 0)) / 1e3:.3f}" for s in at[1]] +
                             [f"{int(s.get('freq_ppb', 0)) / 1e3:.3f}" for s in at[1]])
        (OUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        args = [f"nodes={len(names)}"] + [f"{k}={summary[k]}" for k in (
            "seconds", "converged_s", "spread_us_p50", "spread_us_p99")] + [
            f"kernel='{summary['kernel']}'"]
        if self.kill:
            f = summary["failover"]
            args += [f"kill_s={f['at_s']}", f"kill='{f['what']}; {f['leader']} leads after "
                     f"{f['first_round_after_s']} s'"]
            args += [f"joined_s={f['joined_s']}"] if f["joined_s"] else []
        for kind, terminal in (("png", "pngcairo size 1500,1250 font 'DejaVu Sans,15'"),
                               ("svg", "svg size 1500,1250 font 'DejaVu Sans,15' "
                                "background '#ffffff'")):
            subprocess.run(["gnuplot", "-e", f"set terminal {terminal}; set output "
                            f"'{OUT / ('convergence.' + kind)}'; csv='{OUT / 'truth.csv'}'; " +
                            "; ".join(args), ROOT / "tests/vm/convergence.gp"], check=True)


def main():
    series, nodes, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    way = sys.argv[4] if len(sys.argv) > 4 else None
    if not 2 <= nodes <= 16 or seconds < 20:
        sys.exit("demo: NODES must be 2 to 16, and SECONDS 20 or more")
    if way and way not in WAYS:
        sys.exit(f"demo: KILL must be {', '.join(WAYS)} or nothing")
    if way and seconds < 60:
        sys.exit("demo: with KILL, SECONDS must be 60 or more")
    end_by_signal()
    shutil.rmtree(OUT, ignore_errors=True)
    say(f"boot:  {nodes} machines with Debian's {series} kernel, emulated")
    try:
        with Lab(series, scatter(PPM, nodes, 3), OUT) as lab:
            lab.boot(lambda text: say(f"boot:  {text}"))
            demo = Demo(lab, seconds, way)
            demo.start()
            while demo.look():
                demo.show()
                time.sleep(LOOK_S)
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
        f"{human(s['spread_us_p50'])}, p99 {human(s['spread_us_p99'])}, max "
        f"{human(s['spread_us_max'])} (truth known to ±{s['truth_uncertainty_us']} µs)")
    if way:
        f = s["failover"]
        say(f"demo: {f['what']} after {f['at_s']} s: first round of {f['leader']} "
            f"{f['first_round_after_s']} s later, peak of the spread "
            f"{human(f['spread_us_peak'])}; " +
            (f"back and one of them after {f['joined_s'] - f['back_s']:.1f} s" if f["joined_s"] else
             "it did not come back to the others"))
    return 0 if s["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
