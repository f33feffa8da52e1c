"""A driver in use, replaced by a real kernel; and what dpkg does to a kernel, with larder's hooks in it."""

import shutil
import subprocess

import pytest

import guest
import story

ADDRESS = "0000:00:02.0"
RUNNING = "6.0.0-old"


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """One folder with the NIC cache: (cache, trust)."""
    cache, _, trust = story.nic_cache(tmp_path_factory.mktemp("kernels"))
    return cache, trust


def another_build(path):
    """Changes the build id of a module file, and takes its signature off, which would not fit any more: to a kernel it is the
    same driver, and another file."""
    data = bytearray(story.without_signature(path.read_bytes()))
    at = data.index(b"GNU\0", data.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0")) + 4
    data[at] ^= 0xff
    path.write_bytes(data)


# The build ids of the loaded module and of larder's file, as far as they can be told apart.
SCRIPT = """
same() {
	cmp -s /sys/module/e1000e/notes/.note.gnu.build-id /run/before && echo "$1: old" || echo "$1: new"
}
cat /sys/module/e1000e/notes/.note.gnu.build-id >/run/before
ip addr add 192.168.9.1/32 dev eth0
ip link set eth0 up
/usr/libexec/larder/larder-firstboot run; echo "address: exit $?"
/usr/libexec/larder/larder-firstboot status
same address
ip addr del 192.168.9.1/32 dev eth0
ip route add default dev eth0
/usr/libexec/larder/larder-firstboot run; echo "route: exit $?"
/usr/libexec/larder/larder-firstboot status
same route
ip link set eth0 down
/usr/libexec/larder/larder-firstboot run; echo "free: exit $?"
/usr/libexec/larder/larder-firstboot status
same free
/usr/libexec/larder/larder-firstboot run; echo "again: exit $?"
rmmod e1000e
insmod /lib/modules/*/kernel/drivers/net/e1000e.ko
rm /var/lib/larder/stamp /usr/sbin/modprobe
printf '#!/bin/sh\\nexit 1\\n' >/usr/sbin/modprobe
chmod 755 /usr/sbin/modprobe
/usr/libexec/larder/larder-firstboot run; echo "back: exit $?"
/usr/libexec/larder/larder-firstboot status
same back
"""


@pytest.mark.slow
def test_a_driver_in_use_is_replaced_once_its_device_is_free(made, tmp_path):
    """The kernel's own e1000e has the NIC; the cache brings another build of it."""
    cache, trust = made
    root = guest.make_tiny_root(tmp_path / "tiny")
    guest.add_module(root, "e1000e", "kernel/drivers/net")
    another_build(next(root.rglob("e1000e.ko")))
    story.embed(cache, trust, root)
    guest.write(root, "test.sh", SCRIPT)
    result = guest.boot_tiny(root, wait=1)
    said = result.text["test"]
    assert "address: exit 0" in said and "address: old" in said, said
    assert "reboot_needed" in said and "may have the address 192.168.9.1" in said, said
    assert "route: exit 0" in said and "route: old" in said and "eth0 is up and has a route" in said, said
    assert "free: exit 0" in said and "free: new" in said, said
    assert "driver replaced" in said and "again: exit 0" in said and "main: idle" in said, said
    assert "back: exit 14" in said and "back: old" in said and "; the old one is loaded again" in said, said
    assert "e1000e eth0: fallback" in said, said
    assert "e1000e" in result.drivers.values(), result.console


def kernel_package(folder, release):
    """A package that says and does of a kernel what Debian's do: depmod, then the hooks, by run-parts."""
    tree = folder / "deb"
    script = ("#!/bin/sh\nset -e\n{}\nDEB_MAINT_PARAMS=\"$*\" run-parts --report --exit-on-error"
              f" --arg={release} --arg=/boot/vmlinuz-{release} /etc/kernel/{{}}.d\n")
    guest.write(tree, "DEBIAN/control", f"Package: linux-image-{release}\nVersion: 1\nArchitecture: all\n"
                                        "Maintainer: nobody <n@example.org>\nDescription: a kernel\n")
    guest.write(tree, "DEBIAN/postinst", script.format(f"depmod {release}", "postinst"), 0o755)
    guest.write(tree, "DEBIAN/postrm", script.format("", "postrm"), 0o755)
    guest.write(tree, f"boot/vmlinuz-{release}", "a kernel\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, folder / "kernel.deb"], check=True,
                   capture_output=True)
    return folder / "kernel.deb"


@pytest.fixture
def debian(made, tmp_path):
    """A Debian root that runs a kernel without a bundle, has the modules of the next, and a NIC in its /sys."""
    root = guest.make_root(tmp_path / "root")
    story.embed(*made, root)
    device = f"sys/devices/pci/{ADDRESS}"
    guest.write(root, f"{device}/modalias", "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\n")
    guest.link(root / "sys/bus/pci/devices" / ADDRESS, f"../../../devices/pci/{ADDRESS}")
    guest.write(root, "proc/sys/kernel/osrelease", RUNNING + "\n")
    guest.write(root, "etc/kernel/postinst.d/initramfs-tools",
                "#!/bin/sh\nmodinfo -k $1 -F filename e1000e >/run/packed 2>&1 || true\n", 0o755)
    shutil.copy(kernel_package(tmp_path, guest.kernel_release()), root / "kernel.deb")
    return root


def dpkg(root, *words):
    return subprocess.run(["chroot", root, "dpkg", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_kernel_is_installed_and_removed_by_dpkg(debian):
    """Its driver is there before the initramfs is made, and goes with it."""
    ours = debian / "lib/modules" / guest.kernel_release() / "updates/larder"
    done = dpkg(debian, "-i", "/kernel.deb")
    assert done.returncode == 0 and "WARNING" not in done.stderr, done
    assert (ours / "e1000e.ko").exists(), done
    assert (debian / "run/packed").read_text().strip().endswith("/updates/larder/e1000e.ko")
    done = dpkg(debian, "-r", f"linux-image-{guest.kernel_release()}")
    assert done.returncode == 0 and not ours.exists(), done


@pytest.mark.slow
def test_a_kernel_without_its_driver_is_installed_with_a_warning(debian):
    """Whatever is missing, the kernel's package is installed."""
    shutil.rmtree(debian / "usr/lib/larder/cache")
    done = dpkg(debian, "-i", "/kernel.deb")
    assert done.returncode == 0, done
    assert "larder: WARNING" in done.stdout + done.stderr and "not_carried" in done.stdout + done.stderr, done
    status = dpkg(debian, "-s", f"linux-image-{guest.kernel_release()}").stdout
    assert "Status: install ok installed" in status
