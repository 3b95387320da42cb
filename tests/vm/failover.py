# SPDX-License-Identifier: GPL-2.0
"""The tests of groups that find themselves: five machines with the same configuration.

Whoever leads may fail in any way. At every instant in between there must be one
master in each term, and no node may go back to an older one.
"""

import statistics
import time

from cases import CLUSTER, GOOD_US, PATIENCE, reset, running, want
from vmlab import LabError

MOVED_US = 300		# what machines as noisy as these do not notice
APART = (-2.2, 0.9, 1.7, 3.1, -0.4)	# s
FREE_US = 10		# of a clock that nobody touches, from a straight line
FROZEN_S = 10
PARTED_S = 30

TESTS = []	# (on so many machines, function)


def test(function):
    TESTS.append((5, function))
    return function


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


def start(lab, config=lambda g: (), apart=APART):
    """Module and berkd everywhere, with clocks apart."""
    lab.watch = Watch(lab.guest)
    for g, offset in zip(lab.guest, apart):
        g.begin(f"agent settime {time.time() + offset:.6f}; insmod /berk.ko; "
                f"{launch(g, *config(g))}")
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


# --- tests

@test
def election(lab):
    """Five machines that know nothing but the name of their cluster."""
    reset(lab)
    start(lab)
    lead, took, _ = leader(lab)
    after, worst = lab.hold(GOOD_US, 5, PATIENCE)
    roles = sorted(g.berk()["role"] for g in lab.guest)
    want(roles == ["master", "slave", "slave", "slave", "standby"], f"roles {roles}")
    want(leader(lab)[0] is lead, "the leader changed")
    peers = lead.berkctl("peers")
    want(sorted(p["rank"] or 0 for p in peers) == [0, 1, 2, 3], f"the order of standbys: {peers}")
    return f"{lead.name} leads after {took:.1f} s; below 1 ms {after:.1f} s later, {worst:.0f} us"


@test
def master_stopped(lab):
    """A polite end: it hands over; who comes back is one of the others."""
    old = group(lab)
    old.stop_berkd()
    lead, text = succession(lab, old)
    old.sh(launch(old))
    return f"{text}; {complete(lab, lead)}"


@test
def master_killed(lab):
    """kill -9, and the module goes under its berkd."""
    figures = []
    for how in ("kill -9 $(cat /run/berkd.pid)", "rmmod berk"):
        old = group(lab)
        old.sh(how)
        lead, text = succession(lab, old)
        old.wait("end of berkd", PATIENCE, lambda g=old: not running(g))
        old.sh("test -d /sys/module/berk || insmod /berk.ko; " + launch(old))
        figures.append(f"{text}; {complete(lab, lead)}")
    return "; ".join(figures)


@test
def master_frozen(lab):
    """The machine of the master stands still, and goes on as if nothing had happened."""
    old = group(lab)
    old.freeze()
    thaw = time.monotonic() + FROZEN_S
    try:
        lead, text = succession(lab, old)
        for row in lab.new_rows():
            if row.t > thaw:
                break
    finally:
        old.thaw()
    rest = but(lab, old)
    begin = time.monotonic()
    again = complete(lab, lead)
    worst = max(r.spread_us(rest) for r in lab.rows if r.t >= begin and r.known(rest))
    want(worst < GOOD_US, f"it moved the others apart, by {worst:.0f} us")
    return f"{text}; {again}, others {worst:.0f} us"


@test
def master_cut_off(lab):
    """Its cable is pulled: it goes on alone, and comes back into the larger group."""
    old = group(lab)
    lab.network(f"set {old.index} both loss 1")
    lead, text = succession(lab, old)
    want(old.berk()["role"] == "master", f"{old.name} is {old.berk()['role']} of itself")
    lab.network(f"set {old.index} both")
    return f"{text}; {complete(lab, lead)}"


@test
def master_switched_off(lab):
    """The power fails; it comes back with another time."""
    old = group(lab)
    old.power_off()
    lead, text = succession(lab, old)
    old.power_on()
    old.up()
    old.sh(f"agent settime {time.time() - 3:.6f}; insmod /berk.ko; {launch(old)}")
    return f"{text}; {complete(lab, lead)}"


@test
def partition(lab):
    """Two with the master are cut off from three: two groups, and one again."""
    old = group(lab)
    small = sorted({old.index, (old.index + 1) % 5})
    large = [i for i in lab.all if i not in small]
    for i in small:
        lab.network(f"segment {i} 1")
    parted = time.monotonic()
    lead = leader(lab, large)[0]
    want(leader(lab, small)[0] is old, f"{old.name} does not lead its part")
    for row in lab.new_rows():
        if row.t > parted + PARTED_S:
            break
    ahead = (row.mean_ns(small) - row.mean_ns(large)) / 1e3
    course = line(lab, large, parted + PARTED_S / 2, row.t)
    for i in small:
        lab.network(f"segment {i} 0")
    healed = time.monotonic()
    again, took, _ = leader(lab)
    want(again is lead, f"{again.name} leads, and not {lead.name}")
    lab.hold(GOOD_US, 4, PATIENCE)
    away = moved(lab, large, course, healed)
    want(away < MOVED_US, f"the larger part moved by {away:.0f} us")
    return (f"{old.name} | {lead.name}, {ahead:+.0f} us apart; one after {took:.1f} s, the larger "
            f"part moved by {away:.0f} us")


@test
def two_clusters(lab):
    """Two groups on one wire ignore each other; then the smaller one is given the other name."""
    reset(lab)
    large, small = [0, 1, 2], [3, 4]
    other = CLUSTER[:-1] + "2"
    lab.watch = lambda: None	# two clusters may have the same terms
    for g, offset in zip(lab.guest, (0, 0, 0, 0.004, 0.004)):
        g.begin(f"agent settime {time.time() + offset:.6f}; insmod /berk.ko; " +
                launch(g, cluster=CLUSTER if g.index in large else other))
    for g in lab.guest:
        g.finish()
    lead, rival = leader(lab, large)[0], leader(lab, small)[0]
    for part in (large, small):
        lab.hold(GOOD_US, 3, PATIENCE, members=part)
    lab.watch = Watch([lab.guest[i] for i in large])
    want(lab.guest[0].number("foreign"), "the groups do not hear each other at all")
    begin = time.monotonic()
    for row in lab.new_rows():
        if row.t > begin + 4:
            break
    ahead = (row.mean_ns(small) - row.mean_ns(large)) / 1e3
    course = line(lab, large, begin, row.t)
    steps = sum(lab.guest[i].log().count("stepped the clock") for i in small)
    for i in small:
        lab.guest[i].sh("sed -i 's/^cluster.*/cluster = %s/' /etc/berk/berkd.conf; "
                        "kill -HUP $(cat /run/berkd.pid)" % CLUSTER)
    want(leader(lab)[0] is lead, f"{rival.name} took over from the larger group")
    after, _ = lab.hold(GOOD_US, 2, PATIENCE)
    away = moved(lab, large, course, begin)
    want(away < MOVED_US, f"the larger group moved by {away:.0f} us")
    steps = sum(lab.guest[i].log().count("stepped the clock") for i in small) - steps
    want(not steps, f"{steps} steps in the smaller group")
    return (f"{lead.name}, {rival.name}, {ahead:+.0f} us apart; one {after:.1f} s later, the "
            f"larger one moved by {away:.0f} us")


@test
def one_family(lab):
    """Nodes find each other by multicast where there is only IPv4, and only IPv6."""
    figures = []
    without = {"IPv6": ("sysctl -q net.ipv6.conf.eth0.disable_ipv6=1",
                        "sysctl -q net.ipv6.conf.eth0.disable_ipv6=0"),
               "IPv4": ("ip -4 addr flush dev eth0", "ip addr add {} dev eth0")}
    for family, (take, give) in without.items():
        reset(lab)
        for g in lab.guest:
            g.sh(take)
        try:
            start(lab)
            lead, took, _ = leader(lab)
            _, worst = lab.hold(GOOD_US, 2, PATIENCE)
            figures.append(f"without {family} {lead.name} after {took:.1f} s, {worst:.0f} us")
        finally:
            for g in lab.guest:
                g.sh(give.format(f"{g.ip}/24"))
    reset(lab)
    return "; ".join(figures)


FIREWALL = """for m in $(cat /modules/firewall); do insmod $m 2>/dev/null; done
nft -f - <<'END'
table inet filter {
	chain input {
		type filter hook input priority 0; policy drop
		ct state established,related accept
		counter drop
	}
}
END
"""


@test
def report_mode(lab):
    """Three nodes let nothing in but replies; they report to whichever of two others leads."""
    reset(lab)
    open_ones, closed = lab.guest[:2], lab.guest[2:]
    for g in closed:
        g.sh(FIREWALL)
    lines = ["role = slave", "mode = report"] + [f"peer = {g.ip}" for g in open_ones]
    try:
        start(lab, lambda g: lines if g in closed else ())
        old, took, _ = leader(lab)
        lab.hold(GOOD_US, 3, PATIENCE)
        peers = {p["address"].rsplit(":", 1)[0]: p for p in old.berkctl("peers")}
        for g in closed:
            p = peers[g.ip]
            want(p["state"] == "member" and not p["probes"], f"{g.name} at {old.name}: {p}")
            rules = g.sh("nft list ruleset")
            want("packets 0 " not in rules, f"{g.name}: nothing was blocked: {rules}")
        old.stop_berkd()
        lead, text = succession(lab, old)
        old.sh(launch(old))
        text += "; " + complete(lab, lead)
    finally:
        for g in closed:
            g.sh("nft flush ruleset")
    return f"{old.name} leads after {took:.1f} s; {text}"


@test
def same_id(lab):
    """A node comes with the id of another: it stays out, and both say so; then it has its own."""
    lead = group(lab)
    first, second = [g for g in lab.guest if g is not lead][:2]
    rest = but(lab, second)
    second.stop_berkd()
    second.sh(launch(second, f"node_id = {first.berk()['node_id']}"))
    for g in (first, second):
        g.wait("a word about the node id", PATIENCE, lambda g=g: "has our node_id" in g.log())
    _, worst = lab.hold(GOOD_US, 3, PATIENCE, members=rest)
    want(leader(lab, rest)[0] is lead, "the leader changed")
    want(second.berk()["state"] == "unsynchronised", f"{second.name}: {second.berk()['state']}")
    want("stays out" in second.log() and "stays out" not in first.log(),
         f"{first.name}: {first.log()[-300:]}, {second.name}: {second.log()[-300:]}")
    second.stop_berkd()
    second.sh(launch(second))
    return f"others {worst:.0f} us; {complete(lab, lead)}"


@test
def reference(lab):
    """One clock is right, and never touched: the others go there, and follow its rate."""
    reset(lab)
    right = lab.guest[2]
    free = "adjtimex | sed -n '/freq\\|tick\\|status/p'"
    right.sh("adjtimex -q -f 0 -t 10000")
    before = right.sh(free)
    start(lab, lambda g: ("reference = yes",) if g is right else ())
    began = time.monotonic()
    lead, took, _ = leader(lab)
    after, worst = lab.hold(GOOD_US, 8, PATIENCE)
    want(right.sh(free) == before, f"{right.name}: was {before}, is {right.sh(free)}")
    want("stepped" not in right.log(), f"{right.name}: {right.log()}")
    end = lab.rows[-1].t
    away = moved(lab, [right.index], line(lab, [right.index], began, end), began)
    want(away < FREE_US, f"{right.name} did not run freely: {away:.1f} us from a line")
    return (f"{lead.name} leads after {took:.1f} s; within {worst:.0f} us {after:.1f} s later; "
            f"the reference on its line within {away:.2f} us")
