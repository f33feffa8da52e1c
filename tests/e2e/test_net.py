"""The download after a miss, from the agent's side: what it asks for, what it takes in of what was brought, how that ends, and
`larder-firstboot update`. Whoever brings is the test: files in incoming/ and a report, which is all that passes between the two."""

import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

from larder import BUILD, KERNEL, Workshop, good, refused, run, tar_gz
from test_firstboot import ADDRESS, device, firstboot, installed, litter, make_root, only_files
from test_serial import our_tar

STATE, INCOMING, NEED = "var/lib/larder", "var/lib/larder/incoming", "run/larder/neednet"
BLOBS = "usr/lib/larder/cache/blobs/sha256"
SOURCE = "https://mirror.lan/larder"
BIG = random.Random(7).randbytes(5 << 19)  # two chunks and a half; a compressor leaves it as it is


def files(serial):
    """What the offer of a serial has: a large file that all share, and one of its own."""
    return {"vendor/nic.ko": BIG, "vendor/nic.conf": b"options nic serial=%d\n" % serial}


class Offers(Workshop):
    """One driver as it goes through serials."""

    def make(self, serial, key="fleet", kernel=KERNEL):
        """The cache of a serial, in a folder of its own."""
        self.files = files(serial)
        self.archive.write_bytes(tar_gz(self.files))
        self.archive = self.archive.rename(self.folder / f"vendor{serial}.tar.gz")
        self.write_manifest(lambda document: (only_files(document), document["template"].update(kernels=[kernel])))
        self.cache = self.folder / f"{key}{serial}-{kernel}"
        signer = self.keys(key)
        self.fetch()
        good("larder", *self.bake_args("--key", signer, "--serial", serial))
        return self.cache


@pytest.fixture(scope="module")
def offers(tmp_path_factory):
    made = Offers(tmp_path_factory.mktemp("offers"))
    made.old, made.new, made.newest = made.make(5), made.make(7), made.make(9)
    made.elsewhere = made.make(6, kernel="6.1.0-9-other")
    made.foreign = made.make(8, "other")
    return made


def blobs_of(cache):
    """Name -> bytes."""
    return {path.name: path.read_bytes() for path in (cache / "blobs/sha256").iterdir()}


def top_of(cache):
    """Names of what index.json leads to first: index, manifest, envelope, chain; and the tables."""
    def load(name):
        return json.loads((cache / "blobs/sha256" / name).read_text())

    def name(descriptor):
        return descriptor["digest"].split(":")[1]
    index = name(json.loads((cache / "index.json").read_text())["manifests"][0])
    manifest = name(load(index)["manifests"][0])
    layers = load(manifest)["layers"]
    tables = {name(layer) for layer in layers if "table" in layer["mediaType"]}
    return {index, manifest, *(name(layer) for layer in layers)} - tables, tables


def bring(root, cache, only=lambda name: True):
    """The machine carries this cache, or a part of it."""
    to = root / "usr/lib/larder/cache"
    shutil.rmtree(to, ignore_errors=True)
    if cache:
        shutil.copytree(cache, to)
        for path in (to / "blobs/sha256").iterdir():
            if not only(path.name):
                path.unlink()


def configure(root, *lines):
    (root / "etc/larder/firstboot.conf").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(offers, tmp_path):
    """A machine with the fleet's trust root and a source, and without a cache."""
    made = make_root(tmp_path / "root")
    (made / "etc/larder").mkdir()
    (made / "usr/lib/larder").mkdir(parents=True)
    shutil.copy(offers.trust, made / "etc/larder/trust.json")
    (made / "usr/libexec/larder").mkdir(parents=True)
    (made / "usr/libexec/larder/larder-download").touch()
    configure(made, f"sources={SOURCE}")
    return made


def want(root):
    """What is asked for, or None."""
    path = root / NEED
    if not path.exists():
        return None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return json.loads(path.read_text())


def wanted(root):
    return [blob["digest"].split(":")[1] for blob in want(root)["blobs"]]


def report(root, reason="done", text="", **more):
    """What the downloader leaves."""
    (root / "run/larder/download.json").write_text(json.dumps(
        {"format": "larder.download.v1", "reason": reason, "text": text, "fetched": 1, "brought": 1, "wanted": 1, **more}))


def deliver(root, have, names=None, **told):
    """Hand over what is asked for, as far as it is there."""
    folder = root / INCOMING / "blobs/sha256"
    folder.mkdir(parents=True, exist_ok=True)
    for name in wanted(root) if names is None else names:
        if name in have:
            (folder / name).write_bytes(have[name])
    report(root, **told)


def deliver_top(root, cache):
    """Hand over the top alone."""
    have, (top, _) = blobs_of(cache), top_of(cache)
    (root / INCOMING).mkdir(parents=True, exist_ok=True)
    for name in ("index.json", "oci-layout"):
        shutil.copy(cache / name, root / INCOMING)
    deliver(root, have, top)


def net(root, *args, prefix=()):
    """The moment behind a download; (exit code, what it says)."""
    done = run("larder-firstboot", "run", "--net", "--sysroot", root, *args, prefix=prefix)
    status = json.loads((root / "run/larder/status.json").read_text())
    return done.returncode, status["moments"]["net"]


def rounds(root, *caches):
    """Deliver until nothing is asked for any more; the last word, and how many rounds that took."""
    have = {name: data for cache in caches for name, data in blobs_of(cache).items()}
    for count in range(want(root)["round"], 10):
        if want(root)["top"]:
            deliver_top(root, caches[-1])
        deliver(root, have)
        code, status = net(root)
        if status["state"] != "pending":
            return code, status, count
        assert code == 0 and want(root)["round"] == count + 1
    raise AssertionError("it never ends")


def kept(root):
    """The blobs in the state folder, each proven and root's alone."""
    found = {}
    for path in (root / STATE / "blobs").glob("*"):
        assert path.is_file() and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o600
        found[path.name] = path.read_bytes()
        assert hashlib.sha256(found[path.name]).hexdigest() == path.name
    return found


def is_done(root, serial):
    """All is in place, and nothing is left over."""
    assert installed(root) == {name.split("/")[1]: data for name, data in files(serial).items()}
    assert not litter(root) and want(root) is None and not (root / "run/larder/download.json").exists()
    assert not (root / INCOMING).exists() and not (root / STATE / "offer").exists()
    kept(root)


def events(status):
    return {row["event"]: row["detail"] for row in status["timeline"]}


# --- a miss ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("carried, count", [("top", 3), ("tables", 2), ("all but files", 1), ("one file", 1)])
def test_what_is_missing_comes_round_by_round(offers, root, carried, count):
    """Tables, then the record, then files: each tells what comes next."""
    top, tables = top_of(offers.new)
    large = hashlib.sha256(BIG).hexdigest()
    whole = blobs_of(offers.new)
    parts = {"top": lambda name: name in top, "tables": lambda name: name in top | tables,
             "all but files": lambda name: name != large and whole[name] != files(7)["vendor/nic.conf"],
             "one file": lambda name: name != large}
    bring(root, offers.new, parts[carried])
    code, status = firstboot(root)
    assert (code, status["state"], status["reason"], status["code"]) == (0, "pending", "not_carried", 0), status
    asked = want(root)
    assert asked["format"] == "larder.want.v1" and asked["round"] == 1 and asked["sources"] == [SOURCE]
    assert (asked["race"], asked["connections"], asked["budget_s"], asked["top"]) == (False, 4, 600, False)
    code, status, took = rounds(root, offers.new)
    assert (code, status["state"], status["reason"], took) == (0, "done", "done", count), status
    is_done(root, 7)
    moments = json.loads((root / "run/larder/status.json").read_text())["moments"]
    assert list(moments) == ["main", "net"] and moments["main"]["state"] == "pending"
    assert firstboot(root)[1]["state"] == "idle"


def test_chunks_are_asked_for(offers, root):
    large = hashlib.sha256(BIG).hexdigest()
    bring(root, offers.new, lambda name: name != large)
    firstboot(root)
    step = 1 << 20
    assert want(root)["blobs"] == [{"digest": "sha256:" + large, "size": len(BIG), "chunks": [
        hashlib.sha256(BIG[at:at + step]).hexdigest() for at in range(0, len(BIG), step)]}]


@pytest.mark.parametrize("lines", [[], ["download=no", f"sources={SOURCE}"], ["sources=ftp://mirror.lan/x"]])
def test_without_a_source_a_miss_is_a_miss(offers, root, lines):
    configure(root, *lines)
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    code, status = firstboot(root)
    assert (code, status["state"], status["reason"]) == (14, "failed", "not_carried")
    assert want(root) is None


def test_the_statement_names_sources_behind_those_of_the_owner(tmp_path):
    shop = Workshop(tmp_path / "shop")
    shop.write_manifest(only_files)
    site = tmp_path / "site.json"
    site.write_text(json.dumps({"format": "larder.site.v1", "sources": [SOURCE, "oci://r.lan/hpc:7"]}))
    shop.bake("--key", shop.keys(), "--site", site)
    made = make_root(tmp_path / "root")
    shop.embed(made)
    (made / BLOBS / shop.table()["rows"][0]["record"]["digest"].split(":")[1]).unlink()
    assert firstboot(made)[1]["state"] == "pending"
    assert want(made)["sources"] == [SOURCE, "oci://r.lan/hpc:7"] and want(made)["created"] == shop.statement()["predicate"]["created"]
    configure(made, "sources=http://own.lan/x,oci://r.lan/hpc:7")
    firstboot(made)
    assert want(made)["sources"] == ["http://own.lan/x", "oci://r.lan/hpc:7", SOURCE]


def test_the_early_moment_leaves_a_miss_to_the_main_one(offers, root):
    """It asks nobody, and is no failure: there is no network yet. Without a source it is one, as ever."""
    (root / "sys/devices/pci" / ADDRESS / "driver").unlink()
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    code, status = firstboot(root, "--early")
    assert (code, status["state"], status["reason"], status["code"]) == (0, "pending", "not_carried", 0), status
    assert want(root) is None
    configure(root)
    code, status = firstboot(root, "--early")
    assert (code, status["state"], status["reason"]) == (14, "failed", "not_carried"), status


def test_without_the_program_nothing_is_asked_for(offers, root):
    """An image that was made with --no-download is as it was: nobody waits for what will not come."""
    (root / "usr/libexec/larder/larder-download").unlink()
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    code, status = firstboot(root)
    assert (code, status["reason"], want(root)) == (14, "not_carried", None)


def test_settings_reach_the_downloader(offers, root):
    configure(root, "sources=http://a.lan/x,oci://b.lan/hpc:7", "race=yes", "connections=9", "net_budget_s=77",
              "proxy=http://proxy:3128", "ca=/etc/ca.pem")
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    asked = want(root)
    assert {key: asked[key] for key in ("sources", "race", "connections", "budget_s", "proxy", "ca")} == {
        "sources": ["http://a.lan/x", "oci://b.lan/hpc:7"], "race": True, "connections": 9, "budget_s": 77,
        "proxy": "http://proxy:3128", "ca": "/etc/ca.pem"}


def test_a_dry_run_asks_for_nothing(offers, root):
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    assert run("larder-firstboot", "run", "--dry-run", "--sysroot", root).returncode == 14
    assert want(root) is None and not (root / STATE).exists()


def test_status_waits_for_the_end_of_it(offers, root):
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    refused("not over after 1 s", "larder-firstboot", "status", "--wait", "1", "--sysroot", root, code=14)
    rounds(root, offers.new)
    good("larder-firstboot", "status", "--wait", "1", "--sysroot", root)


def test_metrics_and_log_tell_of_it(offers, root):
    (root / "var/lib/prometheus/node-exporter").mkdir(parents=True)
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    scraped = root / "var/lib/prometheus/node-exporter/larder.prom"
    assert 'larder_run_reason{moment="main",state="pending",reason="not_carried"} 1' in scraped.read_text()
    assert re.search(r'larder_download_missing_blobs\{moment="main"\} 1\n', scraped.read_text())
    rounds(root, offers.new)
    assert 'larder_run_success{moment="net"} 1' in scraped.read_text()
    assert 'larder_download_missing_blobs{moment="net"} 0' in scraped.read_text()
    lines = [json.loads(line) for line in (root / "var/log/larder.log").read_text().splitlines()]
    assert {"download asked for", "download over", "blobs taken in"} <= {line.get("event") for line in lines}
    assert {line["moment"] for line in lines} == {"main", "net"}


# --- how it ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["unreachable", "upstream_changed", "damaged", "no_space", "timeout", "untrusted"])
def test_the_downloader_s_reason_stands(offers, root, reason):
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    report(root, reason, "mirror.lan: \u202eno such host")
    code, status = net(root)
    assert (code, status["state"], status["reason"]) == (14, "failed", reason), status
    assert "no such host" in status["text"] and "\u202e" not in status["text"] and status["remedy"]
    assert want(root) is None and not installed(root)
    assert run("larder-firstboot", "status", "--wait", "1", "--sysroot", root).returncode == 14


def test_a_round_without_progress_is_the_last(offers, root):
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    deliver(root, blobs_of(offers.new))
    assert net(root)[1]["state"] == "pending" and want(root)["round"] == 2
    report(root, "timeout", "the budget is used up")
    assert net(root)[1]["reason"] == "timeout" and want(root) is None


def test_no_more_than_eight_rounds(offers, root):
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    asked = want(root)
    asked["round"] = 8
    (root / NEED).write_text(json.dumps(asked))
    deliver(root, blobs_of(offers.new))
    assert net(root)[1]["reason"] == "not_carried" and want(root) is None


@pytest.mark.parametrize("content", [
    "", "{", "[]", '{"format":"larder.download.v1"}', "x" * 100000,
    json.dumps({"format": "larder.download.v1", "reason": "reboot_needed", "text": "", "fetched": 0, "brought": 0, "wanted": 0}),
    json.dumps({"format": "larder.download.v1", "reason": "done", "text": "", "fetched": -1, "brought": 0, "wanted": 0}),
    json.dumps({"format": "larder.download.v1", "reason": "done", "text": "", "fetched": 0, "brought": 0, "wanted": 0, "run": "sh"}),
    "link", "fifo", "folder"])
def test_a_hostile_report_is_no_report(offers, root, content):
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    path = root / "run/larder/download.json"
    if content == "link":
        path.symlink_to("/dev/zero")
    elif content == "fifo":
        os.mkfifo(path)
    elif content == "folder":
        (path / "deep").mkdir(parents=True)
    else:
        path.write_text(content)
    code, status = net(root, prefix=("timeout", "-s", "KILL", "20"))
    assert (code, status["state"], status["reason"]) == (14, "failed", "not_carried"), status
    assert not os.path.lexists(path)


# --- what is handed over is hostile ------------------------------------------------------------------


def spoil(root, name, data, how):
    """Something that is not the blob, under its name."""
    folder = root / INCOMING / "blobs/sha256"
    shutil.rmtree(root / INCOMING, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / name
    outside = root.parent / "outside"
    outside.write_bytes(data)
    if how == "first byte":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif how == "last byte":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "short":
        path.write_bytes(data[:-1])
    elif how == "long":
        path.write_bytes(data + b"x")
    elif how == "huge":
        path.touch()
        os.truncate(path, 1 << 40)
    elif how == "empty":
        path.touch()
    elif how == "link":
        path.symlink_to(outside)
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "folder":
        (path / "a/b").mkdir(parents=True)
    elif how in ("sha256 a link", "blobs a link", "incoming a link"):
        (root.parent / "away").mkdir(exist_ok=True)
        where = {"s": folder, "b": folder.parent, "i": root / INCOMING}[how[0]]
        inside = root.parent / "away" / folder.relative_to(where)
        inside.mkdir(parents=True, exist_ok=True)
        (inside / name).write_bytes(data)
        shutil.rmtree(where)
        where.symlink_to(root.parent / "away")
    elif how == "incoming a file":
        shutil.rmtree(root / INCOMING)
        (root / INCOMING).write_bytes(data)
    report(root)


SPOILT = ["first byte", "last byte", "short", "long", "huge", "empty", "link", "fifo", "folder", "sha256 a link",
          "blobs a link", "incoming a link", "incoming a file"]


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("what", ["table", "file"])
def test_what_is_not_the_blob_is_refused(offers, root, how, what):
    """And is gone afterwards; nothing outside is touched; an honest hand-over serves then."""
    top, tables = top_of(offers.new)
    large = hashlib.sha256(BIG).hexdigest()
    bring(root, offers.new, (lambda name: name in top) if what == "table" else (lambda name: name != large))
    firstboot(root)
    name = wanted(root)[0]
    assert name == (large if what == "file" else sorted(tables)[0])
    spoil(root, name, blobs_of(offers.new)[name], how)
    code, status = net(root, prefix=("timeout", "-s", "KILL", "30"))
    assert (code, status["state"]) == (14, "failed"), status
    assert status["reason"] == ("not_carried" if " a " in how else "damaged"), status
    assert not installed(root) and not litter(root) and name not in kept(root)
    assert not os.path.lexists(root / INCOMING / "blobs") and want(root) is None
    if "a link" in how:
        assert list((root.parent / "away").rglob(name))
    firstboot(root)
    assert rounds(root, offers.new)[1]["state"] == "done"
    is_done(root, 7)


def test_a_writer_that_keeps_its_descriptor(offers, root):
    """T1: whatever it writes while the blob is taken in and installed, only the signed bytes are."""
    large = hashlib.sha256(BIG).hexdigest()
    bring(root, offers.new, lambda name: name != large)
    firstboot(root)
    bad = bytes(len(BIG))
    outcomes = set()
    for attempt in range(12):
        if want(root) is None:
            firstboot(root)
        deliver(root, {large: BIG})
        stop = threading.Event()
        fd = os.open(root / INCOMING / "blobs/sha256" / large, os.O_RDWR)

        def rewrite(fd=fd, stop=stop, pause=attempt / 2000):
            while not stop.is_set():
                os.pwrite(fd, bad, 0)
                os.pwrite(fd, BIG, 0)
                stop.wait(pause)

        writer = threading.Thread(target=rewrite)
        writer.start()
        try:
            code, status = net(root)
        finally:
            stop.set()
            writer.join()
            os.pwrite(fd, bad, 0)
            os.close(fd)
        outcomes.add(status["reason"])
        assert (code, status["reason"]) in ((0, "done"), (14, "damaged")), status
        assert installed(root).get("nic.ko", BIG) == BIG and kept(root).get(large, BIG) == BIG
        for path in (root / "etc/larder-test", root / "var/lib/larder/journal", root / "var/lib/larder/stamp"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        (root / STATE / "blobs" / large).unlink(missing_ok=True)
    assert outcomes <= {"done", "damaged"}


def nest(path, depth=3000):
    """A folder that is deeper than a process has descriptors."""
    path.mkdir(parents=True)
    at = os.open(path, os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=at)
        above, at = at, os.open("d", os.O_DIRECTORY, dir_fd=at)
        os.close(above)
    os.close(at)


@pytest.mark.parametrize("where", ["blobs/sha256/{}", "blobs/!", "!", "partial/{}", "partial/{}.x/!"])
def test_a_very_deep_folder_does_not_stay(offers, root, where):
    """T23: else nothing could ever be brought under that name again."""
    large = hashlib.sha256(BIG).hexdigest()
    bring(root, offers.new, lambda name: name != large)
    firstboot(root)
    nest(root / INCOMING / where.format(large))
    report(root)
    code, status = net(root, prefix=("timeout", "-s", "KILL", "30", "prlimit", "--nofile=1024"))
    assert (code, status["state"]) == (14, "failed"), status
    left = [path for name in ("", "partial") for path in (root / INCOMING / name).glob("*") if path.name != "partial"]
    assert not left, left
    firstboot(root)
    assert rounds(root, offers.new)[1]["state"] == "done"
    is_done(root, 7)


def test_a_lease_holds_nothing_up(offers, root):
    """A writer that is alive may hold one on its file; that is no failure of this machine's disk, and what it brought goes."""
    large = hashlib.sha256(BIG).hexdigest()
    bring(root, offers.new, lambda name: name != large)
    firstboot(root)
    deliver(root, {large: BIG})
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    with open(root / INCOMING / "blobs/sha256" / large, "r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        code, status = net(root, prefix=("timeout", "-s", "KILL", "20"))
    assert (code, status["reason"]) == (14, "damaged"), status
    assert not os.path.lexists(root / INCOMING / "blobs") and want(root) is None
    firstboot(root)
    assert rounds(root, offers.new)[1]["state"] == "done"
    is_done(root, 7)


def test_incoming_is_taken_after_a_power_cut(offers, root):
    """/run is gone, incoming/ stays: the main moment takes it, and wants only the rest. What is half there stays for it."""
    large, conf = (hashlib.sha256(data).hexdigest() for data in files(7).values())
    bring(root, offers.new, lambda name: name not in (large, conf))
    firstboot(root)
    assert wanted(root) == sorted((large, conf), key=lambda name: name == large) or set(wanted(root)) == {large, conf}
    deliver(root, blobs_of(offers.new), [conf])
    partial = root / INCOMING / "partial"
    partial.mkdir()
    (partial / large).write_bytes(BIG[:1 << 20])
    (partial / ("0" * 64)).write_bytes(b"nobody's")
    shutil.rmtree(root / "run/larder")
    assert firstboot(root)[1]["state"] == "pending"
    assert wanted(root) == [large] and [path.name for path in partial.iterdir()] == [large]
    shutil.rmtree(root / "run/larder")
    deliver_all = root / INCOMING / "blobs/sha256"
    deliver_all.mkdir(parents=True)
    (deliver_all / large).write_bytes(BIG)
    code, status = firstboot(root)
    assert (code, status["state"]) == (0, "done"), status
    is_done(root, 7)


def test_no_room_is_said_and_costs_nothing(offers, root):
    """A full disk: what was brought stays, and the next run takes it."""
    large = hashlib.sha256(BIG).hexdigest()
    bring(root, offers.new, lambda name: name != large)
    firstboot(root)
    deliver(root, blobs_of(offers.new))
    full = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=ENOSPC:when=1+")
    done = run("larder-firstboot", "run", "--net", "--sysroot", root, "--json", prefix=full)
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (14, "no_space"), done.stdout
    assert not installed(root) and not litter(root)
    code, status = firstboot(root)
    assert (code, status["state"]) == (0, "done"), status
    is_done(root, 7)


# --- a newer statement -------------------------------------------------------------------------------


def test_a_kernel_that_is_not_covered_asks_for_a_newer_statement(offers, root):
    """Top, tables, record, files; until the tables are here the machine goes on by the old statement."""
    bring(root, offers.elsewhere)
    code, status = firstboot(root)
    assert (code, status["state"], status["reason"]) == (0, "pending", "kernel"), status
    assert want(root)["top"] and want(root)["blobs"] == []
    deliver_top(root, offers.new)
    code, status = net(root)
    assert (code, status["state"], status["statement"]["serial"]) == (0, "pending", 6), status
    assert "serial 7" in events(status)["newer statement"] and not want(root)["top"]
    assert (root / STATE / "offer").exists()
    code, status, _ = rounds(root, offers.new)
    assert (code, status["state"], status["statement"]["serial"]) == (0, "done", 7), status
    is_done(root, 7)
    assert firstboot(root)[1]["state"] == "idle"


def test_the_rounds_of_a_newer_statement_outlive_a_power_cut(offers, root):
    bring(root, offers.elsewhere)
    firstboot(root)
    deliver_top(root, offers.new)
    net(root)
    shutil.rmtree(root / "run/larder")
    assert firstboot(root)[1]["state"] == "pending"
    assert wanted(root) == sorted(top_of(offers.new)[1]) and not want(root)["top"]
    assert rounds(root, offers.new)[1]["statement"]["serial"] == 7
    is_done(root, 7)


@pytest.mark.parametrize("line", ["newer=no", "download=no"])
def test_a_newer_statement_may_be_forbidden(offers, root, line):
    configure(root, f"sources={SOURCE}", line)
    bring(root, offers.elsewhere)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "kernel") and want(root) is None


@pytest.mark.parametrize("offered, text", [
    ("old", ""), ("elsewhere", ""), ("foreign", "signed"), ("unsigned", ""), ("flipped", ""), ("garbage", ""),
    ("below the floor", "least that is accepted")])
def test_a_top_that_may_not_be_taken(offers, root, offered, text, tmp_path):
    """T4, T7: older, the same, foreign, unsigned, damaged: the statement of before stays, and so does its reason."""
    bring(root, offers.elsewhere)
    firstboot(root)
    if offered == "below the floor":
        (root / "etc/larder/floor").write_text("10\n")
    cache = tmp_path / "offered"
    shutil.copytree({"old": offers.old, "elsewhere": offers.elsewhere, "foreign": offers.foreign}.get(offered, offers.new), cache)
    envelope = [path for path in (cache / "blobs/sha256").iterdir() if b'"payloadType"' in path.read_bytes()][0]
    if offered == "unsigned":
        document = json.loads(envelope.read_text())
        document["signatures"] = []
        envelope.write_text(json.dumps(document))
    elif offered == "flipped":
        envelope.write_bytes(envelope.read_bytes().replace(b'"sig":"', b'"sig":"A', 1))
    deliver_top(root, cache)
    if offered == "garbage":
        (root / INCOMING / "index.json").write_text("{}")
    code, status = net(root)
    assert code == 14 and status["reason"] == ("serial" if "floor" in offered else "kernel"), status
    assert text in events(status).get("newer statement refused", "")
    assert not (root / STATE / "offer").exists() and not (root / INCOMING).exists() and want(root) is None
    assert not installed(root)


@pytest.mark.parametrize("how", ["index a link", "index a fifo", "blobs a link", "envelope a link"])
def test_a_hostile_top(offers, root, how):
    bring(root, offers.elsewhere)
    firstboot(root)
    deliver_top(root, offers.new)
    incoming, away = root / INCOMING, root.parent / "away"
    if how.startswith("index"):
        (incoming / "index.json").rename(away)
        os.mkfifo(incoming / "index.json") if "fifo" in how else (incoming / "index.json").symlink_to(away)
    elif how == "blobs a link":
        (incoming / "blobs").rename(away)
        (incoming / "blobs").symlink_to(away)
    else:
        envelope = [path for path in (incoming / "blobs/sha256").iterdir() if b'"payloadType"' in path.read_bytes()][0]
        envelope.rename(away)
        envelope.symlink_to(away)
    code, status = net(root, prefix=("timeout", "-s", "KILL", "20"))
    assert (code, status["reason"]) == (14, "kernel"), status
    assert not (root / STATE / "offer").exists() and not os.path.lexists(incoming) and away.exists()


def test_a_machine_without_a_cache_asks_its_own_sources(offers, root):
    """Its owner has a trust root and a source in it, and nothing else."""
    code, status = firstboot(root)
    assert (code, status["state"], status["reason"]) == (0, "pending", "not_carried"), status
    assert want(root)["top"]
    assert rounds(root, offers.new)[1]["state"] == "done"
    is_done(root, 7)


# --- what is refused ---------------------------------------------------------------------------------


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def part(offers, cache, what):
    """The name of one blob of a kind."""
    top, tables = top_of(cache)
    for name, data in blobs_of(cache).items():
        kind = ("table" if name in tables else "envelope" if b'"payloadType"' in data else "file" if data == BIG
                else "record" if data.startswith(b'{"files"') else "")
        if kind == what:
            return name
    raise KeyError(what)


@pytest.mark.parametrize("policy", ["fail", "download"])
@pytest.mark.parametrize("what, reason", [("table", "damaged"), ("record", "damaged"), ("file", "damaged"),
                                          ("envelope", "untrusted"), ("index", "damaged")])
def test_what_is_refused_is_fetched_only_where_the_owner_says_so(offers, root, policy, what, reason):
    configure(root, f"sources={SOURCE}", f"on_refused={policy}")
    bring(root, offers.new)
    if what == "index":
        (root / "usr/lib/larder/cache/index.json").write_text("{")
    else:
        flip(root / BLOBS / part(offers, offers.new, what))
    code, status = firstboot(root)
    assert status["reason"] == reason and not installed(root), status
    if policy == "fail":
        assert (code, status["state"], want(root)) == (14, "failed", None)
        return
    assert (code, status["state"]) == (0, "pending"), status
    assert want(root)["top"] == (what in ("envelope", "index"))
    code, status, _ = rounds(root, offers.new)
    assert (code, status["state"], status["reason"]) == (0, "done", "done"), status
    assert "refused, repaired" in status["text"] and "refused, repaired" in events(status)
    is_done(root, 7)


def test_an_untrusted_cache_never_names_the_sources(offers, root):
    """T22: without a local source there is nobody to ask."""
    configure(root, "on_refused=download")
    bring(root, offers.foreign)
    code, status = firstboot(root)
    assert (code, status["reason"], want(root)) == (14, "untrusted", None), status


def test_a_kept_blob_that_went_bad_is_fetched_anew(offers, root):
    """Under either policy: nobody but root and the disk writes there."""
    large = hashlib.sha256(BIG).hexdigest()
    bring(root, offers.new, lambda name: name != large)
    firstboot(root)
    rounds(root, offers.new)
    shutil.rmtree(root / "etc/larder-test")
    flip(root / STATE / "blobs" / large)
    code, status = firstboot(root)
    assert (code, status["state"]) == (0, "pending") and wanted(root) == [large], status
    assert rounds(root, offers.new)[1]["state"] == "done"
    is_done(root, 7)


# --- what stays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_what_was_fetched_stays_for_the_last_sets(offers, root, keep):
    configure(root, f"sources={SOURCE}", f"keep={keep}")
    bring(root, None)
    for cache in (offers.old, offers.new, offers.newest):
        good("larder-firstboot", "update", "--from", cache, "--sysroot", root)
    small = {hashlib.sha256(files(serial)["vendor/nic.conf"]).hexdigest(): serial for serial in (5, 7, 9)}
    assert {small[name] for name in kept(root) if name in small} == set([5, 7, 9][-keep:])
    assert hashlib.sha256(BIG).hexdigest() in kept(root)
    assert "old blobs removed" in (root / "var/log/larder.log").read_text()  # tables of old statements at least


# --- running nodes -----------------------------------------------------------------------------------


def update(root, source, *options):
    """(exit code, the status document)."""
    done = run("larder-firstboot", "update", "--from", source, "--sysroot", root, "--json", *options)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("how", ["folder", "tar"])
def test_update_from_a_place(offers, root, how, tmp_path):
    bring(root, offers.old)
    firstboot(root)
    place = offers.new
    if how == "tar":
        place = tmp_path / "new.tar"
        our_tar(offers.new, place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")} if how == "folder" else {}
    code, status = update(root, place, "--dry-run")
    assert (code, status["state"]) == (0, "dry") and installed(root)["nic.conf"] == files(5)["vendor/nic.conf"], status
    assert not (root / STATE / "offer").exists() and status["statement"]["serial"] == 7
    code, status = update(root, place)
    assert (code, status["state"], status["statement"]["serial"]) == (0, "done", 7), status
    is_done(root, 7)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    code, status = update(root, place)
    assert code == 0 and "nothing newer" in events(status)
    assert firstboot(root)[1]["state"] == "idle"


def test_update_refuses_what_is_older(offers, root):
    bring(root, offers.new)
    firstboot(root)
    code, status = update(root, offers.old)
    assert (code, status["reason"]) == (14, "serial") and "has serial 5" in status["text"], status
    is_done(root, 7)


def test_update_refuses_what_is_foreign(offers, root):
    bring(root, offers.old)
    firstboot(root)
    code, status = update(root, offers.foreign)
    assert (code, status["reason"]) == (14, "untrusted"), status
    is_done(root, 5)


@pytest.mark.parametrize("what, reason", [("file", "damaged"), ("record", "damaged"), ("table", "damaged")])
@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_update_from_a_place_that_is_not_whole(offers, root, what, reason, how, tmp_path):
    shutil.copytree(offers.new, tmp_path / "place")
    bring(root, None)
    path = tmp_path / "place/blobs/sha256" / part(offers, offers.new, what)
    flip(path) if how == "flipped" else path.unlink()
    code, status = update(root, tmp_path / "place")
    assert (code, status["reason"]) == (14, reason if how == "flipped" else "not_carried"), status
    assert not installed(root) and not litter(root)
    shutil.rmtree(tmp_path / "place")
    shutil.copytree(offers.new, tmp_path / "place")
    assert update(root, tmp_path / "place")[0] == 0
    is_done(root, 7)


def test_update_says_what_it_cannot_read(offers, root, tmp_path):
    refused("--from is needed", "larder-firstboot", "update", "--sysroot", root)
    refused("nothing.tar", "larder-firstboot", "update", "--from", tmp_path / "nothing.tar", "--sysroot", root)


# --- with the real larder-download -------------------------------------------------------------------


@pytest.fixture
def web(offers):
    """The folders of all caches, over http."""
    import functools
    import http.server

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=offers.folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield lambda cache: f"http://127.0.0.1:{server.server_port}/{cache.name}"
    server.shutdown()
    thread.join()
    server.server_close()


def download(root):
    """What larder-download.service does."""
    return run("larder-download", "--want", root / NEED, "--into", root / INCOMING, "--report", root / "run/larder/download.json")


def test_a_miss_is_fetched(offers, root, web):
    configure(root, f"sources={web(offers.new)}", "net_budget_s=20")
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    code, status = firstboot(root)
    while status["state"] == "pending":
        download(root)
        code, status = net(root)
    assert (code, status["state"]) == (0, "done"), status
    is_done(root, 7)


def test_a_newer_statement_is_fetched(offers, root, web):
    configure(root, f"sources={web(offers.old)},{web(offers.new)}", "net_budget_s=20")
    bring(root, offers.elsewhere)
    code, status = firstboot(root)
    while status["state"] == "pending":
        download(root)
        code, status = net(root)
    assert code in (0, 14) and status["statement"]["serial"] in (6, 7), status


def test_nobody_there_is_said(offers, root):
    configure(root, "sources=http://127.0.0.1:9/x", "net_budget_s=1")
    bring(root, offers.new, lambda name: name in top_of(offers.new)[0])
    firstboot(root)
    download(root)
    code, status = net(root)
    assert code == 14 and status["reason"] in ("unreachable", "timeout"), status


def test_update_from_the_web(offers, root, web):
    """A running node: nothing of the image, a newer statement, what it needs and no more; then nothing newer; then something older."""
    bring(root, offers.old)
    firstboot(root)
    code, status = update(root, web(offers.new), "--dry-run")
    assert code in (0, 14) and installed(root)["nic.conf"] == files(5)["vendor/nic.conf"], status
    assert not (root / INCOMING).exists() and not (root / STATE / "offer").exists()
    code, status = update(root, web(offers.new))
    assert (code, status["state"], status["statement"]["serial"]) == (0, "done", 7), status
    is_done(root, 7)
    code, status = update(root, web(offers.new))
    assert code == 0 and "nothing newer" in events(status), status
    code, status = update(root, web(offers.old))
    assert (code, status["reason"]) == (14, "serial"), status
    code, status = update(root, web(offers.foreign))
    assert (code, status["reason"]) == (14, "untrusted"), status
    is_done(root, 7)
    assert not (root / "run/larder/update").exists()


def test_update_from_nowhere(offers, root):
    configure(root, "net_budget_s=1")
    bring(root, offers.old)
    firstboot(root)
    code, status = update(root, "http://127.0.0.1:9/x")
    assert code == 14 and status["reason"] in ("unreachable", "timeout"), status
    code, status = update(root, "http://127.0.0.1:9/x", "--downloader", "/nowhere")
    assert (code, status["reason"]) == (14, "unreachable"), status
    is_done(root, 5)
