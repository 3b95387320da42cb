# SPDX-License-Identifier: GPL-2.0
"""Machines with wrong clocks on a network of their own, and the truth about them.

    with Lab("6.1", [20, -30, 70], "build/vm/run") as lab:
        lab.boot()
        lab.guest[0].sh("uname -r")

Everything it starts ends with the with statement, whatever the reason; QEMU also
ends by itself when this process dies. Nothing needs root or the host's network.
"""

import copy
import ctypes
import json
import mmap
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "berk"
BOOT_TIMEOUT = 120
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|Kernel panic|KASAN|refcount_t|unregister_netdevice: wait"
                     r"|general protection|blocked for more than|stack guard")


class LabError(Exception):
    """Something that a test did not expect; the text says what and where."""


class Pair(ctypes.Structure):
    _fields_ = [("tsc", ctypes.c_uint64), ("real_ns", ctypes.c_int64),
                ("width", ctypes.c_uint64)]


class Page(ctypes.Structure):
    """struct page of page.h."""
    MAGIC = 0x6265726b
    SIZE = 262144
    OUTPUT = 65536
    _fields_ = [(name, ctypes.c_uint32) for name in
                ("magic", "ask", "ready", "ping", "pong", "pad")] + [
        ("pong_tsc", ctypes.c_uint64), ("head", ctypes.c_uint64), ("ring", Pair * 256),
        ("cmd_seq", ctypes.c_uint32), ("cmd_timeout_ms", ctypes.c_uint32),
        ("cmd_done", ctypes.c_uint32), ("cmd_status", ctypes.c_uint32),
        ("out_len", ctypes.c_uint32), ("command", ctypes.c_char * 16384),
        ("output", ctypes.c_char * OUTPUT), ("status_seq", ctypes.c_uint32),
        ("status", ctypes.c_char * 2048)]


def start(args, **kwargs):
    """A child that dies with us and hears nothing of our terminal's signals."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--"] + [str(a) for a in args],
                            start_new_session=True, **kwargs)


def stop(process):
    if process.poll() is None:
        process.kill()
    process.wait()


def end_by_signal():
    """SIGTERM and SIGHUP end the program as Ctrl-C does: through finally."""
    def handler(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


class Guest:
    def __init__(self, lab, index, ppm):
        self.lab, self.index, self.ppm = lab, index, ppm
        self.name = f"node{index + 1}"
        self.ip = f"192.0.2.{index + 1}"
        self.ip6 = f"fe80::5054:ff:fe00:{index + 1:x}"
        self.mac = f"52:54:00:00:00:{index + 1:02x}"
        self.fd = os.memfd_create(self.name)
        os.ftruncate(self.fd, Page.SIZE)
        self.page = Page.from_buffer(mmap.mmap(self.fd, Page.SIZE))
        self.console = lab.out / f"{self.name}.console"
        self.console.unlink(missing_ok=True)
        self.qemu = self.qmp = None
        self.told = 0

    def power_on(self):
        """up() tells when it is there."""
        # Without PM timer and HPET nothing recalibrates the counter: what
        # tsc_early_khz says is the rate of this machine's crystal. A busy host stops
        # a machine for longer than the watchdog's usual patience.
        append = (f"console=ttyS0 loglevel=5 mitigations=off panic=-1 panic_on_warn=1 oops=panic "
                  f"watchdog_thresh=60 pmtmr=0 tsc=nowatchdog "
                  f"tsc_early_khz={round(self.lab.khz * (1 - self.ppm * 1e-6))}")
        self.qmp, theirs = socket.socketpair()
        self.qemu = start(
            ["qemu-system-x86_64", "-accel", "tcg,tb-size=64", "-machine", "pc,hpet=off",
             "-cpu", "qemu64", "-m", "192", "-nodefaults", "-no-user-config", "-no-reboot",
             "-display", "none", "-serial", "chardev:console",
             "-chardev", f"file,id=console,path={self.console.name},append=on",
             "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "qmp,mode=control",
             "-kernel", CACHE / f"kernel-{self.lab.series}" / "vmlinuz",
             "-initrd", BUILD / "vm" / f"{self.lab.image}-{self.lab.series}.cpio",
             "-append", append,
             "-object", f"memory-backend-file,id=page,mem-path=/proc/self/fd/{self.fd},"
                        f"size={Page.SIZE},share=on",
             "-device", "ivshmem-plain,memdev=page",
             "-netdev", f"stream,id=net,server=off,addr.type=unix,addr.path=port{self.index}",
             "-device", f"virtio-net-pci,netdev=net,mac={self.mac},romfile="],
            cwd=self.lab.out, pass_fds=[self.fd, theirs.fileno()], stdin=subprocess.DEVNULL,
            stderr=open(self.lab.out / f"{self.name}.qemu", "w"))
        theirs.close()

    def up(self):
        """Wait until it has booted, and give it its network."""
        self.wait("boot", BOOT_TIMEOUT, lambda: self.page.magic == Page.MAGIC)
        source = self.sh(
            f"hostname {self.name}; printf '%032x' {self.index + 1} >/etc/machine-id; "
            f"ip link set lo up; ip addr add {self.ip}/24 dev eth0; ip link set eth0 up; "
            "cat /sys/devices/system/clocksource/clocksource0/current_clocksource").strip()
        if source not in ("tsc", "tsc-early"):
            raise LabError(f"{self.name} runs on clocksource {source!r} and not on its own tsc")

    def power_off(self):
        """As when the cord is pulled."""
        self.page.magic = 0
        stop(self.qemu)
        self.page.cmd_done = self.page.cmd_seq
        self.page.status = b""

    def freeze(self):
        """All of it stands still, its clocks included."""
        self.page.magic = 0
        self._command("stop")

    def thaw(self):
        self._command("cont")
        self.page.magic = Page.MAGIC

    def _command(self, name):
        """One command to QEMU; its greeting and events do not matter here."""
        with self.qmp.makefile("rw") as f:
            for word in ("qmp_capabilities", name):
                f.write(json.dumps({"execute": word}) + "\n")
                f.flush()
                answer = {}
                while not answer.keys() & {"return", "error"}:
                    answer = json.loads(f.readline())
                # It negotiates only once, and says so.
                if "error" in answer and word == name:
                    raise LabError(f"{self.name}: {name}: {answer['error']}")

    def wait(self, what, timeout, condition):
        """Until condition() or a LabError."""
        end = time.monotonic() + timeout
        while not condition():
            if self.qemu.poll() is not None:
                raise LabError(f"{self.name} died ({what}): {self.last_words()}")
            if time.monotonic() > end:
                raise LabError(f"{self.name}: {what}: not within {timeout} s")
            time.sleep(0.005)

    def last_words(self):
        lines = self.console.read_text(errors="replace").splitlines()
        first = next((i for i, line in enumerate(lines) if TROUBLE.search(line)), len(lines) - 15)
        return "\n".join(lines[max(0, first - 3):first + 40])

    def trouble(self):
        """The lines in which the kernel complained."""
        return [line for line in self.console.read_text(errors="replace").splitlines()
                if TROUBLE.search(line)]

    def new_trouble(self):
        """Those that were not told before."""
        lines = self.trouble()
        told, self.told = self.told, len(lines)
        return lines[told:]

    def begin(self, command, timeout=60):
        """Start a shell command; finish() waits for it."""
        self.page.command = command.encode()
        self.page.cmd_timeout_ms = int(timeout * 1000)
        self.page.cmd_seq += 1
        self.began = command, timeout

    def finish(self, check=True):
        command, timeout = self.began
        # The guest ends the command in time by its own clock; ours only guards that.
        self.wait(command, 2 * timeout + 30, lambda: self.page.cmd_done == self.page.cmd_seq)
        length = self.page.out_len
        offset = Page.output.offset
        raw = memoryview(self.page).cast("B")[offset:offset + Page.OUTPUT].tobytes()
        cut = length % Page.OUTPUT
        output = (raw[:length] if length <= Page.OUTPUT else raw[cut:] + raw[:cut]).decode(
            errors="replace")
        status = os.waitstatus_to_exitcode(self.page.cmd_status)
        if check and status:
            raise LabError(f"{self.name}: {command!r} ended with {status}: {output[-2000:]}")
        return output if check else (status, output)

    def sh(self, command, timeout=60, check=True):
        """Output of a command; with check=False also its exit status, before it."""
        self.begin(command, timeout)
        return self.finish(check)

    def berk(self):
        """What /sys/kernel/berk shows, as published a moment ago; empty without module."""
        while True:
            seq = self.page.status_seq
            text = self.page.status
            if seq % 2 == 0 and seq == self.page.status_seq:
                pairs = (line.split(None, 1) for line in text.decode(errors="replace").splitlines())
                return {p[0]: p[1] if len(p) > 1 else "" for p in pairs if p}

    def number(self, name):
        """A file of /sys/kernel/berk as an integer, read now."""
        return int(self.sh(f"cat /sys/kernel/berk/{name}"))

    def berkctl(self, *args):
        return json.loads(self.sh("berkctl --json " + " ".join(args)))

    @staticmethod
    def berkd(text):
        """The command for berkd with this configuration file, in the background."""
        return (f"cat >/etc/berk/berkd.conf <<'END'\n{text}\nEND\n"
                "berkd >>/run/berkd.log 2>&1 & echo $! >/run/berkd.pid")

    def start_berkd(self, text):
        self.sh(self.berkd(text))

    def stop_berkd(self, sig="TERM"):
        """Until it is really gone."""
        self.sh(f"p=$(cat /run/berkd.pid); kill -{sig} $p 2>/dev/null; "
                "while [ -d /proc/$p ]; do usleep 20000; done; rm /run/berkd.pid")

    def log(self):
        return self.sh("cat /run/berkd.log 2>/dev/null; true")

    def peek_log(self):
        """For a report: the end of berkd's log if the machine still answers."""
        if self.qemu.poll() is not None:
            return "dead"
        try:
            return self.log()[-1500:]
        except LabError as error:
            return str(error)


class Row:
    """The clocks at one instant: t (host s), ahead_ns and unc_ns by machine, None unknown."""

    def __init__(self, line):
        words = line.split()
        numbers = [None if w == "-" else int(w) for w in words[1:]]
        self.t, self.ahead_ns, self.unc_ns = float(words[0]), numbers[::2], numbers[1::2]

    def known(self, members):
        return all(self.ahead_ns[i] is not None for i in members)

    def mean_ns(self, members):
        return sum(self.ahead_ns[i] for i in members) / len(members)

    def spread_us(self, members):
        values = [self.ahead_ns[i] for i in members]
        return (max(values) - min(values)) / 1e3


class Lab:
    def __init__(self, series, ppm, out, seed=1, image="initramfs"):
        self.series, self.out, self.seed = series, pathlib.Path(out).resolve(), seed
        self.image = image
        self.out.mkdir(parents=True, exist_ok=True)
        self.guest = [Guest(self, i, p) for i, p in enumerate(ppm)]
        self.all = list(range(len(ppm)))
        self.rows, self.news = [], threading.Condition()
        self.switch = self.truth = None
        self.watch = lambda: None	# called for each instant that somebody waits for

    def part(self, n):
        """The same with the first n machines only."""
        lab = copy.copy(self)
        lab.guest, lab.all = self.guest[:n], self.all[:n]
        return lab

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        for process in [g.qemu for g in self.guest] + [self.switch, self.truth]:
            if process:
                stop(process)
        for g in self.guest:
            (self.out / f"port{g.index}").unlink(missing_ok=True)

    def boot(self, progress=lambda text: None):
        self.truth = start([BUILD / "vm" / "truth"] + [g.fd for g in self.guest],
                           pass_fds=[g.fd for g in self.guest], text=True,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.switch = start([BUILD / "vm" / "switch", self.seed] +
                            [f"port{i}" for i in self.all], cwd=self.out, text=True, bufsize=1,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.switch.stdout.readline() != "ok\n":
            raise LabError("the switch did not start")
        self.khz = float(self.truth.stdout.readline().split()[1])
        for g in self.guest:
            g.power_on()
        threading.Thread(target=self._read_truth, daemon=True).start()
        for g in self.guest:
            g.up()
            progress(f"{g.name} is up")

    def _read_truth(self):
        for line in self.truth.stdout:
            row = Row(line)
            with self.news:
                self.rows.append(row)
                self.news.notify_all()

    def network(self, command):
        """A command of switch.c: "set PORT ..." or "stats PORT"."""
        self.switch.stdin.write(command + "\n")
        answer = self.switch.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise LabError(f"switch: {command!r}: {answer}")
        words = answer.split()
        return dict(zip(words[::2], map(int, words[1::2]))) if len(words) > 1 else answer

    def new_rows(self, timeout=60):
        """An endless stream of instants from now on."""
        n = len(self.rows)
        while True:
            with self.news:
                if not self.news.wait_for(lambda: len(self.rows) > n, timeout):
                    raise LabError("the truth has fallen silent")
                row = self.rows[n]
            n += 1
            self.watch()
            yield row

    def instant(self, members=None):
        """The first instant from now on at which all the clocks are known."""
        now = time.monotonic()
        for row in self.new_rows():
            if row.t >= now and row.known(members or self.all):
                return row

    def hold(self, below_us, for_s, timeout, members=None):
        """Wait until the spread has stayed below a bound for some time.

        Returns (seconds until it went below for good, its maximum since).
        """
        members = members or self.all
        begin = time.monotonic()
        since, worst, last = None, 0, None
        for row in self.new_rows():
            if row.t >= begin and row.known(members):
                last = row.spread_us(members)
                if last >= below_us:
                    since, worst = None, 0
                else:
                    since = since or row.t
                    worst = max(worst, last)
            if since and row.t - since >= for_s:
                return since - begin, worst
            if row.t - begin > timeout:
                raise LabError(f"the spread was not below {below_us} us for {for_s} s within "
                               f"{timeout} s; at the end {last} us")


def say(*words):
    print(*words, flush=True)
    sys.stdout.flush()
