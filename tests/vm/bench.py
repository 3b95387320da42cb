#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: bench.py SERIES NODES SECONDS ROUNDS

berk, chrony and linuxptp in turn on the same machines, the same switch and the same
impairments, idle and under load. What their clocks really do is measured from outside
(truth.c). Of each slot of SECONDS the second half counts. Leaves accuracy.json,
accuracy.md and a picture in build/bench/.
"""

import os
import re
import shutil
import sys
import time

from bench_report import Report, judge
from demo import human, scatter
from vmlab import BUILD, CACHE, Lab, LabError, end_by_signal, say

PPM = 95		# crystals differ by up to this
START_S = 0.3		# and clocks by up to this at the beginning of each slot
IMPAIRMENT = "delay 50 jitter 50"	# us; each direction of each port, so twice on every way
LOAD = {"cpu_percent": 20, "udp_kbit": 4000, "tcp_kbit": 4000}	# of every machine
CONDITIONS = ["idle", "load"]
OUT = BUILD / "bench"

# Each is configured for the best figures it was seen to reach here.
CHRONY_SERVER = "local stratum 8\nallow\n"
# The clocks start closer together than the usual makestep threshold of 1 s.
CHRONY_CLIENT = "server {master} iburst xleave {poll}\nmakestep 0.001 3\n"

# An emulated machine takes longer for a transmit stamp than the 1 ms of real ones,
# and its host stops it for longer than the check of the clock's rate endures.
PTP = """[global]
time_stamping software
network_transport UDPv4
delay_mechanism E2E
logAnnounceInterval -2
logSyncInterval -4
logMinDelayReqInterval -3
tx_timestamp_timeout 100
sanity_freq_limit 0
priority1 {priority}
slaveOnly {slave}
{options}
"""


def chrony(poll):
    def config(lab, g):
        return CHRONY_CLIENT.format(master=lab.guest[0].ip, poll=poll) if g.index else CHRONY_SERVER
    return config


def ptp4l(options):
    def config(_lab, g):
        return PTP.format(priority=100 + g.index, slave=int(g.index > 0), options=options)
    return config


def berk(probes):
    def config(_lab, _g):
        return f"drift_file = none\nprobes = {probes}\n"
    return config


class Contender:
    """How a time daemon is started, and what its words are when it is well.

    name: in tables; config: (lab, guest) -> text; command: started with that text in
    /run/bench.conf; port: UDP, where the master listens; ask: what to run on a slave;
    wanted: regular expressions that must be found in the answer.
    """

    def __init__(self, name, config, command, port, ask, wanted):
        self.name, self.config, self.command, self.port = name, config, command, port
        self.ask, self.wanted = ask, wanted

    def start(self, lab):
        """The master first, or chronyd's opening burst would be wasted. Returns the
        moment (host s) at which the others start."""
        launch = [f"cat >/run/bench.conf <<'END'\n{self.config(lab, g)}\nEND\n"
                  f"{self.command} >/run/bench.log 2>&1 & echo $! >/run/bench.pid\n"
                  for g in lab.guest]
        lab.guest[0].sh(launch[0] + f"until grep -q ':{self.port:04X} ' /proc/net/udp || "
                        "! test -d /proc/$!; do usleep 20000; done")
        begin = time.monotonic()
        for g in lab.guest[1:]:
            g.begin(launch[g.index])
        for g in lab.guest[1:]:
            g.finish()
        return begin

    def complaint(self, lab):
        """What is missing in its own account of itself, first line short; None if all is well."""
        for g in lab.guest:
            if g.sh("test -d /proc/$(cat /run/bench.pid)", check=False)[0]:
                return f"{g.name}: it ended\n{g.sh('tail -n 5 /run/bench.log')}"
        for g in lab.guest[1:]:
            _status, answer = g.sh(self.ask, check=False)
            for pattern in self.wanted:
                if not re.search(pattern, answer):
                    return f"{g.name}: its status lacks {pattern!r}\n{answer}"
        return None

    def stop(self, lab):
        """And forget all that it learned."""
        for g in lab.guest:
            g.begin("p=$(cat /run/bench.pid); kill $p 2>/dev/null; "
                    "while [ -d /proc/$p ]; do usleep 20000; done; "
                    "! test -d /sys/module/berk || rmmod berk; rm -rf /run/*")
        for g in lab.guest:
            g.finish()


def contenders():
    def add_chrony(name, poll):
        return Contender(name, chrony(poll), "chronyd -d -F 0 -u root -f /run/bench.conf", 123,
                         "chronyc -n tracking; chronyc -n ntpdata",
                         [r"Leap status +: Normal", r"Interleaved +: Yes",
                          r"TX timestamping +: Kernel", r"RX timestamping +: Kernel"])

    def add_ptp4l(name, options):
        return Contender(name, ptp4l(options), "ptp4l -S -m -q -i eth0 -f /run/bench.conf", 319,
                         "pmc -u -b 0 'GET PORT_DATA_SET' 'GET PORT_PROPERTIES_NP'",
                         [r"portState +SLAVE", r"timestamping +SOFTWARE"])

    return [
        add_chrony("chronyd 1 s", "minpoll 0 maxpoll 0"),
        add_chrony("chronyd 16/s", "minpoll -4 maxpoll -4 filter 15 maxdelayquant 0.3"),
        add_ptp4l("ptp4l -S", "clock_servo linreg"),
        # With the gains of its own the servo would begin to steer 48 s (0.016 / ki) after
        # its start at this rate of packets; with these it does after 16 s.
        add_ptp4l("ptp4l -S raw_weight", "tsproc_mode raw_weight\n"
                  "pi_proportional_const 0.2\npi_integral_const 0.001"),
        Contender("berk", berk(15), "insmod /berk.ko; berkd --config /run/bench.conf",
                  5525, "cat /sys/kernel/berk/state", ["^synchronised"]),
    ]


class Bench:
    def __init__(self, lab, seconds, rounds):
        self.lab, self.seconds, self.rounds = lab, seconds, rounds
        self.contenders = contenders()

    def versions(self):
        """What runs in there, by its own account."""
        g = self.lab.guest[0]
        return {"chrony": g.sh("chronyd -v").strip(), "ptp4l": g.sh("ptp4l -v").strip(),
                "berk": g.sh("berkd --version").strip(),
                "packages": (CACHE / "peers/versions").read_text().split("\n")[:-1]}

    def conditions(self):
        return {"kernel": self.lab.guest[0].sh("uname -r").strip(), "versions": self.versions(),
                "machine": f"QEMU with TCG, {os.cpu_count()} host processors",
                "nodes": len(self.lab.guest), "slot_s": self.seconds,
                "counted_s": self.seconds / 2, "alternations": self.rounds,
                "conditions": CONDITIONS,
                "crystals_ppm": [g.ppm for g in self.lab.guest], "start_apart_s": 2 * START_S,
                "impairment": IMPAIRMENT, "load": LOAD,
                "config": {c.name: [c.config(self.lab, g) for g in self.lab.guest[:2]]
                           for c in self.contenders}}

    def set_clocks(self, seed):
        """Apart, and at the frequency of their crystals."""
        for g, offset in zip(self.lab.guest, scatter(START_S, len(self.lab.guest), seed)):
            g.sh(f"adjtimex -q -f 0 -t 10000 && agent settime {time.time() + offset:.6f}")

    def counters(self):
        """(host s, packets sent, CPU s) of all daemons and kernel threads so far."""
        lab = self.lab
        for g in lab.guest:
            g.begin("for p in /proc/[0-9]*; do read -r name <$p/comm; case $name in "
                    "chronyd|ptp4l|berkd|berk) cat $p/schedstat;; esac; done 2>/dev/null; true")
        cpu = sum(int(line.split()[0]) for g in lab.guest for line in g.finish().splitlines())
        packets = sum(lab.network(f"stats {g.index}")["time"] for g in lab.guest)
        return time.monotonic(), packets, cpu / 1e9

    def follow(self, end):
        for row in self.lab.new_rows():
            for g in self.lab.guest:
                if g.qemu.poll() is not None:
                    raise LabError(f"{g.name} died: {g.last_words()}")
            if row.t >= end:
                return

    def slot(self, contender, seed):
        """One contender from beginning to end; its figures, and the course of the spread."""
        lab, n = self.lab, len(self.lab.guest)
        self.set_clocks(seed)
        apart = lab.instant().spread_us(lab.all)
        begin = contender.start(lab)
        self.follow(begin + self.seconds / 2)
        half = self.counters()
        self.follow(begin + self.seconds)
        end = self.counters()
        complaint = contender.complaint(lab)
        contender.stop(lab)
        rows = [(r.t - begin, r.spread_us(lab.all)) for r in lab.rows
                if begin <= r.t < begin + self.seconds and r.known(lab.all)]
        return {"start_spread_us": round(apart, 1), "complaint": complaint,
                "host_load": round(os.getloadavg()[0], 2),
                "packets_per_s": round((end[1] - half[1]) / (end[0] - half[0]) / n, 2),
                "cpu_ms_per_s": round(1e3 * (end[2] - half[2]) / (end[0] - half[0]) / n, 3),
                "cpu_s": round(end[2] / n, 3), **judge(rows, self.seconds)}, rows

    def load(self, on):
        """Every machine computes, sends to the next and receives from the one before."""
        ring = list(zip(self.lab.guest, self.lab.guest[1:] + self.lab.guest[:1]))
        if not on:
            for g in self.lab.guest:
                g.sh("! test -e /tmp/load.pid || kill $(cat /tmp/load.pid); rm -f /tmp/load.pid")
            return
        begin = "bench_load {} >/dev/console 2>&1 & echo $! >>/tmp/load.pid\n"
        for g in self.lab.guest:
            g.sh(begin.format("sink"))
        for g, to in ring:
            g.sh("".join(map(begin.format, (
                f"cpu {LOAD['cpu_percent']}", f"udp {to.ip} {LOAD['udp_kbit']}",
                f"tcp {to.ip} {LOAD['tcp_kbit']}"))))

    def run(self, report):
        todo = [(r, condition, c) for r in range(self.rounds) for condition in CONDITIONS
                for c in self.contenders[r:] + self.contenders[:r]]
        begin, now = time.monotonic(), None
        for i, (r, condition, contender) in enumerate(todo):
            if condition != now:
                self.load(condition == "load")
                now = condition
            figures, rows = self.slot(contender, r + 1)
            report.add(r + 1, condition, contender.name, figures, rows)
            left = (time.monotonic() - begin) / (i + 1) * (len(todo) - i - 1)
            say(f"{condition} {r + 1}/{self.rounds}  {contender.name:20} p50 "
                f"{human(figures['p50_us']):>10}  p99 {human(figures['p99_us']):>10}   "
                f"{left / 60:.0f} min left")
            if figures["complaint"]:
                say(f"{contender.name}: {figures['complaint'].splitlines()[0]}")


def main():
    series, nodes, seconds, rounds = sys.argv[1], *map(int, sys.argv[2:5])
    if not 2 <= nodes <= 16 or seconds < 20 or rounds < 1:
        sys.exit("bench: NODES must be 2 to 16, SECONDS 20 or more, and ROUNDS 1 or more")
    end_by_signal()
    shutil.rmtree(OUT, ignore_errors=True)
    say(f"boot:  {nodes} machines with Debian's {series} kernel, emulated")
    try:
        with Lab(series, scatter(PPM, nodes, 3), OUT, image="bench") as lab:
            lab.boot(lambda text: say(f"boot:  {text}"))
            for g in lab.guest:
                lab.network(f"set {g.index} both {IMPAIRMENT}")
            bench = Bench(lab, seconds, rounds)
            report = Report(OUT, bench.conditions(),
                            [c.name for c in bench.contenders])
            bench.run(report)
            trouble = [f"{g.name}: {line}" for g in lab.guest for line in g.trouble()]
    except LabError as error:
        say(f"bench: FAIL {error}")
        return 1
    except KeyboardInterrupt:
        say("bench: stopped")
        return 130
    report.finish()
    if trouble:
        say("bench: FAIL a kernel complained: " + "; ".join(trouble[:3]))
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
