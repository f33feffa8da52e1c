"""speed.py - how much slower a guest is than its host, by a program that is known to both.

An emulated guest is slower by a factor that says nothing of larder, and a busy host makes it worse. Both
take as long as dpkg --version, run some times, says: as the agent, it is started, looks at little, and ends."""

import resource
import subprocess

import guest

TIMES = 20
SCRIPT = f"i=0; while [ $i -lt {TIMES} ]; do dpkg --version >/dev/null; i=$((i + 1)); done; times"


def add_known(root):
    """Have the full guest run the known program before it powers off."""
    guest.add_report(root, "known", SCRIPT)


def guest_seconds(result):
    """User and system time of the known program, by sh's times."""
    words = result.text["known"].splitlines()[-1].split()
    return sum(float(word.split("m")[0]) * 60 + float(word.split("m")[1].rstrip("s")) for word in words)


def slowdown(root, result):
    """The guest's seconds for one of the host's; 1 at least."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["chroot", root, "sh", "-c", SCRIPT], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return max(1, guest_seconds(result) / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
