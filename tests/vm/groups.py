# SPDX-License-Identifier: GPL-2.0
"""Groups of five machines with the same configuration, for the tests of them.

At every instant there must be one master in each term, and no node may go back to an
older one.
"""

import statistics
import time

from cases import CLUSTER, GOOD_US, PATIENCE, reset, running, want
from vmlab import LabError

MOVED_US = 300		# what machines as noisy as these do not notice
APART = (-2.2, 0.9, 1.7, 3.1, -0.4)	# s


class Watch:
    """Looks at all machines whenever the lab is looked at."""

    def __init__(self, guests):
        self.guests = guests
        self.master = {}	# by term
        self.seen = {}		# by machine: (number of the reading, term, master)

    def __call__(self):
        for g in self.guests:
            seq, s = g.page.status_seq, g.berk()
            if s.get("role", "none") == "none" or s["term"] == "0":	# no berkd, or a new one
                self.seen.pop(g.index, None)
                continue
            # Who leads follows itself, but says so only after its first round.
            master = s["node_id"] if s["role"] == "master" else s["master_id"]
            seen = (int(s["term"]), master)
            was = self.seen.get(g.index, (seq, 0, None))
            # The files are not all read at one instant: what is seen twice is true.
            if seen == was[1:] and seq != was[0] and int(master, 16):
                known = self.master.setdefault(seen[0], master)
                want(known == master, f"two masters in term {seen[0]}: {known}, {master}")
            want(seen[0] >= was[1], f"{g.name} went back from term {was[1]} to {seen[0]}")
            self.seen[g.index] = (seq, *seen)


def but(lab, *out):
    return [i for i in lab.all if lab.guest[i] not in out]


def agreement(guests):
    """The machine that leads all of these, which say so and are in sync; or None."""
    said = [g.berk() for g in guests]
    if any(s.get("state") != "synchronised" for s in said):
        return None
    if len({(s["term"], s["master_id"]) for s in said}) > 1:
        return None
    lead = [g for g, s in zip(guests, said) if s["role"] == "master"]
    if len(lead) != 1 or said[0]["master_id"] != lead[0].berk()["node_id"]:
        return None
    return lead[0]


def leader(lab, members=None):
    """Waits for an agreement of these: (leader, s that it took, largest spread until then)."""
    members = members or lab.all
    guests = [lab.guest[i] for i in members]
    begin, worst = time.monotonic(), 0
    for row in lab.new_rows():
        if row.known(members):
            worst = max(worst, row.spread_us(members))
        lead = agreement(guests)
        if lead:
            return lead, time.monotonic() - begin, worst
        if time.monotonic() > begin + PATIENCE:
            said = [{k: g.berk().get(k) for k in ("role", "state", "term", "master_id")}
                    for g in guests]
            raise LabError(f"no agreement within {PATIENCE} s: {said}")


def launch(g, *lines, cluster=CLUSTER):
    return g.berkd("\n".join((f"cluster = {cluster}",) + lines))


def align(lab, ahead):
    """Clocks so many s ahead of a common time."""
    row = lab.instant()
    for g, s in zip(lab.guest, ahead):
        g.begin(f"agent step {s - row.ahead_ns[g.index] / 1e9:.9f}")
    for g in lab.guest:
        g.finish()


def start(lab, config=lambda g: (), command=lambda g: ""):
    """Module and berkd everywhere, with clocks apart; the command comes before."""
    lab.watch = Watch(lab.guest)
    align(lab, APART)
    for g in lab.guest:
        g.begin(f"insmod /berk.ko; {command(g)}\n{launch(g, *config(g))}")
    for g in lab.guest:
        g.finish()


def group(lab):
    """The one that the case before left, or a new one; returns its leader."""
    lab.watch = Watch(lab.guest)
    if not all(running(g) for g in lab.guest) or not agreement(lab.guest):
        reset(lab)
        start(lab)
    lab.hold(GOOD_US, 1, PATIENCE)
    return leader(lab)[0]


def succession(lab, lost):
    """The others go on without that one: (new leader, what there is to tell)."""
    rest = but(lab, lost)
    steps = [lab.guest[i].log().count("stepped the clock") for i in rest]
    lead, took, worst = leader(lab, rest)
    worst = max(worst, lab.hold(GOOD_US, 2, PATIENCE, members=rest)[1])
    want(worst < GOOD_US, f"the spread of the others rose to {worst:.0f} us")
    want(steps == [lab.guest[i].log().count("stepped the clock") for i in rest],
         "a clock was stepped")
    return lead, f"{lost.name}, then {lead.name} after {took:.1f} s, spread {worst:.0f} us"


def complete(lab, lead):
    """All are in one group again, which has the same leader as without the one that was lost."""
    after, _ = lab.hold(GOOD_US, 1, PATIENCE)
    again = leader(lab)[0]
    want(again is lead, f"{again.name} took over from {lead.name}")
    return f"complete after {after:.1f} s"


def line(lab, members, begin, end):
    """The course of the mean clock of these between two instants: f(host s) in us."""
    rows = [r for r in lab.rows if begin <= r.t <= end and r.known(members)]
    slope, at = statistics.linear_regression([r.t - begin for r in rows],
                                             [r.mean_ns(members) / 1e3 for r in rows])
    return lambda t: at + slope * (t - begin)


def moved(lab, members, course, begin):
    """us by which their mean has left its course since."""
    return max(abs(r.mean_ns(members) / 1e3 - course(r.t)) for r in lab.rows
               if r.t >= begin and r.known(members))
