"""Places of a cache beside what the image carries: packages of the site, file: sources, volumes. Never worse than none."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile

import pytest

from larder import Workshop, good, own_mounts, run
from test_firstboot import firstboot, installed, make_root, only_files

PACKAGES = "usr/lib/larder/packages"


@pytest.fixture
def shop(tmp_path):
    made = Workshop(tmp_path / "shop")
    made.write_manifest(only_files)
    made.bake()
    good("larder", "copy", made.cache, tmp_path / "old.tar")
    made.tar = tmp_path / "old.tar"
    return made


@pytest.fixture
def root(shop, tmp_path):
    """A machine that trusts the shop and carries nothing whole: every blob is a miss."""
    made = make_root(tmp_path / "root")
    shop.embed(made)
    shutil.rmtree(made / "usr/lib/larder/cache")
    return made


def newer(shop, tmp_path, serial=9, **changes):
    """The same drivers with another file, under a later statement: (cache, its tar)."""
    later = Workshop(tmp_path / f"later{serial}", {**shop.files, "vendor/nic.conf": b"options nic speed=later\n"})
    for name in ("fleet.key", "fleet.pub"):
        if (shop.folder / name).exists() and not changes.get("foreign"):
            shutil.copy(shop.folder / name, later.folder / name)
    later.write_manifest(only_files)
    later.bake("--key", later.keys(), "--serial", serial)
    good("larder", "copy", later.cache, later.folder / "later.tar")
    later.tar = later.folder / "later.tar"
    return later


def put_package(root, tar, name="hpc.tar"):
    (root / PACKAGES).mkdir(parents=True, exist_ok=True)
    shutil.copy(tar, root / PACKAGES / name)


def set_conf(root, *lines):
    (root / "etc/larder/conf.d/further.conf").write_text("".join(f"{line}\n" for line in lines))


class Disks:
    """Block devices of a sysroot: loop devices of this machine under other names."""

    def __init__(self, root):
        self.root, self.loops = root, []
        (root / "sys/class/block").mkdir(parents=True)
        (root / "dev/disk/by-label").mkdir(parents=True)

    def add(self, name, image, partition=None, label=None):
        loop = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
        self.loops.append(loop)
        os.mknod(self.root / "dev" / name, stat.S_IFBLK | 0o600, os.stat(loop).st_rdev)
        place = self.root / "sys/class/block" / name
        place.mkdir()
        (place / "size").write_text(f"{os.path.getsize(image) // 512}\n")
        if partition is not None:
            (place / "partition").write_text("1\n")
            (place / "uevent").write_text(f"MAJOR=8\nDEVTYPE=partition\nPARTNAME={partition}\n")
        if label:
            (self.root / "dev/disk/by-label" / label).symlink_to(f"../../{name}")

    def close(self):
        for loop in self.loops:
            subprocess.run(["losetup", "-d", loop], check=True)


@pytest.fixture
def disks(root):
    made = Disks(root)
    yield made
    made.close()


def image_of(tar, path, fill=b"\xa5"):
    """A disk that begins with the tar; old bytes follow."""
    data = tar.read_bytes()
    path.write_bytes(data + fill * ((1 << 20) - len(data) % 512))
    return path


def assert_served(root, shop):
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), json.dumps(status)
    assert installed(root)["nic.conf"] == shop.files["vendor/nic.conf"]
    return status


def assert_missed(root):
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "not_carried"), status
    assert not installed(root)
    return status


def test_nothing_further(root):
    assert_missed(root)


def test_a_package_serves(root, shop):
    put_package(root, shop.tar)
    assert_served(root, shop)
    assert firstboot(root)[1]["state"] == "idle"


def test_what_dpkg_and_rpm_have_half_written_is_not_looked_at(root, shop):
    half = shop.tar.read_bytes()[:5000]
    (root / PACKAGES).mkdir(parents=True)
    for name in ("hpc.tar.dpkg-new", "hpc.tar.dpkg-tmp", "hpc.tar;5f3a2b1c", ".hpc.tar"):
        (root / PACKAGES / name).write_bytes(half)
    assert not any(row["event"] == "other statement" for row in assert_missed(root)["timeline"])


@pytest.mark.parametrize("folder", [True, False])
def test_a_file_source_serves(root, shop, folder):
    place = root / "mnt/stick"
    place.parent.mkdir()
    if folder:
        shutil.copytree(shop.cache, place)
    else:
        place.mkdir()
        shutil.copy(shop.tar, place / "x.tar")
    set_conf(root, "sources=file:/mnt/absent,file:/mnt/stick" + ("" if folder else "/x.tar"))
    assert "/mnt/absent" in json.dumps(assert_served(root, shop)["timeline"])


# Mounts an automount that nobody serves, and starts a program outside of its server's process group.
AUTOMOUNT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pipe = os.pipe()
how = f"fd={pipe[1]},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct".encode()
if libc.mount(b"test", sys.argv[1].encode(), b"autofs", 0, how) < 0:
    raise OSError(ctypes.get_errno(), "mount")
pid = os.fork()
if pid == 0:
    libc.prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    os.setsid()
    os.execvp(sys.argv[2], sys.argv[2:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize("place", ["share", "share/deep/x.tar", "link/x.tar"])
def test_the_early_moment_sets_no_automount_off(root, shop, place):
    """It may wait for the network, which waits for the early moment."""
    (root / "mnt/share").mkdir(parents=True)
    (root / "mnt/link").symlink_to("share")
    set_conf(root, f"sources=file:/mnt/{place}")
    prefix = ("timeout", "-s", "KILL", "20", *own_mounts(), sys.executable, "-c", AUTOMOUNT, root / "mnt/share")
    code, status = firstboot(root, "--early", prefix=prefix)
    assert code == 0, status


def test_a_disk_that_begins_with_the_tar_serves(root, shop, disks, tmp_path):
    disks.add("sdb", image_of(shop.tar, tmp_path / "disk"))
    assert_served(root, shop)


def test_a_named_partition_serves_and_no_other(root, shop, disks, tmp_path):
    disks.add("sdb1", image_of(shop.tar, tmp_path / "disk"), partition="LARDER2")
    assert_missed(root)
    disks.add("sdc1", image_of(shop.tar, tmp_path / "disk2"), partition="LARDER")
    assert_served(root, shop)


def test_volumes_can_be_shut_off(root, shop, disks, tmp_path):
    disks.add("sdb", image_of(shop.tar, tmp_path / "disk"))
    set_conf(root, "volumes=no")
    assert_missed(root)


def test_a_file_system_is_mounted_only_if_configured(root, shop, disks, tmp_path):
    image = tmp_path / "disk"
    (tmp_path / "tree").mkdir()
    shutil.copy(shop.tar, tmp_path / "tree/cache.tar")
    subprocess.run(["mkfs.ext4", "-q", "-L", "LARDER", "-d", tmp_path / "tree", image, "8M"], check=True, capture_output=True)
    before = image.read_bytes()
    disks.add("sdb1", image, label="LARDER")
    assert "volumes=mount" in json.dumps(assert_missed(root)["timeline"])
    set_conf(root, "volumes=mount")
    code, status = firstboot(root, prefix=own_mounts())
    assert (code, status["reason"]) == (0, "done"), json.dumps(status)
    assert installed(root)["nic.conf"] == shop.files["vendor/nic.conf"]
    assert not (root / "run/larder/volume").exists() and image.read_bytes() == before


def test_a_file_system_cannot_stop_the_machine(root, shop, disks, tmp_path):
    """ext4 says in itself whether an error in it is a panic."""
    image = tmp_path / "disk"
    subprocess.run(["mkfs.ext4", "-q", "-L", "LARDER", "-e", "panic", image, "8M"], check=True, capture_output=True)
    disks.add("sdb1", image, label="LARDER")
    set_conf(root, "volumes=mount")
    trace = tmp_path / "trace"
    code, _ = firstboot(root, prefix=(*own_mounts(), "strace", "-f", "-qq", "-o", trace, "-e", "trace=mount"))
    assert code == 14
    mounted = [line for line in trace.read_text().splitlines() if line.endswith("= 0")]
    assert len(mounted) == 1 and "errors=continue" in mounted[0], mounted


def break_blobs(folder, records=True):
    """Every blob but the documents at the top has another byte."""
    for path in (folder / "blobs/sha256").iterdir():
        data = bytearray(path.read_bytes())
        if data[:1] != b"{" or records and b'"files"' in data:
            data[len(data) // 2] ^= 1
            path.write_bytes(data)


def foreign(shop, later, place):
    shutil.copytree(later.cache, place)


def unsigned(shop, later, place):
    shutil.copytree(later.cache, place)
    path = next(path for path in (place / "blobs/sha256").iterdir() if b"payloadType" in path.read_bytes()[:300])
    document = json.loads(path.read_text())
    document["signatures"][0]["sig"] = document["signatures"][0]["sig"][::-1]
    path.write_text(json.dumps(document))


def wrong_bytes(shop, later, place):
    shutil.copytree(later.cache, place)
    break_blobs(place)


def without_blobs(shop, later, place):
    shutil.copytree(later.cache, place)
    for path in (place / "blobs/sha256").iterdir():
        if path.read_bytes()[:1] != b"{":
            path.unlink()


def without_tables(shop, later, place):
    shutil.copytree(later.cache, place)
    for path in (place / "blobs/sha256").iterdir():
        if path.read_bytes()[:8] == b'{"rows":':
            path.unlink()


def fifos(shop, later, place):
    shutil.copytree(later.cache, place)
    for path in (place / "blobs/sha256").iterdir():
        if path.read_bytes()[:1] != b"{":
            path.unlink()
            os.mkfifo(path)


def no_layout(shop, later, place):
    place.mkdir()
    (place / "index.json").write_text("[" * 70000)
    (place / "blobs/sha256").mkdir(parents=True)


def cut_tar(shop, later, place):
    place.write_bytes(later.tar.read_bytes()[:-700])


BAD = [foreign, unsigned, wrong_bytes, without_blobs, without_tables, fifos, no_layout, cut_tar]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_a_bad_place_is_never_worse_than_none(root, shop, tmp_path, bad):
    """What the image carries serves; and where it carries nothing, so does the place after the bad one."""
    later = newer(shop, tmp_path, foreign=bad is foreign)
    (root / "mnt").mkdir()
    bad(shop, later, root / "mnt/bad")
    set_conf(root, "sources=file:/mnt/bad")
    assert not any(path.name == "nic.conf" for path in root.rglob("nic.conf"))
    shop.embed(root)
    status = assert_served(root, shop)
    if bad is not fifos:
        assert "/mnt/bad" in json.dumps(status["timeline"])
    shutil.rmtree(root / "etc/larder-test")
    shutil.rmtree(root / "usr/lib/larder/cache")
    shutil.rmtree(root / "var/lib/larder")
    shutil.copy(shop.tar, root / "mnt/good.tar")
    set_conf(root, "sources=file:/mnt/bad,file:/mnt/good.tar")
    assert_served(root, shop)


@pytest.mark.parametrize("tar", [True, False])
def test_blobs_without_an_end_cost_nothing(root, shop, tmp_path, tar):
    """T12, T30: a foreign disk may say of a blob that it has a tebibyte; what has another size than was signed is not hashed."""
    bad = root / "mnt/bad"
    shutil.copytree(shop.cache, bad)
    blobs = [path for path in (bad / "blobs/sha256").iterdir() if path.read_bytes()[:1] != b"{"]
    assert blobs
    for path in blobs:
        os.truncate(path, 1 << 40)
    if tar:
        shutil.rmtree(bad)
        endless_tar(shop.cache, [path.name for path in blobs], bad)
    set_conf(root, "sources=file:/mnt/bad")
    code, status = firstboot(root, prefix=("timeout", "-s", "KILL", "60"))
    assert (code, status["reason"]) == (14, "not_carried"), status


def endless_tar(cache, endless, path):
    """Our tar, in which these blobs are holes of a tebibyte."""
    with open(path, "wb") as file:
        def add(name, size, data=None):
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, size
            header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
            header[257:265] = b"ustar\x0000"
            header[329:345] = b"0000000\x000000000\0"
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header[:512])
            file.write(header[:512])
            file.write(data) if data is not None else file.seek(size, os.SEEK_CUR)
            file.write(bytes(-size % 512))
        for name in ("oci-layout", "index.json"):
            data = (cache / name).read_bytes()
            add(name, len(data), data)
        for blob in sorted((cache / "blobs/sha256").iterdir()):
            data = None if blob.name in endless else blob.read_bytes()
            add(f"blobs/sha256/{blob.name}", 1 << 40 if data is None else len(data), data)
        file.write(bytes(1024))


def test_wrong_bytes_are_looked_for_in_the_next_place(root, shop, tmp_path):
    (root / "mnt").mkdir()
    shutil.copytree(shop.cache, root / "mnt/bad")
    break_blobs(root / "mnt/bad", records=False)
    set_conf(root, "sources=file:/mnt/bad")
    assert_missed(root)
    put_package(root, shop.tar)
    assert_served(root, shop)


def test_an_older_place_gives_blobs_alone(root, shop, tmp_path):
    """The image carries a newer statement that names the same blobs, without them."""
    shop.bake("--key", shop.keys(), "--serial", 7)
    shop.embed(root)
    for path in (root / "usr/lib/larder/cache/blobs/sha256").iterdir():
        if path.read_bytes()[:1] != b"{":
            path.unlink()
    assert_missed(root)
    put_package(root, shop.tar)
    status = assert_served(root, shop)
    assert json.loads((root / "run/larder/status.json").read_text())["statement"]["serial"] == 7, status


def test_below_the_floor_only_blobs(root, shop, tmp_path):
    (root / "etc/larder/floor").write_text("100\n")
    put_package(root, shop.tar)
    assert firstboot(root)[0] == 14
    assert not installed(root)


def test_a_newer_place_serves_is_stored_and_outlives_its_medium(root, shop, disks, tmp_path):
    shop.embed(root)
    assert_served(root, shop)
    later = newer(shop, tmp_path)
    disks.add("vdb", image_of(later.tar, tmp_path / "disk"))
    status = assert_served(root, later)
    assert "vdb" in json.dumps(status["timeline"])
    assert firstboot(root)[1]["state"] == "idle"
    shutil.rmtree(root / "sys/class/block/vdb")
    assert_served(root, later)
    assert firstboot(root)[1]["state"] == "idle"
    assert json.loads((root / "run/larder/status.json").read_text())["statement"]["serial"] == 9


def test_plan_says_what_run_would_do(root, shop):
    put_package(root, shop.tar)
    done = run("larder-firstboot", "plan", "--sysroot", root)
    assert done.returncode == 0 and "nic 1.0 nic" in done.stdout, (done.stdout, done.stderr)


@pytest.mark.parametrize("line", ["volumes=yes", "sources=file:relative", "sources=ftp://x/y", "sources=file:/a/,file:/b"])
def test_settings_that_are_none(root, shop, line):
    set_conf(root, line)
    assert line.split("=")[0] in run("larder-firstboot", "plan", "--sysroot", root).stderr
