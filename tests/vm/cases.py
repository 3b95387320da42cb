# SPDX-License-Identifier: GPL-2.0
"""The tests of module and daemon on whole kernels: three machines, node1 is the master.

Nothing is judged by the speed of code; clocks are judged by the truth of truth.c.
A test takes the Lab, returns its figures, or raises LabError with the reason.
"""

import collections
import json
import re
import time

from vmlab import LabError

CLUSTER = "7465737400000001"	# as in cycle.c and flood.c
GOOD_US = 1000			# a group in sync
BAD_NETWORK_US = 5000		# with 30 % loss and 10 ms jitter
PATIENCE = 60			# s until a group must be in sync

TESTS = []	# (on so many machines, function)


def test(function):
    TESTS.append((3, function))
    return function


def want(condition, text):
    if not condition:
        raise LabError(text)


# --- the group

def running(g):
    return not g.sh("test -e /run/berkd.pid && test -d /proc/$(cat /run/berkd.pid)", check=False)[0]


def reset(lab):
    """No berkd, no module, a good network."""
    for g in lab.guest:
        lab.network(f"set {g.index} both")
        lab.network(f"segment {g.index} 0")
        g.begin("p=$(cat /run/berkd.pid 2>/dev/null) && kill $p 2>/dev/null; "
                "while [ -d /proc/${p:-none} ]; do usleep 20000; done; "
                "! test -d /sys/module/berk || rmmod berk; rm -f /run/berkd.*")
    for g in lab.guest:
        g.finish()


def start_node(g, peers=()):
    role = "slave" if g.index else "master"
    g.start_berkd(f"role = {role}\nnode_id = {g.index + 1}\ncluster = {CLUSTER}\n" +
                  "".join(f"peer = {p}\n" for p in peers))


def start_group(lab, address=lambda g: g.ip, apart=(-2.2, 0.9, 1.7)):
    """Module and berkd everywhere, with clocks apart."""
    for g, offset in zip(lab.guest, apart):
        g.sh(f"agent settime {time.time() + offset:.6f}; insmod /berk.ko")
    for g in lab.guest[1:]:
        start_node(g)
    for g in lab.guest[1:]:	# before that, probes come to nobody
        g.wait("port open", PATIENCE, lambda g=g: g.number("port"))
    start_node(lab.guest[0], [address(g) for g in lab.guest[1:]])


def in_sync(lab, for_s=1):
    """A group that is in sync: the one that runs, or a new one."""
    if not all(running(g) for g in lab.guest):
        reset(lab)
        start_group(lab)
    return lab.hold(GOOD_US, for_s, PATIENCE)


def kill_master(lab):
    """End the rounds, and let what is under way arrive."""
    lab.guest[0].stop_berkd()
    lab.instant()


def now(g):
    """Exit status and answer of berkctl now."""
    status, out = g.sh("berkctl now --json 2>/dev/null", check=False)
    return status, json.loads(out)


def check_interval(g, answer):
    """As wide as the bound that it claims, and around this machine's clock."""
    width, bound = answer["latest_ns"] - answer["earliest_ns"], answer["error_bound_ns"]
    want(0 < width <= 2 * bound and 0 < answer["void_after_ms"], f"{g.name}: {answer}")
    _, later = now(g)
    want(later["latest_ns"] > answer["latest_ns"], f"{g.name}: {answer}, then {later}")


# --- tests

@test
def convergence(lab):
    """Clocks seconds apart, 140 ppm of rate; then all say that they are in sync."""
    reset(lab)
    start_group(lab)
    after, worst = lab.hold(GOOD_US, 6, PATIENCE)
    for g in lab.guest:
        state = g.sh("cat /sys/kernel/berk/state").strip()
        want(state == "synchronised", f"{g.name} says {state}")
        bound = g.number("error_bound_ns")
        row = lab.instant()
        off = abs(row.ahead_ns[g.index] - row.mean_ns(lab.all))
        want(off < bound + 1000, f"{g.name} is {off:.0f} ns off and claims {bound}")
        status, answer = now(g)
        want(status == 0 and answer["state"] == "synchronised", f"{g.name}: {status}, {answer}")
        check_interval(g, answer)
    return f"below 1 ms after {after:.1f} s, then at most {worst:.0f} us"


@test
def counters(lab):
    """What one side sends the other has received, and nothing was rejected."""
    reset(lab)
    start_group(lab)
    lab.hold(GOOD_US, 4, PATIENCE)
    for g in lab.guest:
        g.stop_berkd()
    lab.instant()	# what is under way arrives

    def count(name):
        return [g.number(name) for g in lab.guest]

    for what in ("probes", "replies"):
        tx, rx = count(what + "_tx"), count(what + "_rx")
        want(sum(tx) == sum(rx) > 0, f"{tx} {what} sent, {rx} received")
    replies, samples = count("replies_rx"), count("samples")
    want(samples[0] and all(s <= r for s, r in zip(samples, replies)),
         f"{samples} samples of {replies} replies")
    for name in ("rejected", "overrun", "foreign"):
        want(not any(count(name)), f"{name} {count(name)}")
    for name in ("ctrl_tx", "ctrl_rx"):
        want(min(count(name)), f"{name} {count(name)}")
    return f"{sum(replies)} exchanges, {sum(samples)} samples, control messages {count('ctrl_tx')}"


@test
def stepped_by_hand(lab):
    """A hand steps a slave by 2 s, forth and back, and the master; berkd says so and mends it."""
    figures = []
    for i, step in ((1, 2), (2, -2), (0, 2)):
        in_sync(lab)
        g = lab.guest[i]
        lines = len(g.log().splitlines())
        g.sh(f"agent step {step}")
        after, _ = lab.hold(GOOD_US, 2, PATIENCE)
        news = "\n".join(g.log().splitlines()[lines:])
        said = re.search(r"stepped this clock by ([-+][\d.]+) s", news)
        want(said and abs(float(said[1]) - step) < 0.01, f"{g.name} said of {step:+d} s: {news!r}")
        want(news.count(" stepped this clock by") == 1 and "another program" not in news,
             f"{g.name} said more than once of {step:+d} s: {news!r}")
        figures.append(f"{g.name} {step:+d} s mended in {after:.1f} s")
    return ", ".join(figures)


@test
def daemon_killed(lab):
    """kill -9: the state falls by itself, the others go on, it comes back."""
    in_sync(lab)
    g = lab.guest[2]
    want(g.sh("cat /sys/kernel/berk/state").strip() == "synchronised", "not in sync before")
    g.stop_berkd("KILL")
    status = g.sh("cat /sys/kernel/berk/state /sys/kernel/berk/role").split()
    want(status == ["unsynchronised", "none"], f"status after kill -9: {status}")
    want(g.number("error_bound_ns") == 2**64 - 1 and g.number("void_after_ms") == 0,
         "the bound survived kill -9")
    status, answer = now(g)
    want(status == 3 and answer["earliest_ns"] is None, f"now after kill -9: {status}, {answer}")
    _, worst = lab.hold(GOOD_US, 3, PATIENCE, members=[0, 1])
    g.sh("agent step 0.7")
    start_node(g)
    after, _ = lab.hold(GOOD_US, 3, PATIENCE)
    return f"others within {worst:.0f} us, back after {after:.1f} s"


@test
def holdover(lab):
    """Without a master the bounds go on growing and stay true; scripts are told."""
    in_sync(lab)
    kill_master(lab)
    slaves = lab.guest[1:]
    first = []
    for g in slaves:
        g.wait("holdover", PATIENCE, lambda g=g: g.berk().get("state") == "holdover")
        status, answer = now(g)
        want(status == 3 and answer["state"] == "holdover", f"{g.name}: {status}, {answer}")
        check_interval(g, answer)
        first.append(g.berkctl())
    for g, was in zip(slaves, first):
        # By what the growth makes of 3 s: the daemon says the same as the module.
        enough = was["error_bound_ns"] + 3 * was["error_growth_ppb"]
        g.wait("bound grown", PATIENCE, lambda g=g: g.number("error_bound_ns") >= enough)
        same = 0
        for _ in range(20):
            old, new = g.berkctl(), g.berkctl()
            ms = old["void_after_ms"] - new["void_after_ms"] - 1
            if ms >= 0:	# of one publication
                grown = new["error_bound_ns"] - old["error_bound_ns"]
                # Each bound is rounded up for itself.
                want((grown + 1) * 1000 >= ms * new["error_growth_ppb"], f"{g.name}: {old}, {new}")
                same += 1
        want(same, f"{g.name} publishes all the time")
        row = lab.instant()
        off = abs(row.ahead_ns[g.index] - row.mean_ns(lab.all))
        want(off < g.number("error_bound_ns") + 1000, f"{g.name} is {off:.0f} ns off")
    start_node(lab.guest[0], [g.ip for g in slaves])
    after, _ = lab.hold(GOOD_US, 1, PATIENCE)
    return (", ".join(f"{g.name} grew by {s['error_growth_ppb']} ppb" for g, s in
                      zip(slaves, first)) + f"; back after {after:.1f} s")


@test
def link_down(lab):
    """A slave unreachable for a while, each direction in its turn."""
    in_sync(lab)
    g = lab.guest[1]
    for direction in ("both", "from", "to"):
        lab.network(f"set {g.index} {direction} loss 1")
        lab.hold(GOOD_US, 3, PATIENCE, members=[0, 2])
        lab.network(f"set {g.index} both")
    g.wait("state after the link came back", PATIENCE,
           lambda: g.berk().get("state") == "synchronised")
    after, worst = lab.hold(GOOD_US, 3, PATIENCE)
    return f"back in sync after {after:.1f} s, {worst:.0f} us"


@test
def bad_network(lab):
    """30 % loss, 10 % duplicates, 10 % reordered, 10 ms jitter; each way, each slave."""
    reset(lab)
    before = [lab.network(f"stats {g.index}") for g in lab.guest[1:]]
    for g in lab.guest[1:]:
        lab.network(f"set {g.index} both loss 0.3 dup 0.1 reorder 0.1 jitter 10000")
    start_group(lab)
    after, worst = lab.hold(BAD_NETWORK_US, 6, PATIENCE)
    master = lab.guest[0]
    sent, answered = master.number("probes_tx"), master.number("replies_rx")
    stats = [lab.network(f"stats {g.index}") for g in lab.guest[1:]]
    lost, dup, overtaken = (sum(s[k] - b[k] for s, b in zip(stats, before))
                            for k in ("lost", "duplicated", "overtaken"))
    want(lost and dup and overtaken, f"the network was too good: {stats}")
    want(answered < 0.8 * sent, f"{answered} replies to {sent} probes")
    want(sum(g.number("rejected") for g in lab.guest), "no duplicate was rejected")
    return (f"below 5 ms after {after:.1f} s, then at most {worst:.0f} us; {lost} lost, "
            f"{dup} doubled, {overtaken} overtaken; {answered} replies to {sent} probes")


@test
def doubled_probes(lab):
    """Every second probe comes twice, 10 ms apart at most; no round trip is below the true 10."""
    reset(lab)
    start_group(lab)
    lab.hold(GOOD_US, 2, PATIENCE)
    master, slave = lab.guest[:2]

    def samples():
        rows = [line.split() for line in master.sh("berkctl samples").splitlines()]
        rows = [dict(zip(rows[0], r)) for r in rows[1:]]
        return [{k: int(s[k]) for k in names} for s in rows if int(s["node_id"], 16) == 2]

    names = ["round"] + [f"t{i}_raw_ns" for i in (1, 2, 3, 4)]
    rejected = slave.number("rejected")
    lab.network(f"set {slave.index} from delay 5000")
    lab.network(f"set {slave.index} to dup 0.5 delay 5000 jitter 10000")
    # One round may be under way.
    first = max(s["round"] for s in samples()) + 2
    found = []

    def enough():
        found[:] = [s for s in samples() if s["round"] >= first]
        return len(found) >= 60

    master.wait("samples", PATIENCE, enough)
    rejected = slave.number("rejected") - rejected
    lab.network(f"set {slave.index} both")
    delays = [s["t4_raw_ns"] - s["t1_raw_ns"] - (s["t3_raw_ns"] - s["t2_raw_ns"]) for s in found]
    # 0.1 % is more than any crystal is off.
    want(min(delays) > 9_990_000, f"a round trip of {min(delays)} ns, {rejected} copies rejected")
    want(rejected, "no copy was rejected")
    return f"{len(delays)} round trips of {min(delays) / 1e6:.3f} ms and more, {rejected} copies"


@test
def ipv6_only(lab):
    """Link-local addresses, no IPv4 at all."""
    reset(lab)
    for g in lab.guest:
        g.sh("/bin/ip -4 addr flush dev eth0")
    try:
        start_group(lab, address=lambda g: g.ip6 + "%eth0")
        after, worst = lab.hold(GOOD_US, 5, PATIENCE)
    finally:
        for g in lab.guest:
            g.sh(f"/bin/ip addr add {g.ip}/24 dev eth0")
    reset(lab)
    return f"below 1 ms after {after:.1f} s, then at most {worst:.0f} us"


@test
def malformed_netlink(lab):
    """Every attribute of every command wrong in every way; the module still works."""
    reset(lab)
    start_group(lab)
    lab.hold(GOOD_US, 2, PATIENCE)
    g = lab.guest[1]
    answer = g.sh(f"nlfuzz {lab.seed} 5000", timeout=120).strip()
    reset(lab)
    start_group(lab)
    after, _ = lab.hold(GOOD_US, 3, PATIENCE)
    return f"{answer}; in sync again after {after:.1f} s"


@test
def unprivileged(lab):
    """Nobody may write or read samples; everybody may read the status."""
    in_sync(lab)
    g = lab.guest[1]
    answer = g.sh("nlfuzz unprivileged").strip()
    nobody = "su -s /bin/sh nobody -c '%s' 2>&1"
    for command in ("berkctl", "cat /sys/kernel/berk/state"):
        out = g.sh(nobody % command)
        want(re.search(r"\bsynchronised", out), f"{command} by nobody: {out}")
    status, out = g.sh(nobody % "berkctl set port 99", check=False)
    want(status and "permi" in out.lower() and g.number("port") == 5525,
         f"berkctl set port by nobody: {status}, {out}")
    return answer


@test
def flood(lab):
    """Probes and garbage as fast as they come; counted, answered at most once, survived."""
    in_sync(lab)
    attacker, target = lab.guest[2], lab.guest[1]
    names = "probes_rx replies_tx rejected overrun ctrl_rx"
    # One command, the answers before the questions: rounds go on meanwhile.
    read = f"cd /sys/kernel/berk; cat replies_tx {names}"

    def counters():
        return dict(zip(["answers"] + names.split(), map(int, target.sh(read).split())))

    before = counters()
    for seed in range(4):
        attacker.sh(f"flood {attacker.ip} {target.ip} 20000 {seed}")
    after, worst = lab.hold(GOOD_US, 4, PATIENCE)
    now = {n: v - before[n] for n, v in counters().items()}
    want(now["rejected"] > 1000, f"rejected {now['rejected']}")
    want(now["probes_rx"] > 1000, f"received only {now['probes_rx']} probes")
    want(now["answers"] <= now["probes_rx"], f"more replies than probes: {now}")
    for g in lab.guest:
        want(running(g), f"berkd of {g.name} ended: {g.log()[-500:]}")
    return ", ".join(f"{n} {v}" for n, v in now.items()) + f"; {worst:.0f} us"


@test
def netns_deleted(lab):
    """Two namespaces measure each other and are deleted in mid-round."""
    g = lab.guest[2]
    for _ in range(3):
        g.sh("""set -e
test -d /sys/module/berk || insmod /berk.ko
for n in a b; do /bin/ip netns add $n; /bin/ip -n $n link set lo up; done
/bin/ip link add va netns a type veth peer name vb netns b
/bin/ip -n a addr add 198.51.100.1/24 dev va
/bin/ip -n b addr add 198.51.100.2/24 dev vb
/bin/ip -n a link set va up
/bin/ip -n b link set vb up
/bin/ip netns exec b cycle round 12 198.51.100.1 64
/bin/ip netns exec a cycle round 11 198.51.100.2 64
/bin/ip netns exec a berkctl | grep -q 5525
/bin/ip netns del a
/bin/ip netns del b""")
    # The end of a namespace is asynchronous: without one there is no veth.
    g.wait("namespaces gone", PATIENCE, lambda: g.sh("grep -c veth /proc/net/dev; true"))
    reset(lab)
    return "3 times"


@test
def unload_while_attached(lab):
    """The module goes under a berkd with a round in flight; berkd must notice."""
    figures = []
    for g in (lab.guest[0], lab.guest[1]):
        in_sync(lab)
        peer = lab.guest[1 - g.index].ip
        # berkd's own rounds come in between: again, until there is a long one of ours.
        g.sh(f"until cycle round {g.index + 1} {peer} 64 2>/dev/null; do usleep 20000; done; "
             "rmmod berk")
        g.wait("berkd without module", PATIENCE, lambda g=g: not running(g) or
               re.search(r"(?i)module|unload|gone", g.log().splitlines()[-1]))
        figures.append(f"{g.name}: {g.log().splitlines()[-1][:100]}")
        reset(lab)
    return "; ".join(figures)


def memory(g):
    """Objects by slab cache, and kB of vmalloc."""
    # Objects are counted exactly only where no processor holds a slab for itself.
    g.sh("echo 3 >/proc/sys/vm/drop_caches; "
         "for f in /sys/kernel/slab/*/shrink; do echo 1 >$f; done")
    slabs = {w[0]: int(w[1]) for w in map(str.split, g.sh("cat /proc/slabinfo").splitlines()[2:])}
    slabs["vmalloc kB"] = int(g.sh("sed -n 's/VmallocUsed: *\\([0-9]*\\).*/\\1/p' /proc/meminfo"))
    return collections.Counter(slabs)


@test
def reload_under_traffic(lab):
    """200 times load, open, measure, unload, while the others probe and flood it."""
    times = 200
    reset(lab)
    g, master, other = lab.guest[1], lab.guest[0], lab.guest[2]
    for h in (master, other):
        h.sh("insmod /berk.ko")
    start_node(other)
    start_node(master, [g.ip, other.ip])
    other.sh(f"(while :; do flood {other.ip} {g.ip} 200 $$; usleep 50000; done) >/dev/null 2>&1 & "
             "echo $! >/run/flood.pid")
    cycle = f"cycle reload %d /berk.ko 2 {master.ip}"
    g.sh(cycle % 10, timeout=60)
    used = [memory(g)]
    for _ in range(2):
        g.sh(cycle % (times // 2), timeout=300)
        used.append(memory(g))
    other.sh("kill $(cat /run/flood.pid)")
    # What leaks grows all the time; what is only traffic comes and goes.
    first, second = used[1] - used[0], used[2] - used[1]
    grown = {k: (first[k], second[k]) for k in first if min(first[k], second[k]) >= times // 2}
    want(not grown, f"memory that grew by something at each reload: {grown}")
    reset(lab)
    return f"{times} times, no slab cache grew by an object each"
