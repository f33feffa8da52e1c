"""Power cuts: whatever a disk lost of the first boot, the next one ends with a driver, and nothing is half. And panics, which
come again at each boot, until the agent gives up."""

import hashlib
import random

import pytest

import guest
import powercut
import story

SEED, CUTS = 5, 30
UPDATES = f"/lib/modules/{guest.kernel_release()}/updates/larder"
MODULES_DEP = f"/lib/modules/{guest.kernel_release()}/modules.dep"
BEGIN, END = "larder-begins", "larder-ended"
SCRIPT = f"""sync
echo {BEGIN} >/dev/console
{story.RUN_EARLY}code=$?
echo {END} >/dev/console
exit $code
"""


def digest_of(data):
    """Short enough to read in a failure."""
    return hashlib.sha256(data).hexdigest()[:16]


def paths_of(modules_dep):
    """The modules that an index names."""
    return {line.split(":")[0] for line in modules_dep.decode().splitlines()}


class Disk:
    """What may be on the disk of a machine, before the agent and after it."""

    def __init__(self, base):
        self.index = paths_of(guest.read_file(base, MODULES_DEP))
        self.module = digest_of(guest.module_file("e1000e").read_bytes())

    def check(self, disk):
        """Whole, whatever the agent was at: gives whether the module is installed."""
        with guest.recovered(disk) as part:
            assert guest.check_part(part)[0] == 0, guest.check_part(part)
            module = guest.read_file(part, f"{UPDATES}/e1000e.ko", 0)
            index = paths_of(guest.read_file(part, MODULES_DEP, 0))
        assert module is None or digest_of(module) == self.module
        assert self.index <= index <= self.index | {"updates/larder/e1000e.ko"}
        return module is not None and index > self.index

    def check_installed(self, disk):
        """The module, its index, and nothing that an interrupted run left."""
        assert self.check(disk)
        assert guest.list_folder(disk, UPDATES) == ["e1000e.ko"]
        assert guest.list_folder(disk, "/var/lib/larder/staging") == []


def seconds_of(result, word):
    """When a line was said."""
    return next(at for at, text in result.lines if text.endswith(word))


@pytest.fixture(scope="module")
def tiny(made, tmp_path_factory):
    """A tiny guest's disk, what may be on it, all writes of a first boot, the agent's seconds in it."""
    _, cache, _, trust = made
    folder = tmp_path_factory.mktemp("power")
    base = guest.make_tiny_disk(story.tiny_root(folder, cache, trust, SCRIPT), folder / "base.raw")
    disk, log, state = folder / "whole.raw", folder / "whole.writes", Disk(base)
    guest.run("cp", "--sparse=always", base, disk)
    whole = guest.boot(disk, cpus=1, writes=log)
    assert whole.code.get("test") == 0, whole.console
    state.check_installed(disk)
    return base, state, log, seconds_of(whole, END) - seconds_of(whole, BEGIN)


def go_on(state, disk):
    """The boot after a cut: installed, by the agent alone, and nothing left over."""
    after = guest.boot(disk, cpus=1)
    assert after.code.get("test") == 0, after.console
    assert "e1000e" in after.drivers.values() and after.pinged, after.console
    state.check_installed(disk)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thirty_power_cuts(tiny, tmp_path):
    """QEMU is killed at random moments of the agent's run; what was not flushed is lost."""
    base, state, log, window = tiny
    chance = random.Random(SEED)
    disk, writes = tmp_path / "disk.raw", tmp_path / "writes"
    inside, lost, done = 0, 0, 0
    for number in range(CUTS):
        guest.run("cp", "--sparse=always", base, disk)
        first = guest.boot(disk, cpus=1, writes=writes, stop_at=BEGIN,
                           stop_after=(number + chance.random()) / CUTS * window)
        inside += END not in first.console
        lost += powercut.cut(base, powercut.read_log(writes), disk, chance)
        done += state.check(disk)
        go_on(state, disk)
    print(f"{CUTS} cuts within {window:.2f} s: {inside} while the agent ran, {lost} writes lost, "
          f"{done} had the module already")
    assert inside >= CUTS / 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_power_cuts_between_writes(tiny, tmp_path):
    """Moments as they are rare in time: after any write of a whole first boot."""
    base, state, log, _ = tiny
    chance, disk = random.Random(SEED), tmp_path / "disk.raw"
    entries = powercut.read_log(log)
    lost, done = 0, 0
    for count in chance.sample(range(1, len(entries)), CUTS):
        lost += powercut.cut(base, entries[:count], disk, chance)
        done += state.check(disk)
        go_on(state, disk)
    print(f"{CUTS} cuts among {len(entries)} writes: {lost} writes lost, {done} had the module already")
    assert lost > 0 and 0 < done < CUTS


PANIC = ["/bin/sh", "-c", "echo c >/proc/sysrq-trigger"]
CONF, TRIES = "/etc/nic/nic.conf", 3
DEADLY = {
    "act": ({"argv": PANIC}, "what they changed was put back"),
    "undo": ({"argv": ["/bin/sh", "-c", "exit 1"], "undo": PANIC}, "step 3 of 3 (command) and what came before it may still be there")}


def deadly_disk(made, folder, command):
    """A machine whose bundle replaces a file, brings the NIC's module, and has a command that is deadly."""
    _, _, key, trust = made
    conf = folder / "nic.conf"
    conf.write_text("larder's")
    manifest = story.write_manifest(folder, "deadly", {
        "devices": ["pci:v00008086d000010D3sv*sd*bc02sc*i*"], "expect": {"driver": "e1000e"},
        "take": [{"file": "module", "into": "modules"}, {"file": "conf", "into": "conf"}],
        "install": [{"do": "files", "files": ["conf/*"], "into": CONF.rsplit("/", 1)[0]},
                    {"do": "modules", "files": ["modules/*.ko"]}, {"do": "command", **command}]},
        {"module": guest.module_file("e1000e"), "conf": conf})
    root = story.tiny_root(folder, story.bundle_cache(folder, key, manifest), trust, story.TELL + "tell came-up\n")
    guest.write(root, CONF, "the owner's")
    return guest.make_tiny_disk(root, folder / "disk.raw")


@pytest.mark.parametrize("where", ["act", pytest.param("undo", marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_a_step_that_panics_at_each_boot(made, tmp_path, where):
    """Three boots die of it. The fourth comes up: as it was, where it is the step; left and told, where it is the undo."""
    command, told = DEADLY[where]
    disk = deadly_disk(made, tmp_path, command)
    index = paths_of(guest.read_file(disk, MODULES_DEP))
    for _ in range(TRIES):
        dead = guest.boot(disk, cpus=1)
        assert "sysrq triggered crash" in dead.console and not dead.complete, dead.console
        with guest.recovered(disk) as part:
            assert guest.read_file(part, CONF, 0) == b"larder's"
            assert index <= paths_of(guest.read_file(part, MODULES_DEP, 0)) <= index | {"updates/larder/e1000e.ko"}
    result = guest.boot(disk, cpus=1)
    assert result.complete, result.console
    row = dict(story.reports(result))["came-up"]["moments"]["main"]
    assert (row["state"], row["reason"], row["code"]) == ("failed", "step_failed", 14) and row["remedy"], row
    assert all(words in row["text"] for words in (f"given up after {TRIES} tries", told, "run --again", "a new cache")), row
    back = where == "act"
    assert guest.read_file(disk, CONF) == (b"the owner's" if back else b"larder's")
    assert guest.list_folder(disk, UPDATES) == ([] if back else ["e1000e.ko"])
    assert paths_of(guest.read_file(disk, MODULES_DEP)) == index | (set() if back else {"updates/larder/e1000e.ko"})
    assert guest.check_disk(disk)[0] == 0


def check_packages(disk):
    """The file system is whole, and so is dpkg's status."""
    with guest.recovered(disk) as part:
        assert guest.check_part(part)[0] == 0, guest.check_part(part)
        status = guest.read_file(part, "/var/lib/dpkg/status", 0).decode()
    names = [line for line in status.splitlines() if line.startswith("Package: ")]
    assert len(names) == len(set(names)) > 50 and status.endswith("\n\n")


# Seconds after a line of the agent's: while it stages, while dpkg unpacks, while dpkg's scripts run.
MOMENTS = (("cache verified", 0.5), ("staged: debian-rdma", 1), ("staged: debian-rdma", 6))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_power_cuts_of_the_full_guest(made, tmp_path):
    """Early and while dpkg works: the next boot goes on, with nothing half configured."""
    _, _, key, trust = made
    manifests = story.bring_manifest(tmp_path), story.rdma_core_manifest(tmp_path)
    root = story.full_root(tmp_path, story.bundle_cache(tmp_path, key, *manifests), trust)
    guest.add_report(root, "audit", "dpkg --audit; dpkg-query -W -f '${Status}\\n' rdma-core")
    base = guest.make_disk(root, tmp_path / "base.raw")
    chance, disk, writes, nics = random.Random(SEED), tmp_path / "disk.raw", tmp_path / "writes", ("e1000e", "virtio-net-pci")
    lost = 0
    for pattern, most in MOMENTS:
        guest.run("cp", "--sparse=always", base, disk)
        first = guest.boot(disk, nic=nics, writes=writes, stop_at=pattern, stop_after=chance.uniform(0, most), timeout=400)
        assert first.stopped == "stop_at", first.console
        lost += powercut.cut(base, powercut.read_log(writes), disk, chance)
        check_packages(disk)
        after = guest.boot(disk, nic=nics, timeout=400)
        assert after.complete and after.pinged, after.console
        for name in ("early", "main"):
            assert story.moment(after, name)["reason"] == "done", story.moment(after, name)
        assert after.text["audit"].strip() == "install ok installed"
        assert "e1000e" in after.drivers.values() and after.report["state"] == "running", after.report["failed"]
        check_packages(disk)
    print(f"{len(MOMENTS)} cuts of the full guest: {lost} writes lost")
