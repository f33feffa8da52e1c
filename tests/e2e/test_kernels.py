"""Kernels that do not run: are they ready, what their packages' hooks stage, and what is collected when they go."""

import json
import os
import shutil
import subprocess
import time

import pytest

from larder import BUILD, DEVICE, KERNEL, Workshop, good, run
from made_ko import build_note, made_ko, symvers
from test_firstboot import ADDRESS, device, firstboot, make_root
from test_loadable import NEEDS, put

NEXT = "6.1.0-2-test"
OURS = "updates/larder/nic.ko"


def two_kernels(document):
    """A module for the kernel that runs, and for the next."""
    document["template"] |= {"kernels": [KERNEL, NEXT], "early": False}
    document["bundles"][0]["install"] = [{"do": "modules", "files": ["nic/*.ko"]}]


def install_kernel(root, release, symbols=None):
    """What a kernel's package and its headers bring, as far as it matters here."""
    put(root, {f"lib/modules/{release}/modules.order": "", f"lib/modules/{release}/modules.builtin": "",
               f"lib/modules/{release}/kernel/other.ko": made_ko(release, {}, name="other"),
               f"usr/src/linux-headers-{release}/Module.symvers": symvers(symbols or NEEDS)})


@pytest.fixture
def shop(tmp_path):
    made = Workshop(tmp_path / "shop", {"vendor/nic.ko": made_ko(KERNEL, NEEDS), "vendor/nic.conf": b"x"})
    made.write_manifest(two_kernels)
    made.bake()
    return made


@pytest.fixture
def root(shop, tmp_path):
    made = make_root(tmp_path / "root")
    shop.embed(made)
    return made


def ask(root, verb="ready", kernel=NEXT):
    """(exit code, what it says as JSON, standard error)."""
    done = run("larder-firstboot", verb, "--kernel", kernel, "--sysroot", root, "--json")
    return done.returncode, json.loads(done.stdout), done.stderr


def state_of(root):
    """Everything but the log and the lock, so that a look can be told from a change."""
    return {str(path): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and path.name not in ("larder.log", "lock")}


def test_ready_before_the_kernel_is_there(root):
    before = state_of(root)
    code, said, _ = ask(root)
    assert (code, said["ready"], said["installed"]) == (0, True, False)
    assert [(row["address"], row["bundle"], row["in_place"]) for row in said["devices"]] == [
        (ADDRESS, "nic 1.0 nic", False)]
    text = good("larder-firstboot", "ready", "--kernel", NEXT, "--sysroot", root)
    assert f"kernel {NEXT} is not installed here" in text and text.endswith(f"kernel {NEXT}: ready\n")
    assert state_of(root) == before


def test_a_kernel_that_no_bundle_is_for(root):
    code, said, _ = ask(root, kernel="6.9.9")
    assert (code, said["ready"], said["reason"]) == (3, False, "kernel")
    assert "nic 1.0 nic is not for kernel 6.9.9" in said["devices"][0]["text"] and said["devices"][0]["remedy"]


def test_a_kernel_whose_symbols_differ(root):
    install_kernel(root, NEXT, NEEDS | {"register_netdev": 0xb})
    code, said, _ = ask(root)
    assert (code, said["reason"]) == (3, "kernel") and "register_netdev" in said["devices"][0]["text"]
    code, _, _ = ask(root, "stage")
    assert code == 3 and not (root / f"lib/modules/{NEXT}/updates").exists()


@pytest.mark.parametrize("how, reason", [("blob gone", "not_carried"), ("trust gone", "untrusted"),
                                         ("steps", "step_failed")])
def test_not_ready_and_why(shop, root, how, reason):
    if how == "blob gone":
        name = shop.record()["files"][0]["blob"]["digest"].split(":")[1]
        (root / "usr/lib/larder/cache/blobs/sha256" / name).unlink()
    elif how == "trust gone":
        (root / "etc/larder/trust.json").unlink()
    else:
        (root / "etc/larder/firstboot.conf").write_text("steps=files\n")
    install_kernel(root, NEXT)
    for verb in ("ready", "stage"):
        code, said, _ = ask(root, verb)
        assert (code, said["reason"]) == (3, reason), said
    assert not (root / f"lib/modules/{NEXT}/updates").exists()


def test_no_kernel_or_no_release(root):
    for words in ([], ["--kernel", "../x"], ["--kernel", ""]):
        assert run("larder-firstboot", "ready", "--sysroot", root, *words).returncode == 1


def test_staged_in_place_and_collected(root):
    install_kernel(root, NEXT)
    firstboot(root)
    code, said, _ = ask(root, "stage")
    assert (code, said["devices"][0]["in_place"]) == (0, True)
    modules = root / "lib/modules"
    assert (modules / NEXT / OURS).exists()
    assert f"{OURS}:" in (modules / NEXT / "modules.dep").read_text()
    assert ask(root)[1]["devices"][0]["in_place"]
    assert not (root / "var/lib/larder/staging").exists()
    good("larder-firstboot", "unstage", "--kernel", NEXT, "--sysroot", root)
    assert not (modules / NEXT / "updates").exists() and (modules / NEXT / "kernel/other.ko").exists()
    assert (modules / KERNEL / OURS).exists()
    assert firstboot(root)[1]["state"] == "idle"


def test_in_place_for_a_kernel_that_was_built_anew(root):
    """The same release with other symbols: what stands there would not load any more."""
    install_kernel(root, NEXT)
    assert ask(root, "stage")[0] == 0
    install_kernel(root, NEXT, NEEDS | {"register_netdev": 0xb})
    assert ask(root)[0] == 3


def test_kernels_that_went_without_a_word(root):
    install_kernel(root, NEXT)
    firstboot(root)
    ask(root, "stage")
    for name in ("modules.order", "modules.builtin"):
        (root / f"lib/modules/{NEXT}/{name}").unlink()
        good("larder-firstboot", "unstage", "--sysroot", root)
        assert (root / f"lib/modules/{NEXT}" / OURS).exists()
    shutil.rmtree(root / f"lib/modules/{NEXT}/kernel")
    good("larder-firstboot", "unstage", "--sysroot", root)
    assert not (root / f"lib/modules/{NEXT}/updates").exists()
    assert (root / f"lib/modules/{KERNEL}" / OURS).exists()


def test_the_kernel_that_runs_keeps_its_modules(root):
    firstboot(root)
    good("larder-firstboot", "unstage", "--kernel", KERNEL, "--sysroot", root)
    assert (root / f"lib/modules/{KERNEL}" / OURS).exists()


def test_dkms_without_headers_is_told(root):
    install_kernel(root, NEXT)
    put(root, {"var/lib/dkms/nvidia/525/dkms.conf": ""})
    assert "its headers are not here" in ask(root)[1]["dkms"]
    (root / f"lib/modules/{NEXT}/build").symlink_to(f"/usr/src/linux-headers-{NEXT}")
    assert "no compiler" in ask(root)[1]["dkms"]
    put(root, {"usr/bin/gcc": ""})
    assert ask(root)[1]["dkms"] == ""


def test_hooks_are_run_between_dkms_and_the_initramfs(root):
    """By run-parts' own order: a driver that depmod does not know yet would not be packed."""
    hooks = root / "etc/kernel/postinst.d"
    for name in ("dkms", "dracut", "initramfs-tools", "zz-update-grub", "apt-auto-removal"):
        (hooks / name).write_text("#!/bin/sh\n")
        (hooks / name).chmod(0o755)
    said = subprocess.run(["run-parts", "--test", hooks], capture_output=True, text=True, check=True).stdout
    order = [os.path.basename(line) for line in said.split()]
    assert order.index("dkms") < order.index("dkms-larder") < order.index("dracut") < order.index("initramfs-tools")
    removal = subprocess.run(["run-parts", "--test", root / "etc/kernel/postrm.d"], capture_output=True, text=True,
                             check=True).stdout
    assert removal.endswith("/larder-unstage\n")
    assert os.access(root / "usr/lib/kernel/install.d/45-larder.install", os.X_OK)


# --- modules of others ---------------------------------------------------------------------------------


def with_peer(root):
    """A module of another package that builds on the one to be replaced."""
    put(root, {f"lib/modules/{KERNEL}/modules.dep": "kernel/nic.ko:\nupdates/dkms/peer-mem.ko: kernel/nic.ko\n"})


def events(status, name):
    return [row["detail"] for row in status["timeline"] if row["event"] == name]


def test_dependents_are_told(root):
    with_peer(root)
    code, status = firstboot(root)
    assert code == 0 and "peer_mem" in events(status, "dependents")[0], status
    assert (root / f"lib/modules/{KERNEL}" / OURS).exists()


def test_dependents_may_refuse_the_bundle(root):
    with_peer(root)
    (root / "etc/larder/conf.d/x.conf").write_text("dependents=refuse\n")
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "dependents") and "peer_mem" in status["text"], status
    assert not (root / f"lib/modules/{KERNEL}/updates").exists()


def add_shell(root, programs):
    """A root in which sh runs, and these scripts."""
    (root / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(shutil.which("busybox"), root / "bin/busybox")
    for applet in ("sh", "mkdir", "rm", "cat", "ln", "cp", "basename", "readlink", "sleep"):
        (root / "bin" / applet).symlink_to("busybox")
    (root / "usr/sbin").mkdir(parents=True, exist_ok=True)
    for name, text in programs.items():
        (root / "usr/sbin" / name).unlink(missing_ok=True)
        (root / "usr/sbin" / name).write_text("#!/bin/sh\necho ${0##*/} $* >>/tmp/calls\n" + text)
        (root / "usr/sbin" / name).chmod(0o755)


def calls(root):
    path = root / "tmp/calls"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("fails, event", [(False, "dependent rebuilt"), (True, "dependent not rebuilt")])
def test_dependents_are_rebuilt_by_dkms(root, fails, event):
    with_peer(root)
    add_shell(root, {"dkms": "exit 5\n" if fails else ""})
    put(root, {"proc/sys/kernel/arch": "x86_64\n",
               f"var/lib/dkms/peer/2.1/{KERNEL}/x86_64/module/peer-mem.ko.zst": ""})
    (root / "etc/larder/conf.d/x.conf").write_text("dependents=rebuild\n")
    code, status = firstboot(root)
    assert code == 0 and "peer_mem" in events(status, event)[0], status
    words = f"--force -m peer -v 2.1 -k {KERNEL}"
    assert calls(root) == [f"dkms build {words}", f"dkms install {words}"][:1 if fails else 2]


# --- the driver in use ---------------------------------------------------------------------------------


def test_a_device_that_works_by_another_driver(shop, tmp_path):
    """The bundle could not be installed; the driver that the system has itself goes on."""
    root = make_root(tmp_path / "root", driver="old")
    shop.embed(root)
    (root / "etc/larder/firstboot.conf").write_text("steps=files\n")
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed")
    device = status["devices"][0]
    assert (device["outcome"], device["reason"], device["driver"]) == ("fallback", "step_failed", "old")
    assert f"{ADDRESS} works by old" in events(status, "on a fallback path")[0]
    shown = good("larder-firstboot", "status", "--sysroot", root)
    assert "old : fallback" in shown


def test_a_device_that_does_not_work_is_on_no_path(shop, tmp_path):
    root = make_root(tmp_path / "root", driver=None)
    shop.embed(root)
    (root / "etc/larder/firstboot.conf").write_text("steps=files\n")
    assert firstboot(root)[1]["devices"][0]["outcome"] == "step_failed"


# What the kernel would do, where no kernel can be had: /sys follows what is loaded, and files in /tmp say what fails.
KERNEL_SCRIPTS = {
    "rmmod": """
[ ! -e /tmp/rmmod-fails ] || { echo "rmmod: ERROR: Module $1 is in use"; exit 1; }
[ ! -e /tmp/rmmod-hangs ] || sleep 60
rm -r /sys/module/$1 /sys/bus/pci/drivers/$1
rm -f /sys/devices/pci/ADDRESS/driver
""",
    "load": """
mkdir -p /sys/module/$1/notes /sys/module/$1/holders /sys/module/$1/drivers /sys/bus/pci/drivers/$1
echo 0 >/sys/module/$1/refcnt
cp /tmp/$2 /sys/module/$1/notes/.note.gnu.build-id
ln -s ../../../bus/pci/drivers/$1 /sys/module/$1/drivers/pci:$1
ln -s ../../../../module/$1 /sys/bus/pci/drivers/$1/module
[ -e /tmp/binds-nothing ] && [ $2 = new ] && exit 0
ln -s ../../../../devices/pci/ADDRESS /sys/bus/pci/drivers/$1/ADDRESS
ln -s ../../../bus/pci/drivers/$1 /sys/devices/pci/ADDRESS/driver
""",
    "modprobe": """
[ "$1" != -- ] || shift
[ ! -e /tmp/modprobe-hangs ] || exec sleep 60
[ ! -e /tmp/modprobe-fails ] || { echo "modprobe: ERROR: could not insert '$1': Exec format error"; exit 1; }
exec /usr/sbin/load $1 new
""",
    "insmod": "exec /usr/sbin/load $(basename $1 .ko) old\n",
}


def make_in_use(tmp_path, early=False):
    """A machine whose own build of the driver has the device, and a cache with another build."""
    shop = Workshop(tmp_path / "shop", {"vendor/nic.ko": made_ko(KERNEL, NEEDS, build=b"new"), "vendor/nic.conf": b"x"})

    def with_load(document):
        two_kernels(document)
        document["bundles"][0]["install"].append({"do": "load", "modules": ["nic"]})
        document["template"]["early"] = early

    shop.write_manifest(with_load)
    shop.bake()
    root = make_root(tmp_path / "root", driver=None)
    shop.embed(root)
    put(root, {"tmp/new": build_note(b"new"), "tmp/old": build_note(b"old"), "proc/net/route": "",
               "proc/net/fib_trie": "", "proc/self/mountinfo": "",
               f"lib/modules/{KERNEL}/kernel/nic.ko": made_ko(KERNEL, NEEDS, build=b"old")})
    subprocess.run(["depmod", "-b", root, KERNEL], check=True, capture_output=True)
    add_shell(root, {name: text.replace("ADDRESS", ADDRESS) for name, text in KERNEL_SCRIPTS.items()})
    subprocess.run(["chroot", root, "/usr/sbin/load", "nic", "old"], check=True)
    (root / "tmp/calls").unlink()
    return root


@pytest.fixture
def in_use(tmp_path):
    return make_in_use(tmp_path)


def wait_for_call(root, name):
    """Until this program was started."""
    deadline = time.time() + 20
    while not any(line.startswith(name) for line in calls(root)) and time.time() < deadline:
        time.sleep(0.02)


def loaded(root):
    return (root / "sys/module/nic/notes/.note.gnu.build-id").read_bytes()[16:19]


def bound(root):
    return (root / "sys/devices/pci" / ADDRESS / "driver").exists()


def test_a_device_that_udev_serves_meanwhile_is_no_failure(tmp_path):
    """The early moment saw two devices without a driver: the one gets its bundle's, the other what the system has."""
    root, other = make_in_use(tmp_path, early=True), "a1b2:00:04.0"
    subprocess.run(["chroot", root, "/usr/sbin/rmmod", "nic"], check=True)
    device(root, other, DEVICE.replace("d000010D3", "d000010D4"))
    with open(root / "usr/sbin/load", "a") as script:
        script.write(f"ln -s ../../../bus/pci/drivers/usual /sys/devices/pci/{other}/driver\n")
    code, early = firstboot(root, "--early")
    assert (code, early["reason"]) == (0, "done"), early
    assert [row["driver"] for row in early["devices"]] == ["nic", "usual"] and "usual by now" in early["text"], early


def test_a_build_in_use_is_replaced_where_nothing_needs_it(in_use):
    code, status = firstboot(in_use)
    assert (code, status["reason"]) == (0, "done"), status
    assert loaded(in_use) == b"new" and bound(in_use) and events(status, "driver replaced")
    assert calls(in_use) == ["rmmod nic", "modprobe nic", "load nic new"]
    assert firstboot(in_use)[1]["state"] == "idle"


@pytest.mark.parametrize("how, text", [
    ("reload=never", "reload=never"), ("route", "is needed: eth0 is up and has a route"), ("use", "in use (1)"),
])
def test_a_build_in_use_stays_where_it_is_needed(in_use, how, text):
    if how == "route":
        put(in_use, {f"sys/devices/pci/{ADDRESS}/net/eth0/flags": "0x1003\n",
                     "proc/net/route": "Iface\neth0\t00000000\t0202000A\n"})
        (in_use / "sys/class/net").mkdir(parents=True)
        (in_use / "sys/class/net/eth0").symlink_to(f"../../devices/pci/{ADDRESS}/net/eth0")
    elif how == "use":
        put(in_use, {"sys/module/nic/refcnt": "1\n"})
    else:
        (in_use / "etc/larder/conf.d/x.conf").write_text(how + "\n")
    code, status = firstboot(in_use)
    assert (code, status["reason"]) == (0, "reboot_needed") and text in status["text"], status
    assert loaded(in_use) == b"old" and bound(in_use) and not calls(in_use)


@pytest.mark.parametrize("fault, code, reason, text", [
    ("modprobe-fails", 14, "proof_failed", "Exec format error; the old one is loaded again"),
    ("binds-nothing", 14, "proof_failed", "has no driver any more; the old one is loaded again"),
    ("rmmod-fails", 0, "reboot_needed", "Module nic is in use; the old one stays"),
])
def test_what_goes_wrong_leaves_the_old_one_loaded(in_use, fault, code, reason, text):
    put(in_use, {f"tmp/{fault}": ""})
    found, status = firstboot(in_use)
    assert (found, status["reason"]) == (code, reason) and text in status["text"], status
    assert loaded(in_use) == b"old" and bound(in_use)
    if code:
        assert status["devices"][0]["outcome"] == "fallback"


def test_a_module_that_hangs_while_it_goes_holds_nobody_up(in_use):
    put(in_use, {"tmp/rmmod-hangs": "", "etc/larder/conf.d/x.conf": "step_timeout_s=1\n"})
    code, status = firstboot(in_use, prefix=("timeout", "-s", "KILL", "30"))
    assert (code, status["reason"]) == (14, "timeout") and "rmmod nic" in status["text"], status


def test_the_budget_of_a_moment_ends_the_run(in_use):
    """A step may take longer than all of the moment: the budget counts."""
    shutil.rmtree(in_use / "sys/module/nic")
    put(in_use, {"tmp/modprobe-hangs": "", "etc/larder/conf.d/x.conf": "step_timeout_s=60\nbudget_s=5\n"})
    code, status = firstboot(in_use, prefix=("timeout", "-s", "KILL", "30"))
    assert (code, status["reason"]) == (14, "timeout") and "modprobe" in status["text"], status


def test_told_to_end_in_the_middle_the_old_one_comes_back(in_use):
    put(in_use, {"tmp/modprobe-hangs": ""})
    agent = subprocess.Popen([BUILD / "larder-firstboot", "run", "--sysroot", in_use], stderr=subprocess.DEVNULL)
    wait_for_call(in_use, "modprobe")
    agent.terminate()
    assert agent.wait(30) == 14
    status = json.loads((in_use / "run/larder/status.json").read_text())["moments"]["main"]
    assert status["reason"] == "timeout" and "the old one is loaded again" in status["text"], status
    assert loaded(in_use) == b"old" and bound(in_use)
