"""Boot after boot: what an idle agent costs, and what a hit costs against a driver that was there already."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import guest
import speed
import story
from story import full_root, moment

IDLE_MS = 10  # on a machine as fast as the host
HIT_S, USUAL_S = 3, 10  # later at most, on a machine that boots in so long


def agent_ms(result):
    """The agent's CPU time in both moments, as systemd measured it."""
    return sum(int(result.unit(f"larder-{name}.service")["CPUUsageNSec"]) for name in ("early", "firstboot")) / 1e6


def finished(result):
    """Seconds from the kernel's start to the end of the boot."""
    return int(result.report["manager"]["FinishTimestampMonotonic"]) / 1e6


def rested_boots(disk, count):
    """Boots of a disk in which both moments were idle; a slow udev may cost some more."""
    found = []
    for _ in range(count + 2):
        result = guest.boot(disk)
        assert result.complete and result.pinged, result.console
        for name in ("early", "main"):
            story.assert_rested(moment(result, name))
        if moment(result, "early")["state"] == "idle":
            found.append(result)
        if len(found) == count:
            return found
    raise AssertionError("udev was too slow in too many boots")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_boots(made, tmp_path):
    """The first installs; the next two cost next to nothing."""
    _, cache, _, trust = made
    root = full_root(tmp_path, cache, trust)
    speed.add_known(root)
    disk = guest.make_disk(root, tmp_path / "disk.raw")
    first = guest.boot(disk)
    assert first.complete and first.pinged and moment(first, "early")["state"] == "done", first.console
    for result in rested_boots(disk, 2):
        slow = 1 if guest.accelerator() == "kvm" else speed.slowdown(root, result)
        print(f"idle: {agent_ms(result):.1f} ms of CPU in a guest {slow:.1f} times slower than its host")
        assert agent_ms(result) / slow < IDLE_MS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hit_is_hardly_later(made, tmp_path):
    """Two guests at the same time, so that a busy host slows both: one has its driver in the image."""
    _, cache, _, trust = made
    usual = guest.make_root(tmp_path / "usual")
    guest.add_module(usual, "e1000e", "kernel/drivers/net/ethernet/intel/e1000e")
    disks = [guest.make_disk(full_root(tmp_path, cache, trust), tmp_path / "disk.raw"),
             guest.make_disk(usual, tmp_path / "usual.raw")]
    with ThreadPoolExecutor() as pool:
        hit, built_in = pool.map(lambda disk: guest.boot(disk, cpus=1), disks)
    assert moment(hit, "early")["state"] == "done", hit.console
    assert hit.pinged and built_in.pinged and built_in.drivers == {"eth0": "e1000e"}
    print(f"boot finished after {finished(hit):.1f} s with the driver from the cache, "
          f"{finished(built_in):.1f} s with the driver in the image")
    assert finished(hit) - finished(built_in) < HIT_S * max(1, finished(built_in) / USUAL_S)
