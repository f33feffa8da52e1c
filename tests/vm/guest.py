"""guest.py - boots test guests in QEMU and reads back what they report.

A full guest is a Debian disk with systemd; a tiny one is busybox in memory. Both print blocks
(guest/report-lib.sh), which a Result holds as `report`, `text` and `code`, by block name.
"""

import functools
import json
import os
import re
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pieces
import powercut
from pieces import (  # noqa: F401 - tests need only this module
    GUEST_FILES, add_module, add_report, check_disk, check_part, closure, enable,
    install_modules, kernel_deb, kernel_files, kernel_image, kernel_release, link, list_folder,
    locked, make_disk, make_initrd, make_root, make_tiny_disk, make_tiny_root, module_file,
    pack_initrd, read_file, recovered, remove_modules, root_folder, run, write)

KVM_SECONDS = 10
KVM_MARKER = "@guest-done"
QUIET = "console=ttyS0 quiet panic=-1 net.ifnames=0 no_timer_check"
UNIT_EVENTS = (("ExecMainStartTimestampMonotonic", "{} starts"),
               ("ExecMainExitTimestampMonotonic", "{} exits"))
TARGETS = ("sysinit.target", "network-pre.target", "network.target", "network-online.target",
           "multi-user.target")


# What a boot left behind


@dataclass
class Result:
    """One boot: its console, each line with the seconds since QEMU's start, and its report."""
    lines: list          # (seconds, text)
    seconds: float       # wall time from QEMU's start to its end
    status: int | None   # QEMU's exit status; None if it was killed
    stopped: str | None  # why it was killed: "timeout", "stop_at", or None
    log: Path            # the console with its timestamps
    errors: str          # what QEMU itself said
    text: dict = field(default_factory=dict)    # block -> raw text
    code: dict = field(default_factory=dict)    # block -> exit status of its command
    report: dict = field(default_factory=dict)  # block -> parsed, by PARSERS
    marks: list = field(default_factory=list)   # (seconds, label, guest's uptime)

    @property
    def console(self):
        """The console as one text, for searching and for a failure's message."""
        return "\n".join(text for _, text in self.lines)

    @property
    def complete(self):
        """Whether the guest said all it had to say and powered itself off."""
        return self.status == 0 and any(text == "@guest-done" for _, text in self.lines)

    @property
    def drivers(self):
        """NIC name -> driver, for each network device there is."""
        return {name: row["driver"] for name, row in self.report.get("net", {}).items()}

    @property
    def ipv4(self):
        """NIC name -> IPv4 address, without prefix length."""
        return self.report.get("ipv4", {})

    @property
    def pinged(self):
        """Whether the gateway answered."""
        return self.code.get("ping") == 0

    def unit(self, name):
        """Properties of a unit, by systemctl's names."""
        return self.report.get("units", {}).get(name, {})

    def kernel_start(self):
        """Host seconds at the guest's uptime 0, from the earliest mark."""
        return min((seconds - uptime for seconds, _, uptime in self.marks), default=0.0)

    def timeline(self, extra=()):
        """Sorted (seconds since QEMU's start, label); extra adds pairs of the test's own."""
        start = self.kernel_start()
        events = [(0.0, "qemu starts"), (start, "kernel starts"), (self.seconds, "qemu ends")]
        events += extra
        events += [(start + uptime, label) for _, label, uptime in self.marks]
        events += [(start + seconds, label) for seconds, label in systemd_events(self.report)]
        return sorted(events)


def systemd_events(report):
    """(guest's uptime, label) of each moment that systemd recorded."""
    manager = report.get("manager", {})
    found = [(manager.get("UserspaceTimestampMonotonic"), "systemd starts"),
             (manager.get("FinishTimestampMonotonic"), "boot finished")]
    for name, unit in report.get("units", {}).items():
        if name in TARGETS:
            found.append((unit.get("ActiveEnterTimestampMonotonic"), name))
        found += [(unit.get(key), label.format(name)) for key, label in UNIT_EVENTS]
    return [(int(stamp) / 1e6, label) for stamp, label in found if stamp and int(stamp)]


def print_timeline(result, extra=(), out=print):
    """One line per event, for a person."""
    for seconds, label in result.timeline(extra):
        out(f"{seconds:8.2f}  {label}")


# Reading the report


def parse_json(text):
    """The document, or None if it is no JSON: a test then sees the raw text."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def parse_pairs(text):
    """KEY=VALUE lines."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def parse_units(text):
    """systemctl show of many units: paragraphs of pairs, by Id."""
    rows = [parse_pairs(part) for part in text.split("\n\n")]
    return {row["Id"]: row for row in rows if "Id" in row}


def parse_devices(text):
    """Lines of NAME key=value ..., by NAME."""
    rows = [line.split() for line in text.splitlines()]
    return {row[0]: parse_pairs("\n".join(row[1:])) for row in rows if row}


def parse_ipv4(text):
    """ip -o -4 addr: device -> address."""
    rows = [line.split() for line in text.splitlines()]
    return {row[1]: row[3].split("/")[0] for row in rows if len(row) > 3}


PARSERS = {
    "addr": parse_json, "status": parse_json, "result": parse_json,
    "units": parse_units, "manager": parse_pairs, "net": parse_devices, "pci": parse_devices,
    "ipv4": parse_ipv4, "state": str.strip, "online": str.strip,
    "failed": lambda text: [line.split()[0] for line in text.splitlines() if line.strip()],
    "updates": str.split, "cycles": str.splitlines, "journal": str.splitlines,
}  # any other block is its text

LINE = re.compile(r"@guest (\S+): ?(.*)")
END = re.compile(r"@guest-end (\S+) (\d+)$")
MARK = re.compile(r"@guest-mark ([\d.]+) (.*)")


def read_report(result):
    """Fill a result's blocks and marks from its console."""
    blocks = {}
    for seconds, line in result.lines:
        if found := LINE.match(line):
            blocks.setdefault(found[1], []).append(found[2])
        elif found := END.match(line):
            result.code[found[1]] = int(found[2])
            blocks.setdefault(found[1], [])
        elif found := MARK.match(line):
            result.marks.append((seconds, found[2], float(found[1])))
    for name, rows in blocks.items():
        result.text[name] = "\n".join(rows)
        result.report[name] = PARSERS.get(name, str)(result.text[name])
    return result


# Running QEMU


@dataclass
class Watch:
    """What happens while a guest runs; patterns are searched in each line of its console."""
    timeout: float       # seconds until QEMU is killed
    stop_at: str = None  # the power is cut at the first line that matches,
    stop_after: float = 0    # so many seconds later
    acts: dict = field(default_factory=dict)  # pattern -> called once, at its first line

    def __post_init__(self):
        self.deadline = time.monotonic() + self.timeout
        self.why = "timeout"  # it would be stopped at its deadline
        self.left = dict(self.acts)

    def see(self, text):
        """Judge a fresh line."""
        for pattern in [pattern for pattern in self.left if re.search(pattern, text)]:
            self.left.pop(pattern)()
        if self.stop_at and self.why == "timeout" and re.search(self.stop_at, text):
            self.deadline, self.why = time.monotonic() + self.stop_after, "stop_at"


def read_console(process, start, watch):
    """(lines with their seconds, why it was stopped) until QEMU ends or has to be stopped."""
    lines, rest = [], b""
    while (left := watch.deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([process.stdout], [], [], left)
        chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
        now = time.monotonic() - start
        if ready and not chunk:
            break
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            lines.append((now, line.decode(errors="replace").strip("\r")))
            watch.see(lines[-1][1])
    return lines + ([(now, rest.decode(errors="replace"))] if rest else []), \
        watch.why if left <= 0 else None


def run_qemu(options, watch, log):
    """Run QEMU with its serial port on a pipe; it dies with us, or as watch says."""
    command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults",
               "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"]
    command += map(str, options)
    with tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=errors)
        stopped = "error"
        try:
            lines, stopped = read_console(process, start, watch)
        finally:
            status = end_process(process, kill=stopped is not None)
        seconds = time.monotonic() - start
        errors.seek(0)
        said = errors.read()
    log.write_text("".join(f"{at:9.3f} {text}\n" for at, text in lines))
    return read_report(Result(lines, seconds, None if stopped else status, stopped, log, said))


def end_process(process, kill):
    """Exit status; QEMU closes its console a moment before it exits, so give it that moment."""
    try:
        if kill:
            process.kill()
        return process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        process.stdout.close()


def nic_options(nic, forward):
    """User networking that reaches nothing but forward: {"10.0.2.100:80": "127.0.0.1:8080"}."""
    models = (nic,) if isinstance(nic, str) else tuple(nic or ())
    options = []
    for number, model in enumerate(models):
        netdev = f"user,id=n{number},restrict=on"
        for inside, outside in (forward or {}).items() if number == 0 else ():
            host, port = outside.split(":")
            netdev += f",guestfwd=tcp:{inside}-cmd:busybox nc {host} {port}"
        options += ["-netdev", netdev, "-device", f"{model},netdev=n{number},romfile="]
    return options


def disk_options(disks, snapshot, writes):
    """Virtio disks, the first /dev/vda; a throwaway guest need not sync the host's."""
    options = []
    for number, disk in enumerate(disks):
        drive = f"file={disk},format=raw,if=virtio,cache=unsafe"
        if writes and number == 0:
            drive = f"if=virtio,cache=writeback,{powercut.logged_drive(disk, writes)}"
        options += ["-drive", drive + (",snapshot=on" if snapshot else "")]
    return options


def machine_options(accel, cpus, memory_mib, initrd, append):
    """Processors, memory and kernel."""
    model = "host" if accel == "kvm" else "max"
    return ["-accel", accel, "-cpu", model, "-smp", cpus, "-m", memory_mib,
            "-kernel", kernel_image(), "-initrd", initrd, "-append", f"{QUIET} {append}"]


def kvm_boots():
    """Whether a real kernel reaches its init under KVM: /dev/kvm may be there and hang."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        init = f"#!/bin/busybox sh\necho {KVM_MARKER}\nexec /bin/busybox poweroff -f\n"
        pieces.bare_root(root, init)
        initrd = pack_initrd(root, Path(folder) / "initrd")
        options = machine_options("kvm", 1, 256, initrd, "")
        return run_qemu(options, Watch(KVM_SECONDS), Path(folder) / "log").complete


@functools.cache
def accelerator():
    """kvm if it is proven to work, else emulation; asked once per boot of the host."""
    host = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with locked("accel"):
        answer = pieces.CACHE / f"accel-{host}"
        if not answer.exists():
            draft = pieces.CACHE / "accel-draft"
            draft.write_text("kvm" if kvm_boots() else "tcg,thread=multi")
            draft.rename(answer)
        return answer.read_text()


# The two guests


def run_guest(initrd, disks, nic, log, *, timeout, wait, cpus, memory_mib, forward=None,
              append="", snapshot=False, writes=None, extra=(), accel=None, **watch):
    """What boot() and boot_tiny() share; returns a Result.

    nic: QEMU's model name, several, or None.   forward: see nic_options().
    wait: seconds the guest waits for an address.   timeout, stop_at, stop_after, acts: see Watch.
    snapshot: leave the disks as they are.   append, extra: for the kernel, for QEMU.
    writes: a file that gets each write to the first disk, see powercut.py."""
    append = f"guest.wait={wait} {append}"
    options = machine_options(accel or accelerator(), cpus, memory_mib, initrd, append)
    options += disk_options(disks, snapshot, writes) + nic_options(nic, forward) + list(extra)
    return run_qemu(options, Watch(timeout, **watch), Path(log))


def boot(disk, nic="e1000e", *, disks=(), log=None, **options):
    """Boot a full guest from disk until it powers off; more disks are /dev/vdb and on."""
    usual = {"timeout": 180, "wait": 20, "cpus": 2, "memory_mib": 1024}
    log = log or Path(disk).with_suffix(".console")
    return run_guest(make_initrd(), (disk, *disks), nic, log, **usual | options)


def boot_tiny(root, nic="e1000e", *, disks=(), log=None, **options):
    """Boot a folder made by make_tiny_root() from memory; disks are /dev/vda and on."""
    usual = {"timeout": 60, "wait": 10, "cpus": 1, "memory_mib": 512}
    beside = Path(root).parent / Path(root).name
    initrd = pack_initrd(root, f"{beside}.initrd")
    return run_guest(initrd, disks, nic, log or f"{beside}.console", **usual | options)
