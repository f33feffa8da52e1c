"""bench.py [--write] [ROW...] - measure the rows beside the peers; one table. --write: docs/BENCHMARKS.md as well."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import rows
from kitchen import NotBuilt
from measure import PAIRS, TOP

PEERS = {"openssl": "openssl", "zstd": "zstd", "mksquashfs": "squashfs-tools", "borg": "borgbackup", "casync": "casync",
         "ostree": "ostree", "rauc": "rauc", "rpm": "rpm", "tar": "tar", "coreutils": "coreutils", "find": "findutils",
         "curl": "curl", "wget": "wget", "aria2": "aria2"}
HEAD = ("row", "work", "ours: wall, CPU, RSS", "peer", "peer: wall, CPU, RSS", "found", "goal", "")


def figures(sample):
    """Wall and CPU time, peak RSS, in units that fit."""
    if not sample:
        return ""
    def time(value):
        return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.{0 if value >= 0.1 else 1}f} ms"
    return f"{time(sample.wall)}, {time(sample.cpu)}, {sample.rss / 1e6:.1f} MB"


def cells(name, line):
    """A line of the table as texts."""
    verdict = {True: "met", False: "NOT MET", None: ""}[line.met]
    return (name, line.work, figures(line.ours), line.peer, figures(line.theirs), line.found, line.goal, verdict)


def measure(names):
    """Every line of these rows; what is not built says so."""
    table = []
    for name in names:
        what, function = rows.ROWS[name]
        print(f"bench: {name}: {what}", file=sys.stderr, flush=True)
        try:
            found = function()
        except NotBuilt as error:
            found = [rows.Line(what, "", found=f"not built: {error}")]
        table += [cells(name, line) for line in found]
    return table


def as_text(table):
    """Columns."""
    lines = [HEAD, *table]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def as_markdown(table):
    """The same for a page."""
    lines = [HEAD, ["---"] * len(HEAD), *table]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine():
    """What it ran on: the processor, and the versions of the peers."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.M)
    flags = re.search(r"^flags\s*: (.*)$", info, re.M)
    sha = "with" if flags and "sha_ni" in flags[1].split() else "without"
    versions = []
    for name, package in PEERS.items():
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
        if done.returncode == 0:
            versions.append(f"{name} {done.stdout}")
    system = re.search(r'^PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(), re.M)
    return (f"{model[1] if model else platform.machine()}, {rows.CORES} cores, {sha} SHA-NI; "
            f"{system[1] if system else platform.system()}; {', '.join(versions)}")


PAGE = """# How fast, beside whom

Made by `make bench`: ours and the peer run in turn, {pairs} pairs or more (where a peer has no goal of ours, one pair may do), warm
caches, and what counts is the median of the pairs' ratios. Absolute figures are one machine's and drift with it. CPU is user and system time of all processes; RSS
is the peak of the largest. The files are Debian packages that `tests/bench/corpus.py` fetches: a driver bundle of 97 packages, and the same unpacked.
F1 to F3 and F5 run on a tmpfs, so that no disk is measured; F4 on an ext4 made anew for each run, in a file.

{machine}

{table}
{left_out}"""


def main():
    """Measure, print, and write where that is asked for."""
    words = [word for word in sys.argv[1:] if word != "--write"]
    unknown = [word for word in words if word not in rows.ROWS]
    if unknown:
        sys.exit(f"bench: no row {' '.join(unknown)}; there are: {' '.join(rows.ROWS)}")
    table = measure(words or rows.ROWS)
    print(machine() + "\n")
    print(as_text(table))
    if "--write" in sys.argv:
        others = [name for name in rows.ROWS if words and name not in words]
        left_out = f"\nNot measured in this run: {', '.join(others)}.\n" if others else ""
        (TOP / "docs/BENCHMARKS.md").write_text(
            PAGE.format(pairs=PAIRS, machine=machine(), table=as_markdown(table), left_out=left_out))


if __name__ == "__main__":
    main()
