"""measure.py - what a command takes: wall time, CPU time, peak memory; two commands side by side."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
BUILD = TOP / os.environ.get("LARDER_BUILD", "build")
WORK = TOP / "build/bench"
PAIRS = 5


@dataclass
class Sample:
    """One run."""

    code: int
    wall: float  # seconds
    cpu: float  # seconds, user and system, children that were waited for included
    rss: int  # bytes, of the largest process
    written: int  # bytes that it made dirty on disks


@dataclass
class Command:
    """What is measured. before: run first, not measured. env: beside the environment."""

    name: str
    words: list
    before: object = None
    env: dict = None
    codes: tuple = (0,)


def compiled(name, *flags, to=None):
    """A C program of this folder, built (to another name) where its source is newer."""
    source, program = HERE / f"{name}.c", WORK / (to or name)
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-o", program, source, *flags], check=True,
                       stderr=subprocess.DEVNULL)  # the linker warns of hosts that a static libcrypto may look up
    return program


def run(command):
    """One measured run; what fails is no measurement."""
    if command.before:
        command.before()
    launcher = compiled("measured", "-static")
    # what it says goes to memory: a file on a disk would count as written
    with tempfile.TemporaryDirectory() as folder, os.fdopen(os.memfd_create("said"), "w+", errors="replace") as said:
        report = Path(folder) / "report"
        subprocess.run([launcher, report, *map(str, command.words)], stdin=subprocess.DEVNULL, check=True,
                       stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, **(command.env or {})})
        code, wall, user, system, rss, blocks = map(int, report.read_text().split())
        said.seek(0)
        if code not in command.codes:
            raise RuntimeError(f"{command.name}: exit {code}: {said.read()[-2000:]}")
    return Sample(code, wall / 1e9, (user + system) / 1e6, rss * 1024, blocks * 512)


@dataclass
class Compared:
    """Two commands, run in turn."""

    ours: list  # of Sample
    peer: list

    def ratio(self, what):
        """The median of the ratios of the pairs: a drift of the machine touches both of a pair."""
        return median(getattr(a, what) / max(getattr(b, what), 1e-9) for a, b in zip(self.ours, self.peer))

    def difference(self, what):
        """The median of the differences of the pairs."""
        return median(getattr(a, what) - getattr(b, what) for a, b in zip(self.ours, self.peer))


def middle(samples):
    """One sample that stands for all: the median of each figure, the highest peak."""
    return Sample(samples[0].code, median(s.wall for s in samples), median(s.cpu for s in samples),
                  max(s.rss for s in samples), max(s.written for s in samples))


def compare(ours, peer, pairs=PAIRS, warm=True):
    """Interleaved pairs, turn and turn about which is first; one run of each before warms the caches."""
    found = Compared([], [])
    if warm:
        run(ours), run(peer)
    for i in range(pairs):
        order = [(ours, found.ours), (peer, found.peer)]
        for command, samples in order if i % 2 == 0 else reversed(order):
            samples.append(run(command))
    return found
