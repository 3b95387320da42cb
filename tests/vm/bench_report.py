# SPDX-License-Identifier: GPL-2.0
"""The figures of a bench: those of one slot, and the tables and pictures of all."""

import json
import math
import statistics
import subprocess

from demo import percentile
from vmlab import ROOT, say

BERK = "berk"		# the last contender; all others are peers
METRICS = (("p50_us", "spread p50", "µs"), ("p99_us", "p99", "µs"), ("max_us", "max", "µs"),
           ("to_100us_s", "< 100 µs", "s"), ("to_10us_s", "< 10 µs", "s"),
           ("packets_per_s", "packets/s", ""), ("cpu_ms_per_s", "CPU ms/s", ""))


def settled(rows, limit_us, seconds):
    """Seconds until the spread is below the limit for good; inf if it was above in the
    last quarter, after which nobody can tell."""
    above = [t for t, spread in rows if spread >= limit_us]
    if not rows or above and above[-1] > 0.75 * seconds:
        return math.inf
    return next(t for t, _ in rows if not above or t > above[-1])


def judge(rows, seconds):
    """Figures of one slot from its rows (s since its beginning, spread in µs)."""
    counted = [spread for t, spread in rows if t >= seconds / 2] or [math.inf]
    return {"instants": len(rows), "p50_us": percentile(counted, 50),
            "p99_us": percentile(counted, 99), "max_us": max(counted),
            "to_100us_s": settled(rows, 100, seconds), "to_10us_s": settled(rows, 10, seconds)}


def plain(value):
    """For JSON, which knows no infinity: null is "never"."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value


def three_digits(value):
    if not math.isfinite(value):
        return "never"
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(0, digits)}f}"


class Report:
    def __init__(self, out, conditions, names):
        self.out, self.conditions, self.names = out, conditions, names
        self.slots, self.rows = [], {}

    def add(self, alternation, condition, name, figures, rows):
        """All so far is in accuracy.json after each slot."""
        self.slots.append({"alternation": alternation, "condition": condition,
                           "contender": name, **figures})
        self.rows.setdefault((condition, name), []).extend(rows)
        self.write()

    def values(self, condition, name, key):
        """One figure in all alternations."""
        return [s[key] for s in self.slots if (s["condition"], s["contender"]) == (condition, name)]

    def median(self, condition, name, key):
        return statistics.median_low(self.values(condition, name, key) or [math.inf])

    def ratios(self, condition, key):
        """berk over the best peer, in each alternation; nan where neither has a value."""
        peers = zip(*(self.values(condition, n, key) for n in self.names if n != BERK))
        return [own / min(best) if own < math.inf or min(best) < math.inf else math.nan
                for own, best in zip(self.values(condition, BERK, key), peers) if min(best) > 0]

    def ratio(self, condition, key):
        """Its median with its range, as a text."""
        ratios = self.ratios(condition, key)
        if not ratios or any(map(math.isnan, ratios)):
            return "-"
        if max(ratios) == 0:
            return "only berk"
        if len(ratios) == 1:
            return three_digits(ratios[0])
        low, high = three_digits(min(ratios)), three_digits(max(ratios))
        return f"{three_digits(statistics.median_low(ratios))} ({low}–{high})"

    def write(self):
        names = self.conditions["conditions"]
        summary = {c: {n: {key: self.median(c, n, key) for key, *_ in METRICS}
                       for n in self.names} for c in names}
        ratios = {c: {key: [plain(r) for r in self.ratios(c, key)] for key, *_ in METRICS}
                  for c in names}
        (self.out / "accuracy.json").write_text(json.dumps({
            "conditions": self.conditions, "median": plain(summary),
            "berk_over_best_peer": ratios, "slots": [plain(s) for s in self.slots]},
            indent=2, ensure_ascii=False) + "\n")

    def table(self):
        head = ["", ""] + [f"{title} {unit}".strip() for _, title, unit in METRICS]
        rows = [head]
        for condition in self.conditions["conditions"]:
            rows += [[condition, n] + [three_digits(self.median(condition, n, key))
                                       for key, *_ in METRICS] for n in self.names]
            rows.append([condition, "berk / best peer"] +
                        [self.ratio(condition, key) for key, *_ in METRICS])
        return rows

    def picture(self):
        """For each condition and contender two blocks: the course, and what counts."""
        seconds = self.conditions["slot_s"]
        with open(self.out / "accuracy.dat", "w", encoding="utf-8") as f:
            for condition in self.conditions["conditions"]:
                for n in self.names:
                    rows = self.rows[condition, n]
                    f.write(f"# {condition}, {n}: s, median spread in us of all alternations\n")
                    for t in range(math.ceil(seconds)):
                        now = [spread for at, spread in rows if t <= at < t + 1]
                        if now:
                            f.write(f"{t + 0.5} {statistics.median(now):.3f}\n")
                    f.write(f"\n\n# {condition}, {n}: spreads in us of the second half\n")
                    f.writelines(f"{s:.3f}\n" for t, s in rows if t >= seconds / 2)
                    f.write("\n\n")
        c = self.conditions
        for kind, terminal in (
                ("png", "pngcairo size 1500,1100 font 'DejaVu Sans,15'"),
                ("svg", "svg size 1500,1100 font 'DejaVu Sans,15' background '#ffffff'")):
            subprocess.run(["gnuplot", "-e", f"set terminal {terminal}; "
                            f"set output '{self.out / ('accuracy.' + kind)}'; "
                            f"dat='{self.out / 'accuracy.dat'}'; nodes={c['nodes']}; "
                            f"seconds={seconds}; kernel='{c['kernel']}'; "
                            f"names='{'|'.join(self.names)}'; "
                            f"conditions='{' '.join(c['conditions'])}'",
                            ROOT / "tests/vm/bench.gp"], check=True)

    def finish(self):
        """Table as text and as markdown, and the picture."""
        rows = self.table()
        width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            say("  ".join(cell.ljust(w) if i < 2 else cell.rjust(w)
                          for i, (cell, w) in enumerate(zip(row, width))))
        rows.insert(1, ["---", "---"] + ["---:"] * len(METRICS))
        (self.out / "accuracy.md").write_text(
            "".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")
        self.picture()
        say(f"see {self.out}/accuracy.png, accuracy.md, accuracy.json")
