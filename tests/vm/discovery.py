# SPDX-License-Identifier: GPL-2.0
"""The tests of who belongs to a group of five machines, and how they reach each other."""

import time

from cases import CLUSTER, GOOD_US, PATIENCE, reset, want
from groups import (MOVED_US, Watch, align, but, complete, group, launch, leader, line, moved,
                    start, succession)

FREE_US = 10		# of a clock that nobody touches, from a straight line

TESTS = []	# (on so many machines, function)


def test(function):
    TESTS.append((5, function))
    return function


@test
def same_id(lab):
    """A node comes with the id of another: it stays out, and both say so."""
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
    return f"others {worst:.0f} us"


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


@test
def two_clusters(lab):
    """Two groups on one wire ignore each other; then the smaller one is given the other name."""
    reset(lab)
    large, small = [0, 1, 2], [3, 4]
    other = CLUSTER[:-1] + "2"
    lab.watch = lambda: None	# two clusters may have the same terms
    align(lab, (0, 0, 0, 0.0025, 0.0025))
    for g in lab.guest:
        g.begin("insmod /berk.ko; " + launch(g, cluster=CLUSTER if g.index in large else other))
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
    want(away < max(MOVED_US, abs(ahead) / 4), f"the larger group moved by {away:.0f} us")
    steps = sum(lab.guest[i].log().count("stepped the clock") for i in small) - steps
    want(not steps, f"{steps} steps in the smaller group")
    return (f"{lead.name}, {rival.name}, {ahead:+.0f} us apart; one {after:.1f} s later, the "
            f"larger one moved by {away:.0f} us")


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
        peers = {}

        def all_members():
            peers.update({p["address"].rsplit(":", 1)[0]: p for p in old.berkctl("peers")})
            return all(peers[g.ip]["state"] == "member" for g in closed)

        old.wait("three members that report", PATIENCE, all_members)
        for g in closed:
            want(not peers[g.ip]["probes"], f"{g.name} at {old.name}: {peers[g.ip]}")
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
def reference(lab):
    """One clock is right, and never touched: the others go there, and follow its rate."""
    reset(lab)
    right = lab.guest[2]
    right.sh("adjtimex -q -f 0 -t 10000")
    start(lab, lambda g: ("reference = yes",) if g is right else (),
          lambda g: "agent synced" if g is right else "")
    free = "adjtimex | sed -n '/freq\\|tick\\|status/p'"
    before = right.sh(free)
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
