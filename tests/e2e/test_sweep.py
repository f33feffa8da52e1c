"""What happens when the disk says no, or the power goes, at every system call that changes something.

Each job is run under strace, which makes the 1st, 2nd, ... write, fsync, rename, mkdir or link fail, or kills the
program there. Afterwards the old or the new state is there, whole; the next run finishes the job and leaves no
litter. `make check` takes one fault at each place, in turn; LARDER_SWEEP=all takes every fault at each."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

import verifier  # noqa: E402
from larder import BUILD, TRACED, Workshop, good  # noqa: E402
from test_firstboot import firstboot, installed, litter, make_root, only_files  # noqa: E402
from test_net import BLOBS, INCOMING, configure, deliver, want  # noqa: E402

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "syncfs", "rename", "renameat", "renameat2",
         "mkdir", "mkdirat", "link", "linkat", "symlinkat", "unlinkat", "ftruncate", "copy_file_range")
FAULTS = ("error=ENOSPC", "error=EIO", "signal=KILL")
EVERY = os.environ.get("LARDER_SWEEP") == "all"
ENV = {"SOURCE_DATE_EPOCH": "1700000000", **TRACED}


def strace(command, *options, env):
    """Run under strace; a crash is no answer, but being killed by the fault is."""
    done = subprocess.run(["strace", "-f", "-qq", *options, *map(str, command)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, env={**os.environ, **ENV, **env})
    assert "Sanitizer" not in done.stderr, done.stderr
    assert done.returncode < 99 or done.returncode in (-9, 137), (command, done)
    return done


def places(command, env, folder):
    """Every call that can fail: (name, which one of a process)."""
    trace = folder / "trace"
    strace(command, "-e", "trace=" + ",".join(CALLS), "-o", trace, env=env)
    counts = Counter()
    for process, name in re.findall(r"^(\d+) +(\w+)\(", trace.read_text(), re.M):
        counts[process, name] += 1
    most = Counter()
    for (_, name), count in counts.items():
        most[name] = max(most[name], count)
    return [(name, number) for name in CALLS for number in range(1, most[name] + 1)]


def reachable(cache):
    """What index.json leads to, by name."""
    blobs = cache / "blobs/sha256"
    names = set()

    def follow(entry):
        name = entry["digest"].split(":")[1]
        names.add(name)
        if "manifest" in entry["mediaType"] or "index" in entry["mediaType"]:
            document = json.loads((blobs / name).read_text())
            for child in [*document.get("manifests", []), *document.get("layers", []),
                          *([document["config"]] if "config" in document else [])]:
                follow(child)

    follow(json.loads((cache / "index.json").read_text())["manifests"][0])
    return names


def is_tidy(cache):
    """Nothing is there but what index.json leads to."""
    assert {path.name for path in cache.iterdir()} == {"oci-layout", "index.json", "blobs"}
    assert {path.name for path in (cache / "blobs").iterdir()} == {"sha256"}
    assert {path.name for path in (cache / "blobs/sha256").iterdir()} == reachable(cache)


def serial(cache, trust):
    """Of a cache that is whole."""
    report = verifier.verify(cache, trust, 0)
    assert report.verdict == "clean", vars(report)
    return report.serial


class Job:
    """Work in a folder that each fault gets a fresh copy of; code is what it ends with when nothing goes wrong."""

    code = 0

    def __init__(self, shop):
        self.shop = shop

    def prepare(self, folder):
        """Put the old state into a new folder."""

    def command(self, folder):
        """What is run, with and without faults."""

    def env(self, folder):
        return {"XDG_CACHE_HOME": str(folder / "home")}

    def check_whole(self, folder):
        """Old or new, and whole."""

    def check_done(self, folder):
        """New, and tidy."""


class Bake(Job):
    """A cache with serial 1 gets another serial, other files and another bundle's row."""

    def prepare(self, folder):
        for name in ("store", "cache", "nic.json", "nic.lock.json", "vendor.tar.gz", "fleet.key"):
            source = self.shop.folder / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
        (folder / "home").mkdir()
        document = json.loads((folder / "nic.json").read_text())
        document["bundles"][0]["take"][0]["into"] = "other"
        document["bundles"][0]["install"][0]["files"] = ["other/*"]
        (folder / "nic.json").write_text(json.dumps(document))

    def command(self, folder):
        return [BUILD / "larder", "bake", folder / "nic.json", "--store", folder / "store", "--cache",
                folder / "cache", "--key", folder / "fleet.key", "--progress", "none"]

    def check_whole(self, folder):
        assert serial(folder / "cache", self.shop.trust) in (1, 2)

    def check_done(self, folder):
        assert serial(folder / "cache", self.shop.trust) == 2
        is_tidy(folder / "cache")
        litter = [path for path in (folder / "store").rglob("*") if ".draft" in path.name]
        assert not litter, litter


POOL, RECORD = "var/lib/hyperv/.kvp_pool_1", 512 + 2048
OTHER = b"HostName".ljust(512, b"\0") + b"h".ljust(RECORD - 512, b"\0")


class Stage(Job):
    """A machine's first boot: staging, the files step, the state that is kept, and who is told."""

    def prepare(self, folder):
        root = make_root(folder / "root")
        self.shop.embed(root)
        (root / POOL).parent.mkdir()
        (root / POOL).write_bytes(OTHER)
        (root / "var/lib/prometheus/node-exporter").mkdir(parents=True)

    def command(self, folder):
        return [BUILD / "larder-firstboot", "run", "--sysroot", folder / "root"]

    def check_whole(self, folder):
        wanted = {"nic.ko": self.shop.files["vendor/nic.ko"], "nic.conf": self.shop.files["vendor/nic.conf"]}
        drafts = {name for name in installed(folder / "root") if ".draft" in name}
        for name, data in installed(folder / "root").items():
            assert name in drafts or data == wanted[name], name
        pool = (folder / "root" / POOL).read_bytes()
        assert pool.startswith(OTHER) and len(pool) % RECORD == 0, len(pool)

    def check_done(self, folder):
        root = folder / "root"
        status = json.loads((root / "run/larder/status.json").read_text())["moments"]["main"]
        assert status["reason"] == "done", status
        assert set(installed(root)) == {"nic.ko", "nic.conf"}
        assert len((root / POOL).read_bytes()) == 5 * RECORD
        assert "larder_run_success" in (root / "var/lib/prometheus/node-exporter/larder.prom").read_text()
        self.check_whole(folder)
        assert not litter(root), litter(root)


class TakeIn(Job):
    """What a download brought is taken in, and installed; whatever breaks off, nothing of it has to be brought again."""

    def prepare(self, folder):
        root = make_root(folder / "root")
        self.shop.embed(root)
        configure(root, "sources=https://mirror.lan/larder")
        (root / "usr/libexec/larder/larder-download").touch()
        missing = [file["blob"]["digest"].split(":")[1] for file in self.shop.record()["files"]]
        for name in missing:
            (root / BLOBS / name).unlink()
        assert firstboot(root)[1]["state"] == "pending"
        deliver(root, self.shop.blobs())

    def command(self, folder):
        return [BUILD / "larder-firstboot", "run", "--net", "--sysroot", folder / "root"]

    def check_whole(self, folder):
        wanted = {"nic.ko": self.shop.files["vendor/nic.ko"], "nic.conf": self.shop.files["vendor/nic.conf"]}
        found = {name: data for name, data in installed(folder / "root").items() if ".draft" not in name}
        assert found.items() <= wanted.items()
        for path in (folder / "root/var/lib/larder/blobs").glob("[0-9a-f]*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name

    def check_done(self, folder):
        root = folder / "root"
        assert installed(root) == {"nic.ko": self.shop.files["vendor/nic.ko"],
                                   "nic.conf": self.shop.files["vendor/nic.conf"]}
        assert not litter(root) and not (root / INCOMING).exists() and want(root) is None


class Copy(Job):
    """A cache with serial 2 goes to where one with serial 1 is."""

    source, target = "new", "there"

    def prepare(self, folder):
        for name in (self.source, self.target):
            made = self.shop.folder / "moved" / name
            (shutil.copytree if made.is_dir() else shutil.copy2)(made, folder / name)
        (folder / "home").mkdir()

    def command(self, folder):
        return [BUILD / "larder", "copy", folder / self.source, folder / self.target, "--progress", "none"]

    def check_whole(self, folder):
        assert serial(folder / self.target, self.shop.trust) in (1, 2)

    def check_done(self, folder):
        assert {path.name for path in folder.iterdir()} == {self.source, self.target, "home"}
        assert serial(folder / self.target, self.shop.trust) == 2
        if (folder / self.target).is_dir():
            is_tidy(folder / self.target)


class CopyToTar(Copy):
    """To a tar, which the new one replaces whole."""

    target = "there.tar"


class CopyFromTar(Copy):
    """Out of a tar."""

    source = "new.tar"


class CopyPart(Copy):
    """What a delta brings, into its base."""

    source = "part.tar"


def one_fault(job, folder, call, number, fault):
    """One run with one fault, and one without."""
    folder.mkdir()
    job.prepare(folder)
    command, env = job.command(folder), job.env(folder)
    strace(command, "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}",
           env=env)
    job.check_whole(folder)
    again = subprocess.run(list(map(str, command)), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                           env={**os.environ, **ENV, **env})
    assert again.returncode == job.code, (again.stdout, again.stderr)
    job.check_done(folder)
    shutil.rmtree(folder)


def sweep(job, tmp_path):
    """All places; returns how many runs that were."""
    first = tmp_path / "first"
    first.mkdir()
    job.prepare(first)
    where = places(job.command(first), job.env(first), tmp_path)
    job.check_done(first)
    runs = [(call, number, fault) for i, (call, number) in enumerate(where)
            for j, fault in enumerate(FAULTS) if EVERY or i % len(FAULTS) == j]

    def attempt(run):
        try:
            one_fault(job, tmp_path / "-".join(map(str, run)).replace("=", ""), *run)
        except AssertionError as error:
            return run, error
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = [result for result in pool.map(attempt, runs) if result]
    assert not failed, (len(failed), failed[:3])
    return len(runs)


@pytest.fixture
def shop(tmp_path):
    """A cache with serial 1, and in "moved" that and one with serial 2, in each form."""
    made = Workshop(tmp_path / "shop")
    made.write_manifest(only_files)
    made.bake()
    moved = made.folder / "moved"
    shutil.copytree(made.cache, moved / "there")
    made.write_manifest(lambda document: (only_files(document), document["template"].update(rank=51)))
    made.cache = moved / "new"
    shutil.copytree(moved / "there", moved / "new")
    made.bake()
    good("larder", "copy", moved / "there", moved / "there.tar")
    good("larder", "copy", moved / "new", moved / "new.tar")
    good("larder", "copy", moved / "new", moved / "part.tar", "--since", moved / "there")
    made.cache = made.folder / "cache"
    made.write_manifest(only_files)
    return made


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [Bake, Stage, TakeIn, Copy, CopyToTar, CopyFromTar, CopyPart])
def test_old_or_new_and_then_done(shop, tmp_path, kind):
    assert sweep(kind(shop), tmp_path) > 10
