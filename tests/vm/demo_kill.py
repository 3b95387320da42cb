# SPDX-License-Identifier: GPL-2.0
"""The second half of a demonstration: the master fails, and comes back."""

import time

from vmlab import Page

AWAY_S = 10		# before it comes back
LATE_S = -3		# its clock then, where the power was off
WAYS = {"master": ("is switched off", "off"),
        "daemon": ("loses its berkd (kill -9)", "killed"),
        "freeze": ("stands still", "frozen")}


class Kill:
    """All times are the host's, s; None: not yet.

    at: of the failure; victim: who led; leader, first_round: who leads since, and when it
    had its first round; back: the victim runs again; joined: its clock is with the others.
    """

    def __init__(self, lab, way, config):
        self.lab, self.config = lab, config
        self.way, (self.words, self.state) = way, WAYS[way]
        self.at = self.victim = self.leader = self.first_round = self.back = self.joined = None
        self.booting = False

    def is_out(self, g, t):
        """It does not count among the living at that moment."""
        return g is self.victim and self.at <= t and (self.joined is None or t < self.joined)

    def is_off(self, g):
        return g is self.victim and self.back is None

    def strike(self, status):
        """Returns what there is to tell, as the others do, or None."""
        self.victim = next((g for g, s in zip(self.lab.guest, status)
                            if s.get("role") == "master"), None)
        if not self.victim:
            return None
        g, self.at = self.victim, time.monotonic()
        if self.way == "master":
            g.power_off()
        elif self.way == "freeze":
            g.freeze()
        else:
            g.stop_berkd("KILL")
        return f"{g.name}, the master, {self.words}"

    def look(self, status):
        """After that, again and again."""
        now = time.monotonic()
        if self.leader is None:
            return self._look_for_leader(now, status)
        if self.back is None and now >= self.at + AWAY_S:
            return self._bring_back(now)
        if self.back is not None and self.joined is None:
            return self._look_for_victim(now, status)
        return None

    def _look_for_leader(self, now, status):
        for g, s in zip(self.lab.guest, status):
            # Who leads follows itself once it had a round.
            if g is not self.victim and s.get("role") == "master" and \
                    s["master_id"] == s["node_id"]:
                self.leader, self.first_round = g, now
                return f"{g.name} leads: its first round {now - self.at:.1f} s later"
        return None

    def _bring_back(self, now):
        g = self.victim
        if self.way == "freeze":
            g.thaw()
        elif self.way == "daemon":
            g.start_berkd(self.config)
        elif not self.booting:
            self.booting = True
            g.power_on()
            return f"{g.name} is switched on again"
        elif g.page.magic != Page.MAGIC:
            return None
        else:
            g.up()
            g.sh(f"agent settime {time.time() + LATE_S:.6f}; insmod /berk.ko; "
                 f"{g.berkd(self.config)}")
        self.back = now
        return f"{g.name} is back"

    def _look_for_victim(self, now, status):
        g, row = self.victim, self.lab.rows[-1]
        others = [i for i in self.lab.all if i != g.index]
        s = status[g.index]
        if row.t < self.back or not row.known(self.lab.all) or \
                s.get("state") != "synchronised" or s["role"] == "master" or \
                abs(row.ahead_ns[g.index] - row.mean_ns(others)) > 1e6:
            return None
        self.joined = row.t
        return f"{g.name} is one of them again, {now - self.back:.1f} s later"
