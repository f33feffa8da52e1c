"""modules.dep and its kin are the old ones or the new ones, whole: also on a disk that fills up under depmod."""

import os
import subprocess

from larder import BUILD, KERNEL, Workshop, good, own_mounts
from made_ko import made_ko
from test_firstboot import firstboot, make_root
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
