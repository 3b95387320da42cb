# SPDX-License-Identifier: GPL-2.0
"""The tests of five machines of which any may lead: whoever does fails in any way."""

import time

from cases import GOOD_US, PATIENCE, reset, running, want
from groups import MOVED_US, but, complete, group, launch, leader, line, moved, start, succession

FROZEN_S = 10
PARTED_S = 30

TESTS = []	# (on so many machines, function)


def test(function):
    TESTS.append((5, function))
    return function


@test
def election(lab):
    """Five machines that know nothing but the name of their cluster."""
    reset(lab)
    start(lab)
    lead, took, _ = leader(lab)
    after, worst = lab.hold(GOOD_US, 5, PATIENCE)
    # who ceases to be the standby learns it with its next correction
    lead.wait("one master, one standby, three slaves", PATIENCE, lambda: sorted(
        g.berk()["role"] for g in lab.guest) == ["master"] + 3 * ["slave"] + ["standby"])
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
    old.wait("leads itself", PATIENCE, lambda: old.berk()["role"] == "master")
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
