"""pieces.py - builds what a test guest is made of: kernel, root folder, initrd, disk.

Everything costly is kept under build/vm/, built under a temporary name and renamed, and built
anew when the kernel package or this recipe changes.
"""

import contextlib
import fcntl
import functools
import hashlib
import lzma
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GUEST_FILES = HERE / "guest"
CACHE = HERE.parents[1] / "build" / "vm"

WITHHELD = ("e1000e",)  # the NIC driver that a guest must get from larder
DISK_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "crc32c_intel", "ext4")
NIC_MODULES = ("virtio_net", "vmxnet3", "8139cp", "e1000", "igb")
ROOT_MODULES = DISK_MODULES + NIC_MODULES + ("drivers/net/ethernet/intel/", "autofs4", "isofs",
                                             "loop")
TINY_MODULES = ("virtio_pci", "virtio_blk") + NIC_MODULES

PACKAGES = "systemd,systemd-sysv,udev,kmod,iproute2,dbus,iputils-ping"
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "getty.target",
          "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
          "systemd-pstore.service", "e2scrub_reap.service", "e2scrub_all.timer", "fstrim.timer")
TEXTS = {
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n",
    "etc/fstab": "/dev/vda1 / ext4 rw 0 0\n",
    # without a machine id systemd takes this for a first boot and presets every unit
    "etc/machine-id": "11112222333344445555666677778888\n",
    "etc/systemd/network/20-e.network":
        "[Match]\nName=e*\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
    "etc/systemd/journald.conf.d/guest.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system/systemd-networkd-wait-online.service.d/guest.conf":
        "[Service]\nExecStart=\n"
        "ExecStart=/lib/systemd/systemd-networkd-wait-online --timeout=20\n",
}

PART_OFFSET = 1 << 20  # bytes
BLOCK = 4096  # bytes


def run(*command, **options):
    """Run a command; a failure raises with what it said, so a test shows the reason."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        said = done.stdout.decode(errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {said}")
    return done.stdout.decode(errors="replace")


# The cache


@functools.cache
def recipe_key():
    """Short digest of what decides the pieces: an edited recipe is never served stale."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update((GUEST_FILES / "initrd-init.sh").read_bytes())
    digest.update(kernel_deb().name.encode())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def locked(name):
    """One builder at a time: parallel test runs share the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def remove(path):
    """Remove a file or folder, present or not."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def piece(kind, build):
    """The cached piece of this kind; build(draft) makes it, and older ones are dropped."""
    final = CACHE / f"{kind}-{recipe_key()}"
    with locked(kind):
        if final.exists():
            return final
        for stale in CACHE.glob(f"{kind}-*"):
            remove(stale)
        draft = CACHE / f"{kind}-draft"
        build(draft)
        draft.rename(final)
    return final


# The kernel


@functools.cache
def kernel_release():
    """The host distribution's newest kernel, by what its metapackage depends on."""
    prefix = "linux-image-"
    for line in run("apt-cache", "depends", prefix + "amd64").splitlines():
        word = line.split()[-1]
        if line.strip().startswith("Depends:") and word.startswith(prefix):
            return word[len(prefix):]
    raise RuntimeError("linux-image-amd64 depends on no kernel: are the package lists there?")


@functools.cache
def kernel_deb(folder=None):
    """The kernel's package in the cache: copied from folder if it is there, else fetched."""
    name = f"linux-image-{kernel_release()}"
    with locked("deb"):
        for found in sorted(CACHE.glob(f"{name}_*.deb")):
            return found
        with tempfile.TemporaryDirectory(dir=CACHE) as draft:
            for found in sorted(Path(folder).glob(f"{name}_*.deb")) if folder else ():
                shutil.copy(found, draft)
                break
            else:
                run("apt-get", "-o", "APT::Sandbox::User=root", "download", name, cwd=draft)
            (found,) = Path(draft).glob("*.deb")
            return found.rename(CACHE / found.name)


def kernel_files():
    """(vmlinuz, folder of modules): the whole tree, to take modules from."""
    def build(draft):
        run("dpkg-deb", "-x", kernel_deb(), draft)
        run("depmod", "-b", draft, kernel_release())

    root = piece("kernel", build)
    release = kernel_release()
    return root / "boot" / f"vmlinuz-{release}", root / "lib" / "modules" / release


def kernel_image():
    """What QEMU starts: the kernel out of its xz wrapper, which takes 3 s when emulated."""
    packed = kernel_files()[0].read_bytes()
    start = packed.find(b"\xfd7zXZ\0")
    if start < 0:
        return kernel_files()[0]
    unpack = lzma.LZMADecompressor().decompress
    return piece("vmlinux", lambda draft: draft.write_bytes(unpack(packed[start:])))


def module_file(name):
    """Path of a module in the kernel package's tree; tests bundle it from here."""
    return kernel_files()[1] / module_paths()[0][name]


@functools.cache
def module_paths():
    """(name -> path, path -> paths it needs), as modules.dep says."""
    names, needs = {}, {}
    for line in (kernel_files()[1] / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        names[Path(path).stem.replace("-", "_")] = path
        needs[path] = rest.split()
    return names, needs


def closure(wanted):
    """Paths of the wanted modules (names, or folders with a final slash) and what they need."""
    names, needs = module_paths()
    paths = set()
    for word in wanted:
        paths |= {p for p in needs if f"/{word}" in p} if word.endswith("/") else {names[word]}
    return paths.union(*(needs[path] for path in paths))


def install_modules(root, wanted, without=WITHHELD):
    """Copy modules and their needs into root, and index them; returns the modules folder."""
    tree = kernel_files()[1]
    target = Path(root) / "lib" / "modules" / tree.name
    indexes = {"modules.builtin", "modules.builtin.modinfo", "modules.order"}
    for path in closure(wanted) | indexes:
        if Path(path).stem.replace("-", "_") in without and path not in indexes:
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / path, target / path)
    run("depmod", "-b", root, tree.name)
    return target


def add_module(root, name, folder="updates"):
    """Put one module where a driver install would, for tests that need it there beforehand."""
    target = Path(root) / "lib" / "modules" / kernel_release() / folder
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(module_file(name), target / f"{name}.ko")
    run("depmod", "-b", root, kernel_release())


def remove_modules(root, pattern):
    """Take modules out of a root, as an image without them would be."""
    for path in Path(root).rglob(pattern):
        path.unlink()
    run("depmod", "-b", root, kernel_release())


# The full guest's root


def debian_sources():
    """(codename, the host's own source lines), so that a local mirror is used here too."""
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    wanted = "$(ORIGIN) $(CODENAME) deb $(SITE) $(RELEASE) $(COMPONENT)"
    said = run("apt-get", "indextargets", "--format", wanted, "Identifier: Packages")
    found = [line.split(" ", 2) for line in said.splitlines() if line.startswith("Debian ")]
    return codename, sorted({text for _, name, text in found if name.startswith(codename)})


def root_folder():
    """A Debian root that boots to multi-user with networkd and without the withheld driver."""
    def build(draft):
        codename, sources = debian_sources()
        run("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={PACKAGES}",
            *(f"--dpkgopt=path-exclude={glob}" for glob in EXCLUDED), codename, draft, *sources)
        draft.chmod(0o755)
        for name, text in TEXTS.items():
            write(draft, name, text)
        for unit in MASKED:
            link(draft / "etc/systemd/system" / unit, "/dev/null")
        enable(draft, "systemd-networkd.service")
        trim(draft)
        install_modules(draft, ROOT_MODULES)

    return piece("root", build)


def trim(root):
    """Drop what no test reads: every byte is copied for each test."""
    for name in ("var/cache/apt", "var/lib/apt/lists", "var/log/apt", "usr/lib/udev/hwdb.d",
                 "var/log/dpkg.log", "var/log/bootstrap.log"):
        remove(root / name)
    for name in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
        (root / name).mkdir(parents=True)


def make_root(dest):
    """A fresh copy of the root at dest, with the unit that reports and powers off."""
    dest = Path(dest)
    run("cp", "-a", "--reflink=auto", root_folder(), dest)
    install_report(dest, "report.sh")
    shutil.copy(GUEST_FILES / "guest-report.service", dest / "etc/systemd/system")
    enable(dest, "guest-report.service")
    return dest


def write(root, name, text, mode=0o644):
    """Write a file beneath root, making its folders."""
    path = Path(root) / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def link(path, target):
    """A symbolic link, replacing what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def enable(root, unit, target="multi-user.target"):
    """Have target want unit, as systemctl enable would."""
    local = Path(root) / "etc/systemd/system"
    source = "/etc/systemd/system" if (local / unit).exists() else "/lib/systemd/system"
    link(local / f"{target}.wants" / unit, f"{source}/{unit}")


def install_report(root, *scripts):
    """Put a guest's report scripts and what it shares with the other guest into root."""
    for name in (*scripts, "report-lib.sh"):
        write(root, f"usr/lib/guest/{name}", (GUEST_FILES / name).read_text(), 0o755)
    (Path(root) / "usr/lib/guest/report.d").mkdir()


def add_report(root, name, script):
    """Have the guest run script (sh) before powering off; its output is the block name."""
    write(root, f"usr/lib/guest/report.d/{name}", script)


# Folders that run from memory


def bare_root(dest, init):
    """A root of busybox and the text of an init script: no modules."""
    dest = Path(dest)
    for name in ("bin", "proc", "sys", "dev", "run", "tmp", "root", "etc", "newroot"):
        (dest / name).mkdir(parents=True)
    shutil.copy2(shutil.which("busybox"), dest / "bin/busybox")
    for applet in run("busybox", "--list-full").split():
        if applet != "bin/busybox":
            link(dest / applet, "/bin/busybox")
    write(dest, "init", init, 0o755)
    return dest


def busybox_root(dest, modules, init):
    """A root of busybox, modules and one of our init scripts."""
    bare_root(dest, (GUEST_FILES / init).read_text())
    install_modules(dest, modules)
    return Path(dest)


def make_tiny_root(dest):
    """A root for boot_tiny(): busybox and kmod, NIC modules but the withheld one, and the report.

    /init runs /test.sh if the test puts one there."""
    dest = busybox_root(dest, TINY_MODULES, "tiny-init.sh")
    add_kmod(dest)
    install_report(dest, "tiny-report.sh", "udhcpc.sh")
    shutil.copy("/etc/os-release", dest / "etc/os-release")
    write(dest, "etc/machine-id", TEXTS["etc/machine-id"])
    write(dest, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    write(dest, "etc/group", "root:x:0:\n")
    return dest


def add_kmod(root):
    """The distribution's own modprobe and depmod, which busybox's differ from, in a root of busybox."""
    kmod = Path("usr/bin/kmod")
    for name in run("chroot", root_folder(), "ldd", f"/{kmod}").split() + [f"/{kmod}"]:
        if name.startswith("/"):
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root_folder() / name[1:], root / name[1:])
    for name in ("modprobe", "depmod", "insmod", "rmmod", "lsmod", "modinfo"):
        for folder in ("bin", "usr/bin"):
            remove(root / folder / name)
        link(root / "usr/sbin" / name, f"/{kmod}")
        link(root / "sbin" / name, f"/usr/sbin/{name}")


def make_tiny_disk(root, disk, size_mib=160):
    """The tiny guest's root as a disk for boot()."""
    remove(root / "sbin/init")
    link(root / "sbin/init", "/init")
    return make_disk(root, disk, size_mib)


def pack_initrd(folder, dest):
    """Pack a folder as an initrd, uncompressed: emulation unpacks slowly."""
    names = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))
    with open(dest, "wb") as out:
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], cwd=folder,
                       input="\0".join(names).encode(), stdout=out, check=True)
    return Path(dest)


def make_initrd():
    """The full guest's initrd: mounts /dev/vda1 and hands over to its systemd."""
    def build(draft):
        with tempfile.TemporaryDirectory() as folder:
            pack_initrd(busybox_root(folder, DISK_MODULES, "initrd-init.sh"), draft)

    return piece("initrd", build)


# Disks


def make_disk(root, disk, size_mib=1024):
    """A raw disk whose one partition is an ext4 file system with the files of root."""
    blocks = ((size_mib - 2) << 20) // BLOCK
    last = (PART_OFFSET + blocks * BLOCK) // 512 - 1
    remove(Path(disk))
    run("truncate", "-s", f"{size_mib}M", disk)
    run("sgdisk", "-n", f"1:2048:{last}", "-t", "1:8300", disk)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", BLOCK, "-d", root, "-E",
        f"offset={PART_OFFSET},lazy_itable_init=1,lazy_journal_init=1", disk, blocks)
    return Path(disk)


@contextlib.contextmanager
def recovered(disk):
    """The partition as the boot after a power cut finds it: a copy with its journal replayed.

    e2fsck cannot recover a journal at an offset, and debugfs does not."""
    with tempfile.TemporaryDirectory(dir=Path(disk).resolve().parent) as folder:
        part = Path(folder) / "part"
        run("dd", f"if={disk}", f"of={part}", "bs=1M", f"skip={PART_OFFSET}", "iflag=skip_bytes",
            "conv=sparse")
        subprocess.run(["e2fsck", "-E", "journal_only", "-p", part], capture_output=True)
        yield part


def read_file(disk, path, offset=PART_OFFSET):
    """Bytes of a file on a disk that was shut down cleanly; None if it is not there."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        run("debugfs", "-R", f'dump "{path}" {out}', f"{disk}?offset={offset}")
        return out.read_bytes() if out.exists() else None


def list_folder(disk, path, offset=PART_OFFSET):
    """Names in a folder of a stopped disk; empty if it is not there."""
    said = run("debugfs", "-R", f'ls -p "{path}"', f"{disk}?offset={offset}")
    rows = [line.split("/") for line in said.splitlines()]
    return sorted(row[5] for row in rows if len(row) == 8 and row[5] not in (".", ".."))


def check_part(part):
    """(e2fsck's exit status, its words) for a file system; 0 is clean."""
    done = subprocess.run(["e2fsck", "-f", "-n", part], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check_disk(disk):
    """The same for a disk's partition, after its journal was replayed."""
    with recovered(disk) as part:
        return check_part(part)
