"""modules.dep and its kin are the old ones or the new ones, whole: also on a disk that fills up under depmod. And an initramfs
that holds the module is made anew."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from larder import BUILD, KERNEL, Workshop, good, immutable, own_mounts
from made_ko import made_ko
from test_firstboot import firstboot, make_root
from test_packages import make_tools
from test_undo import standing

MODULES = f"lib/modules/{KERNEL}"


def with_aliases(count):
    """A module that claims this many devices: depmod writes each twice."""
    return made_ko(KERNEL, {}, "big", depends="".join(f"\0alias=pci:v{i:08X}d{i:08X}sv*sd*bc*sc*i*" for i in range(count)))


def only_modules(document):
    """A bundle of one module."""
    document["template"]["early"] = False
    document["bundles"][0]["install"] = [{"do": "modules", "files": ["nic/*.ko"]}]


def make(folder, big):
    shop = Workshop(folder / "shop", {"vendor/nic.ko": made_ko(KERNEL, {}, "nic")})
    shop.write_manifest(only_modules)
    shop.bake()
    root = make_root(folder / "root")
    shop.embed(root)
    (root / MODULES / "kernel").mkdir()
    (root / MODULES / "kernel/big.ko").write_bytes(big)
    subprocess.run(["depmod", "-b", root, KERNEL], check=True)
    return root


def test_there_and_back(tmp_path):
    root = make(tmp_path, with_aliases(3))
    before = standing(root)
    code, status = firstboot(root)
    assert code == 0, status
    dep = (root / MODULES / "modules.dep").read_text()
    assert sorted(dep.splitlines()) == ["kernel/big.ko:", "updates/larder/nic.ko:"]
    assert sorted(path.name for path in (root / "lib/modules").iterdir()) == [KERNEL]
    (root / MODULES / "modules.dep").write_text("cut")
    good("larder-firstboot", "undo", "--sysroot", root)
    assert standing(root) == before


def another_depmod(folder, text=None):
    """Words that put another program in the place of kmod's depmod, for one program: busybox's, or a script."""
    tool = Path(shutil.which("busybox"))
    if text:
        tool = folder / "depmod"
        tool.write_text(text)
        tool.chmod(0o755)
    kmod = os.path.realpath(shutil.which("depmod"))
    return (*own_mounts(), "sh", "-c", f'mount --bind {tool} {kmod} && exec "$0" "$@"')


LAST = "for last; do :; done\n"
POORER = {
    "busybox": None, "empty": f'#!/bin/sh\n{LAST}: >"$3/lib/modules/$last/modules.dep"\n', "none": "#!/bin/sh\n",
    "ours": f'#!/bin/sh\n{LAST}echo updates/larder/nic.ko: >"$3/lib/modules/$last/modules.dep"\n'}


@pytest.mark.parametrize("kind", POORER)
def test_a_depmod_that_loses_modules_changes_nothing(tmp_path, kind):
    """The old index stays whole, and the machine is as it was; the next run, with kmod's, installs."""
    root = make(tmp_path, with_aliases(3))
    before = standing(root)
    code, status = firstboot(root, prefix=another_depmod(tmp_path, POORER[kind]))
    assert (code, status["reason"]) == (14, "step_failed") and status["remedy"], status
    for words in ("left out 1 modules", "kernel/big.ko", "depmod of kmod", "what it had changed was put back"):
        assert words in status["text"], status
    assert standing(root) == before
    assert firstboot(root)[0] == 0


def test_a_module_that_is_replaced_is_not_lost(tmp_path):
    """Of two files of one name the index names ours alone; and what is gone from the disk may go from the index."""
    root = make(tmp_path, with_aliases(3))
    for name in ("nic", "gone"):
        (root / MODULES / f"kernel/{name}.ko").write_bytes(made_ko(KERNEL, {}, name))
    subprocess.run(["depmod", "-b", root, KERNEL], check=True)
    (root / MODULES / "kernel/gone.ko").unlink()
    assert firstboot(root)[0] == 0
    dep = (root / MODULES / "modules.dep").read_text()
    assert sorted(dep.splitlines()) == ["kernel/big.ko:", "updates/larder/nic.ko:"]


def test_a_full_disk_leaves_the_old_ones(tmp_path):
    """The kernel's modules lie on a disk of their own with room for the module, and not for what depmod writes."""
    root = make(tmp_path, with_aliases(120000))
    moved = root.parent / "modules"
    os.rename(root / "lib/modules", moved)
    (root / "lib/modules").mkdir()
    names = [path.name for path in (moved / KERNEL).iterdir() if path.name.startswith("modules.")]
    for name in names:
        (moved / KERNEL / name).write_text(f"the old {name}\n")
    script = f"""
        set -e
        mount -t tmpfs -o size=13m none {root}/lib/modules
        cp -a {moved}/. {root}/lib/modules
        code=0; {BUILD}/larder-firstboot run --sysroot {root} || code=$?
        cd {root}/{MODULES}; find .. -mindepth 1 -type f | sort; cat modules.*
        exit $code"""
    done = subprocess.run([*own_mounts(), "sh", "-c", script], capture_output=True, text=True,
                          check=False, errors="replace")
    assert done.returncode == 14 and "no_space" in done.stderr, done
    assert "what it had changed was put back" in done.stderr, done
    for name in names:
        assert f"the old {name}\n" in done.stdout, done
    found = {line for line in done.stdout.splitlines() if line.startswith("..")}
    assert found == {f"../{KERNEL}/{name}" for name in [*names, "kernel/big.ko"]}, done


def test_an_immutable_index_is_told_before_anything_changes(tmp_path):
    root = make(tmp_path, with_aliases(3))
    before = standing(root)
    with immutable(root / MODULES / "modules.dep"):
        code, status = firstboot(root)
        assert (code, status["reason"]) == (14, "read_only") and status["remedy"], status
        assert "modules.dep is immutable (chattr)" in status["text"], status
        assert standing(root) == before
    assert firstboot(root)[0] == 0


MAKERS = {f"initrd.img-{KERNEL}": ("lsinitramfs", "update-initramfs", f"-u -k {KERNEL}"),
          f"initramfs-{KERNEL}.img": ("lsinitrd", "dracut", f"-f --kver {KERNEL}")}


def with_image(folder, image, listed):
    """A machine whose initramfs has these modules, as its own tools say; each call of the maker is noted. nic is there before."""
    root = make(folder, made_ko(KERNEL, {}, "big"))
    make_tools(root, ("sh", "cat"))
    (root / MODULES / "kernel/nic.ko").write_bytes(made_ko(KERNEL, {}, "nic", depends=""))
    subprocess.run(["depmod", "-b", root, KERNEL], check=True)
    (root / "boot").mkdir()
    (root / "boot" / image).write_text("".join(f"-rw-r--r-- 1 root usr/lib/modules/{KERNEL}/kernel/{name}\n" for name in listed))
    lister, maker, _ = MAKERS[image]
    (root / "usr/bin" / lister).write_text('#!/bin/sh\ncat "$1"\n')
    (root / "usr/bin" / maker).write_text('#!/bin/sh\necho "$@" >> /tmp/made\n[ ! -e /tmp/fail ]\n')
    for name in (lister, maker):
        (root / "usr/bin" / name).chmod(0o755)
    return root


def made(root):
    """The calls of the maker."""
    return (root / "tmp/made").read_text().splitlines() if (root / "tmp/made").exists() else []


@pytest.mark.parametrize("image", MAKERS)
def test_an_initramfs_with_the_module_is_made_anew(tmp_path, image):
    root = with_image(tmp_path, image, ["drivers/a.ko", "drivers/net/nic.ko.xz"])
    assert firstboot(root)[0] == 0
    assert made(root) == [MAKERS[image][2]]
    good("larder-firstboot", "undo", "--sysroot", root)
    assert made(root) == [MAKERS[image][2]] * 2


def test_an_initramfs_without_it_is_left_alone(tmp_path):
    root = with_image(tmp_path, next(iter(MAKERS)), ["drivers/a.ko", "drivers/not-nic.ko"])
    assert firstboot(root)[0] == 0
    good("larder-firstboot", "undo", "--sysroot", root)
    assert made(root) == []


def test_an_initramfs_that_cannot_be_made_rolls_back(tmp_path):
    root = with_image(tmp_path, next(iter(MAKERS)), ["nic.ko"])
    (root / "tmp/fail").touch()
    code, status = firstboot(root)
    assert code == 14 and "initramfs of" in status["text"] and "putting back" in status["text"], status
    assert not (root / MODULES / "updates").exists()
    (root / "tmp/fail").unlink()
    assert firstboot(root)[0] == 0
    assert (root / MODULES / "updates/larder/nic.ko").exists()
