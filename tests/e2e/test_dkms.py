"""The dkms step in a Debian root with the real dkms, its compiler and the headers of a kernel: a module of our own, there and back."""

import os
import stat
import subprocess

import pytest

from larder import good, own_mounts
from roots import unpack
from test_firstboot import firstboot, litter, make_root
from test_tree import entry, folder, make_shop, tree_take
from test_undo import journal

pytestmark = pytest.mark.slow  # a root with a compiler: minutes

RELEASE = "bookworm"
RECIPE = ("--include=dkms,linux-headers-amd64",)
NAME, VERSION = "larder-tiny", "1.0"
SOURCE = b"""#include <linux/module.h>
static int __init tiny_init(void) { pr_info("tiny\\n"); return 0; }
static void __exit tiny_exit(void) { }
module_init(tiny_init);
module_exit(tiny_exit);
MODULE_LICENSE("GPL");
"""
CONF = f"""PACKAGE_NAME="{NAME}"
PACKAGE_VERSION="{VERSION}"
BUILT_MODULE_NAME[0]="larder_tiny"
DEST_MODULE_LOCATION[0]="/updates"
AUTOINSTALL="yes"
""".encode()
FAILS = {"do": "load", "modules": ["larder_tiny"]}  # into a kernel that is not this one


@pytest.fixture(scope="module", name="base")
def base_fixture(tmp_path_factory):
    """The root, with /dev/null; and its kernel."""
    root = unpack(RELEASE, tmp_path_factory.mktemp("base") / "root", *RECIPE)
    (root / "dev").mkdir(exist_ok=True)
    os.mknod(root / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "dev/urandom", 0o666 | stat.S_IFCHR, os.makedev(1, 9))
    (root / "dev/fd").symlink_to("/proc/self/fd")
    kernel, = (path.name for path in (root / "lib/modules").iterdir())
    return root, kernel


def make(tmp_path, base, source, *steps):
    """A machine with the cache; the root is a fresh copy of the base."""
    root, kernel = base
    here = tmp_path / "root"
    subprocess.run(["cp", "-a", root, here], check=True)
    make_root(here)
    (here / "proc/sys/kernel/osrelease").write_text(kernel + "\n")
    for path in (here / "lib/modules").iterdir():
        if path.name != kernel:
            subprocess.run(["rm", "-r", path], check=True)

    def change(document):
        tree_take(document, into="src/tiny")
        document["template"]["kernels"] = [kernel]
        document["bundles"][0]["install"] = [
            {"do": "dkms", "module": NAME, "version": VERSION, "files": ["src/tiny"]}, *steps]

    shop = make_shop(tmp_path / "shop", [folder("d"), entry("dkms.conf", CONF), entry("Makefile", b"obj-m := larder_tiny.o\n"),
                                         entry("larder_tiny.c", source)], change)
    shop.bake()
    shop.embed(here)
    return here, kernel


def mounted(root):
    """Words that give the root the /proc that dkms wants, with another kernel's name in it, for one program."""
    release = root.parent / "osrelease"
    if not release.exists():
        release.write_bytes((root / "proc/sys/kernel/osrelease").read_bytes())
    script = f"mount -t proc none {root}/proc && mount --bind {release} {root}/proc/sys/kernel/osrelease && exec \"$@\""
    return (*own_mounts(), "sh", "-c", script, "sh")


def modules(root):
    """All module files of the machine."""
    return sorted(str(path.relative_to(root)) for path in (root / "lib/modules").rglob("*.ko*") if path.is_file())


def traces(root):
    """What of the module is left anywhere."""
    return [str(path) for top in ("usr/src", "var/lib/dkms") for path in (root / top).glob(f"{NAME}*")]


@pytest.mark.timeout(900)
def test_there_and_back(base, tmp_path):
    root, kernel = make(tmp_path, base, SOURCE)
    code, status = firstboot(root, prefix=mounted(root))
    assert code == 0, (status, (root / "var/log/larder.log").read_text())
    assert modules(root) == [f"lib/modules/{kernel}/updates/dkms/larder_tiny.ko"]
    assert "larder_tiny.ko" in (root / "lib/modules" / kernel / "modules.dep").read_text()
    assert not litter(root)
    for state in ("done", "idle"):  # a kernel that has a modules.dep now is another machine; and the module stands
        status = firstboot(root, prefix=mounted(root))[1]
        assert status["state"] == state and "module built" not in [point["event"] for point in status["timeline"]], status
    good("larder-firstboot", "undo", "--sysroot", root, prefix=mounted(root))
    assert modules(root) == [] and traces(root) == []
    assert "larder_tiny" not in (root / "lib/modules" / kernel / "modules.dep").read_text()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("source, steps, text", [
    (b"#error no\n", [], "dkms built no module"),
    (SOURCE, [FAILS], "modprobe")])
def test_what_fails_rolls_back(base, tmp_path, source, steps, text):
    root, _ = make(tmp_path, base, source, *steps)
    code, status = firstboot(root, prefix=mounted(root))
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert text in status["text"], status
    assert "what it had changed was put back" in status["text"], status
    assert modules(root) == [] and traces(root) == [] and journal(root) == [("undone", 1)]


@pytest.mark.timeout(900)
def test_a_kernel_without_headers_is_told(base, tmp_path):
    root, kernel = make(tmp_path, base, SOURCE)
    (root / "lib/modules" / kernel / "build").unlink()
    code, status = firstboot(root, prefix=mounted(root))
    assert code == 14 and f"there are no headers of kernel {kernel}" in status["text"], status
    assert modules(root) == [] and traces(root) == []
