"""The worst boots: what is wrong with the machine is said by its reason, with a remedy, and costs nothing else."""

import shutil

import pytest

import guest
import qmp
import story
from story import TELL, bundle_cache, module_bundle, tiny_root

NIC = "pci:v00008086d000010D3sv*sd*bc02sc*i*"
MODULES = f"/lib/modules/{guest.kernel_release()}"
EFI = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
INDEX = f"sort {MODULES}/modules.dep | md5sum"


def judged(result, moment="main"):
    """label -> what a run said of its moment: (state, reason, code, text, remedy)."""
    return {label: tuple(document["moments"][moment][key] for key in ("state", "reason", "code", "text", "remedy"))
            for label, document in story.reports(result) if moment in document["moments"]}


def assert_failed(row, reason, *words):
    """A failure of this reason: exit code 14, a text that has the words, and a remedy."""
    state, found, code, text, remedy = row
    assert (state, found, code) == ("failed", reason, 14), row
    assert all(word in text for word in words), row
    assert remedy, row


def assert_done(row):
    assert row[:3] == ("done", "done", 0), row


DISKS = TELL + f"""
busybox dd if=/dev/zero of=/filler bs=1M 2>/dev/null
busybox dd if=/dev/zero of=/filler2 bs=1k 2>/dev/null
echo "before $({INDEX})"
tell full
echo "full $({INDEX}) $(find /lib/modules -name e1000e.ko)"
rm /filler /filler2
mount -o remount,ro /
tell root
mount -o remount,rw /
mount --bind /usr /usr && mount -o remount,ro,bind /usr
tell usr
echo "usr $({INDEX})"
umount /usr
echo "year $(date +%Y)"
mount --bind /var /var && mount -o remount,noexec,bind /var
tell noexec
echo "after $({INDEX}) $(find /lib/modules/ -name e1000e.ko)"
"""


def test_disks_and_the_clock(made, tmp_path):
    """Full, read-only, noexec, and a clock at 1970: one disk, one boot; once it can be, it is installed."""
    _, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust, DISKS)
    guest.run("cp", "-a", root / "lib", root / "usr")
    guest.run("rm", "-r", root / "lib")
    guest.link(root / "lib", "usr/lib")
    disk = guest.make_tiny_disk(root, tmp_path / "disk.raw")
    result = guest.boot(disk, cpus=1, extra=("-rtc", "base=1970-01-01"))
    assert result.complete, result.console
    rows = judged(result)
    assert_failed(rows["full"], "no_space")
    assert_failed(rows["root"], "read_only", "var/lib")
    assert_failed(rows["usr"], "read_only", "/lib/modules")
    assert_done(rows["noexec"])
    lines = dict(line.split(" ", 1) for line in result.text["test"].splitlines() if " " in line)
    assert lines["full"].strip() == lines["usr"].strip() == lines["before"].strip()
    assert lines["year"] == "1970" and lines["after"].endswith("/updates/larder/e1000e.ko")
    assert result.drivers == {"eth0": "e1000e"} and result.pinged
    assert guest.check_disk(disk)[0] == 0


# Held as dpkg and apt hold it: by a program that has the fcntl lock, and does not end by itself.
HOLD = """use Fcntl;
open(my $file, ">>", "/var/lib/dpkg/$ARGV[0]") or die;
my $lock = pack("s!s!x4qqix4", F_WRLCK, 0, 0, 0, 0);
fcntl($file, F_SETLK, $lock) or die;
open(my $ready, ">", "/run/$ARGV[0]") or die;
sleep 3600;
"""
PACKAGES = TELL + """. /usr/lib/guest/report-lib.sh
installed() { dpkg-query -W -f '${Status}' rdma-core 2>/dev/null; echo; }
mount --bind /var /var && mount -o remount,noexec,bind /var
tell noexec
echo "noexec $(installed)"
umount /var
perl /hold.pl lock-frontend & holder=$!
wait_for 30 test -e /run/lock-frontend
tell locked
echo "locked $(installed)"
kill $holder; wait $holder
tell free
echo "free $(installed)"
"""


def debian_root(tmp_path, cache, trust, script):
    """A Debian root where a script is the whole boot, as in the tiny guest: there is dpkg, but no systemd runs."""
    root = story.full_root(tmp_path, cache, trust)
    for name in ("tiny-init.sh", "tiny-report.sh", "udhcpc.sh"):
        guest.write(root, f"usr/lib/guest/{name}", (guest.GUEST_FILES / name).read_text(), 0o755)
    shutil.copy(shutil.which("busybox"), root / "usr/bin/busybox")
    guest.link(root / "sbin/init", "/usr/lib/guest/tiny-init.sh")
    guest.write(root, "test.sh", script)
    return root


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_packages_where_dpkg_cannot_work(made, tmp_path):
    """A noexec /var, where dpkg's scripts lie; a lock that is held for good; and then it works."""
    _, _, key, trust = made
    root = debian_root(tmp_path, bundle_cache(tmp_path, key, story.rdma_core_manifest(tmp_path)), trust, PACKAGES)
    guest.write(root, "hold.pl", HOLD)
    disk = guest.make_disk(root, tmp_path / "disk.raw")
    result = guest.boot(disk, nic="virtio-net-pci", timeout=800, wait=1)
    assert result.complete, result.console
    rows = judged(result)
    assert_failed(rows["noexec"], "step_failed", "noexec")
    assert_failed(rows["locked"], "locked")
    assert_done(rows["free"])
    lines = dict(line.split(" ", 1) for line in result.text["test"].splitlines() if " " in line)
    assert not lines["noexec"].strip() and not lines["locked"].strip()
    assert lines["free"] == "install ok installed"
    assert guest.check_disk(disk)[0] == 0


# The machine's firmware is of the test: a variable as the kernel shows it, 4 bytes of attributes and the value.
SECURE = TELL + f"""
mount -t tmpfs firmware /sys/firmware
mkdir -p {EFI.rsplit("/", 1)[0]}
printf '\\6\\0\\0\\0\\1' >{EFI}
tell on
printf '\\6\\0\\0\\0\\0' >{EFI}
tell off
"""


@pytest.fixture
def bare(made, tmp_path):
    """A cache with the NIC's module, unsigned: (cache, trust)."""
    _, _, key, trust = made
    module = tmp_path / "e1000e.ko"
    module.write_bytes(story.without_signature(guest.module_file("e1000e").read_bytes()))
    return bundle_cache(tmp_path, key, module_bundle(tmp_path, module, NIC)), trust


def test_secure_boot_and_an_unsigned_module(bare, tmp_path):
    """Refused before anything is installed; the same bytes serve once Secure Boot is off."""
    result = guest.boot_tiny(tiny_root(tmp_path, *bare, SECURE), wait=1)
    rows = judged(result)
    assert_failed(rows["on"], "secure_boot", "e1000e.ko")
    assert_done(rows["off"])
    assert "e1000e" in result.drivers.values()


def test_a_kernel_that_wants_signatures(bare, tmp_path):
    """A real one: module.sig_enforce."""
    script = TELL + "tell enforced\n"
    result = guest.boot_tiny(tiny_root(tmp_path, *bare, script), wait=1, append="module.sig_enforce=1")
    assert_failed(judged(result)["enforced"], "module_unsigned", "e1000e.ko")
    assert result.report["updates"] == [] and "e1000e" not in result.drivers.values()


def test_a_module_that_fails_its_probe(made, tmp_path):
    """8139too loads, and leaves QEMU's 8139C+ to another driver: installed is not proven."""
    _, _, key, trust = made
    manifest = module_bundle(tmp_path, guest.module_file("8139too"), "pci:v000010ECd00008139sv*sd*bc02sc*i*")
    root = tiny_root(tmp_path, bundle_cache(tmp_path, key, manifest), trust, TELL + "tell first\ntell second\n")
    guest.remove_modules(root, "8139*.ko")
    result = guest.boot_tiny(root, nic="rtl8139", wait=1)
    for label in ("first", "second"):
        assert_failed(judged(result)[label], "proof_failed", "0000:00:02.0")
    assert result.drivers == {} and result.complete


LATE = TELL + """
tell before
sleep 10
echo plug a NIC in >/dev/console
wait_for 30 test -e /sys/bus/pci/devices/0000:00:03.0
tell late --early
tell again --early
"""


def test_a_nic_that_comes_late(made, tmp_path):
    """Ten seconds into the boot: no_device before, and the next run sees that the devices are others."""
    _, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust, ". /usr/lib/guest/report-lib.sh\n" + LATE)
    with qmp.socket_folder() as socket:
        result = guest.boot_tiny(root, nic=None, extra=qmp.options(socket),
                                 acts={"plug a NIC in": lambda: qmp.add_nic(socket, "e1000e", addr="3")})
    before, rows = judged(result)["before"], judged(result, "early")
    assert before[1:3] == ("no_device", 11) and before[4], before
    assert_done(rows["late"])
    assert rows["again"][0] == "idle"
    assert "e1000e" in result.drivers.values() and result.pinged


AGAIN = TELL + """
tell first
tell idle
""" + f"{story.AGENT} reset" + """
tell reset
tell idle2
echo 99998888777766665555444433332222 >/etc/machine-id
tell machine
tell idle3
echo plug a NIC in >/dev/console
wait_for 30 test -e /sys/bus/pci/devices/0000:00:05.0
wait_for 30 test -e /sys/class/net/eth1
tell devices
tell idle4
"""


def test_runs_again_when_it_is_another_machine(made, tmp_path):
    """Idle as long as nothing changes; not after reset, with another machine id, or with another NIC."""
    _, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust, ". /usr/lib/guest/report-lib.sh\n" + AGAIN)
    with qmp.socket_folder() as socket:
        result = guest.boot_tiny(root, extra=qmp.options(socket),
                                 acts={"plug a NIC in": lambda: qmp.add_nic(socket, "e1000e", addr="5")})
    rows = judged(result)
    for label in ("first", "reset", "machine", "devices"):
        assert_done(rows[label])
    for label in ("idle", "idle2", "idle3", "idle4"):
        assert rows[label][0] == "idle", (label, rows[label])
    assert sorted(result.drivers.values()) == ["e1000e", "e1000e"]
