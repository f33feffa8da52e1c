"""The serial: a machine uses the newest statement it carries or stored, and is never locked out by its own memory (T7)."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from larder import BUILD, TRACED, Workshop, good, own_mounts, run, tar_gz
from test_firstboot import firstboot, installed, make_root, only_files
from test_trust import Fleet, kept

STATE = "var/lib/larder"
BROUGHT = "usr/lib/larder"


def our_tar(cache, path):
    """A cache as one tar (docs/FORMAT.md, 2.1), written without larder."""
    blobs = [f"blobs/sha256/{row.name}" for row in sorted((cache / "blobs/sha256").iterdir())]
    with path.open("wb") as tar:
        for name in ["oci-layout", "index.json", *blobs]:
            data = (cache / name).read_bytes()
            head = (name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % len(data)
                    + b"00000000000\0" + b" " * 8 + b"0" + b"\0" * 100 + b"ustar\x0000" + b"\0" * 64
                    + b"0000000\0" * 2).ljust(512, b"\0")
            tar.write(head[:148] + b"%06o\0 " % sum(head) + head[156:])
            tar.write(data + b"\0" * (-len(data) % 512))
        tar.write(b"\0" * 1024)


class Ages(Workshop):
    """Caches of one offer as it grows older: each serial has a file of its own, and one that all share."""

    def conf(self, serial):
        """What a machine has that obeys this serial."""
        return b"options nic serial=%d\n" % serial

    def make(self, serial, key="fleet"):
        """The cache of a serial, in a folder of its own."""
        self.files["vendor/nic.conf"] = self.conf(serial)
        self.archive.write_bytes(tar_gz(self.files))
        self.archive = self.archive.rename(self.folder / f"vendor{serial}.tar.gz")
        self.write_manifest(only_files)
        self.cache = self.folder / f"{key}{serial}"
        signer = self.keys(key)
        self.fetch()
        good("larder", *self.bake_args("--key", signer, "--serial", serial))
        return self.cache


@pytest.fixture(scope="module")
def ages(tmp_path_factory):
    made = Ages(tmp_path_factory.mktemp("ages"))
    made.old, made.new, made.newest = made.make(5), made.make(7), made.make(9)
    made.other = made.make(1, "other")
    return made


@pytest.fixture
def root(ages, tmp_path):
    """A machine without a cache, and with the fleet's trust root."""
    made = make_root(tmp_path / "root")
    (made / "etc/larder").mkdir()
    (made / BROUGHT).mkdir(parents=True)
    shutil.copy(ages.trust, made / "etc/larder/trust.json")
    return made


def bring(root, cache, how="folder"):
    """The machine's cache is another now, by its bytes alone."""
    shutil.rmtree(root / BROUGHT / "cache", ignore_errors=True)
    (root / BROUGHT / "cache.tar").unlink(missing_ok=True)
    if how == "tar":
        our_tar(cache, root / BROUGHT / "cache.tar")
    elif cache:
        shutil.copytree(cache, root / BROUGHT / "cache")


def uninstall(root):
    """What was installed is gone, and so is the memory of having installed it."""
    shutil.rmtree(root / "etc/larder-test", ignore_errors=True)
    for name in ("journal", "stamp"):
        (root / STATE / name).unlink(missing_ok=True)


def floor(root, serial):
    """Bake this floor."""
    (root / "etc/larder/floor").write_text(f"{serial}\n")


def log(root):
    """The agent's log."""
    return (root / "var/log/larder.log").read_text()


def serials(root):
    """Carried, stored and floor, as status tells them."""
    found = json.loads(good("larder-firstboot", "status", "--sysroot", root, "--json"))["serials"]
    return found["carried"], found["stored"], found["floor"]


def plan(root):
    """The plan's reason and text."""
    found = json.loads(run("larder-firstboot", "plan", "--sysroot", root, "--json").stdout)
    return found["reason"], found["text"]


def memory(root):
    """Every file of the stored statement: path -> bytes."""
    found = {}
    for folder in ("statement", "blobs"):
        assert stat.S_IMODE((root / STATE / folder).lstat().st_mode) == 0o700
        for path in sorted((root / STATE / folder).rglob("*")):
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600 and not path.is_symlink(), path
            found[f"{folder}/{path.name}"] = path.read_bytes()
    return found


def has(ages, root, serial):
    """Is what this serial brings in place?"""
    return installed(root).get("nic.conf") == ages.conf(serial)


@pytest.mark.parametrize("how", ["folder", "tar"])
def test_an_older_cache_is_not_obeyed(ages, root, how):
    bring(root, ages.new, how)
    assert firstboot(root)[1]["reason"] == "done" and has(ages, root, 7)
    assert serials(root) == (7, 7, None)
    bring(root, ages.old, how)
    code, status = firstboot(root)
    assert (code, status["state"], status["statement"]["serial"]) == (0, "done", 7), status
    assert has(ages, root, 7) and "has serial 5, older than 7" in log(root)
    assert serials(root) == (5, 7, None)
    assert "serial: carried 5 stored 7 floor none" in good("larder-firstboot", "status", "--sysroot", root)
    assert firstboot(root)[1]["state"] == "idle"
    uninstall(root)
    assert plan(root)[0] == "not_carried"
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "not_carried") and not installed(root), status


@pytest.mark.parametrize("how", ["folder", "tar"])
def test_a_newer_cache_is_obeyed_and_remembered(ages, root, how):
    for cache, serial in ((ages.old, 5), (ages.new, 7), (ages.newest, 9)):
        bring(root, cache, how)
        assert firstboot(root)[1]["reason"] == "done" and has(ages, root, serial)
        assert serials(root) == (serial, serial, None)
        # the envelope, one table, its record, and that of the set before it
        assert len(memory(root)) == (3 if serial == 5 else 4)
        assert firstboot(root)[1]["state"] == "idle"


def test_a_tar_is_judged_as_a_folder_is(ages, root):
    """One byte of the envelope, of a table, of a blob or of a header; and a folder beside it wins."""
    ages.cache = ages.new
    names = {"envelope": ages.envelope_path().name, "table": ages.statement()["subject"][0]["digest"]["sha256"],
             "blob": ages.record()["files"][0]["blob"]["digest"].split(":")[1]}
    path = root / BROUGHT / "cache.tar"
    for where, reason in (("envelope", "untrusted"), ("table", "damaged"), ("blob", "damaged"), ("header", "damaged")):
        bring(root, ages.new, "tar")
        data = bytearray(path.read_bytes())
        data[data.index(b"blobs/sha256/" + names[where].encode()) + 512 + 20 if where in names else 120] ^= 1
        path.write_bytes(data)
        code, status = firstboot(root)
        assert (code, status["reason"]) == (14, reason) and not installed(root), (where, status)
    shutil.copytree(ages.old, root / BROUGHT / "cache")
    shutil.rmtree(root / STATE)
    assert firstboot(root)[1]["reason"] == "done" and has(ages, root, 5)


@pytest.mark.parametrize("kind, reason", [("link", "damaged"), ("fifo", "damaged"), ("garbage", "damaged"),
                                          ("empty", "damaged"), ("huge", "damaged"), ("gone", "not_carried")])
def test_what_stands_in_the_place_of_the_tar(ages, root, tmp_path, kind, reason):
    our_tar(ages.new, tmp_path / "outside.tar")
    make_hostile(root / BROUGHT / "cache.tar", kind, tmp_path / "outside.tar")
    code, status = firstboot(root, prefix=("timeout", "-s", "KILL", "20"))
    assert (code, status["reason"]) == (14, reason) and not installed(root), status


def test_idle_rests_on_the_tar(ages, root):
    bring(root, ages.new, "tar")
    firstboot(root)
    assert firstboot(root)[1]["state"] == "idle"
    path = root / BROUGHT / "cache.tar"
    path.write_bytes(path.read_bytes()[:-1])
    assert firstboot(root)[1]["reason"] == "damaged"


def test_idle_rests_on_the_stored_statement(ages, root):
    bring(root, ages.new)
    firstboot(root)
    assert firstboot(root)[1]["state"] == "idle"
    (root / STATE / "statement/envelope").unlink()
    assert firstboot(root)[1]["state"] == "done"
    assert serials(root) == (7, 7, None)
    assert firstboot(root)[1]["state"] == "idle"


def test_blobs_serve_any_accepted_statement(ages, root):
    """The older cache, and beside it the one blob that the stored statement needs."""
    bring(root, ages.new)
    firstboot(root)
    bring(root, ages.old)
    uninstall(root)
    assert firstboot(root)[1]["reason"] == "not_carried"
    ages.cache = ages.new
    for row in ages.record()["files"]:
        name = row["blob"]["digest"].split(":")[1]
        shutil.copy(ages.new / "blobs/sha256" / name, root / BROUGHT / "cache/blobs/sha256" / name)
    uninstall(root)
    assert firstboot(root)[1]["reason"] == "done" and has(ages, root, 7)


def test_without_any_cache_the_stored_statement_serves(ages, root):
    bring(root, ages.new)
    firstboot(root)
    bring(root, None)
    code, status = firstboot(root)
    assert (code, status["state"]) == (0, "done") and has(ages, root, 7), status
    assert firstboot(root)[1]["state"] == "idle"
    uninstall(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "not_carried") and "files are not in the cache" in status["text"], status


@pytest.mark.parametrize("carried, stored, least, reason, used", [
    (5, None, 6, "serial", None), (5, None, 5, "done", 5), (5, 7, 6, "done", 7), (5, 7, 8, "serial", None),
    (7, 5, 6, "done", 7), (9, 7, 8, "done", 9), (None, 7, 8, "serial", None), (None, 7, 7, "done", 7),
])
def test_the_floor_binds_both(ages, root, carried, stored, least, reason, used):
    caches = {5: ages.old, 7: ages.new, 9: ages.newest, None: None}
    if stored:
        bring(root, caches[stored])
        firstboot(root)
    bring(root, caches[carried])
    floor(root, least)
    code, status = firstboot(root)
    assert status["reason"] == reason, status
    if used:
        assert code == 0 and has(ages, root, used) and status["statement"]["serial"] == used
    else:
        assert code == 14 and installed(root) == ({} if not stored else installed(root))
        assert "the least that is accepted here" in status["text"]


def test_a_reverted_snapshot_falls_back_to_the_floor(ages, root):
    bring(root, ages.new)
    firstboot(root)
    shutil.rmtree(root / STATE)
    bring(root, ages.old)
    assert firstboot(root)[1]["reason"] == "done" and has(ages, root, 5)
    shutil.rmtree(root / STATE)
    floor(root, 6)
    assert firstboot(root)[1]["reason"] == "serial"


def test_reset_forgets_and_touches_nothing_else(ages, root):
    floor(root, 3)
    bring(root, ages.new)
    firstboot(root)
    (root / STATE / "staging").mkdir()
    before = installed(root)
    good("larder-firstboot", "reset", "--sysroot", root)
    assert [path.name for path in (root / STATE).iterdir()] == ["result.json"]
    assert installed(root) == before and (root / "etc/larder/floor").read_text() == "3\n"
    assert "has forgotten" in log(root)
    bring(root, ages.old)
    assert firstboot(root)[1]["reason"] == "done" and has(ages, root, 5)
    assert serials(root) == (5, 5, 3)
    good("larder-firstboot", "reset", "--sysroot", root)
    good("larder-firstboot", "reset", "--sysroot", root)


def test_another_trust_root_in_etc_is_obeyed_at_once(ages, root):
    bring(root, ages.new)
    firstboot(root)
    bring(root, ages.other)
    assert firstboot(root)[1]["reason"] == "untrusted"
    shutil.copy(ages.folder / "other.json", root / "etc/larder/trust.json")
    code, status = firstboot(root)
    assert (code, status["statement"]["serial"]) == (0, 1), status
    assert has(ages, root, 1) and "the stored statement counts as none" in log(root)
    assert serials(root) == (1, 1, None) and len(memory(root)) == 4  # one record is of the set before


def test_of_equal_serials_the_carried_one_is_used_and_kept(ages, root, tmp_path):
    """Signed anew: what is stored then lasts as long as the new key."""
    bring(root, ages.new)
    firstboot(root)
    first = memory(root)["statement/envelope"]
    again = shutil.copytree(ages.new, tmp_path / "again")
    good("larder", "sign", again, "--key", ages.folder / "other.key")
    bring(root, again)
    code, status = firstboot(root)
    assert (code, status["state"]) == (0, "done"), status
    assert memory(root)["statement/envelope"] != first and "older" not in log(root)
    shutil.copy(ages.folder / "other.json", root / "etc/larder/trust.json")
    bring(root, None)
    assert firstboot(root)[0] == 0 and serials(root) == (None, 7, None)


def test_a_key_that_was_removed_keeps_no_memory_alive(tmp_path):
    """What it signed counts for nothing once a newer trust root is proven, however high its serial."""
    fleet = Fleet(tmp_path / "fleet")
    fleet.fetch()
    good("larder", *fleet.bake_args("--key", fleet.key("a"), "--serial", 9))
    root = fleet.machine(tmp_path / "root", fleet.first)
    floor(root, 1)
    assert firstboot(root)[0] == 0 and serials(root) == (9, 9, 1)
    versions = fleet.rotate()
    fleet.cache = fleet.folder / "cache5"
    good("larder", *fleet.bake_args("--key", fleet.key("b"), "--serial", 5, "--trust-chain",
                                    ",".join(map(str, versions))))
    fleet.move_cache(root)
    code, status = firstboot(root)
    assert (code, status["statement"]["serial"]) == (0, 5) and kept(root) == [2, 3], status
    assert serials(root) == (5, 5, 1)
    bring(root, None)
    assert firstboot(root)[0] == 0 and serials(root) == (None, 5, 1)  # proven by the kept chain alone


@pytest.mark.parametrize("how, reason", [("envelope", "untrusted"), ("index", "damaged")])
def test_a_refused_cache_is_said_whatever_is_stored(ages, root, how, reason):
    bring(root, ages.new)
    firstboot(root)
    ages.cache = ages.newest
    bring(root, ages.newest)
    path = root / BROUGHT / "cache" / ("index.json" if how == "index" else ages.envelope_path().relative_to(ages.newest))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data if how == "envelope" else b"{")
    uninstall(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, reason) and not installed(root), status


def make_hostile(path, kind, outside):
    """Something of this kind at path, where a file or a folder of ours stood."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(outside)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        (path / "deep/deeper").mkdir(parents=True)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 33)
    elif kind == "garbage":
        path.write_bytes(os.urandom(700))
    elif kind == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "huge", "garbage", "empty", "gone"])
@pytest.mark.parametrize("what", ["statement", "blobs", "envelope", "table", "record", "draft", "stranger"])
def test_hostile_memory_is_no_memory(ages, root, tmp_path, what, kind):
    """Never obeyed, never followed, and no lock-out: what is carried serves, and the next run finds no litter."""
    bring(root, ages.new)
    firstboot(root)
    right = memory(root)
    ages.cache = ages.new
    table = ages.statement()["subject"][0]["digest"]["sha256"]
    record = ages.table()["rows"][0]["record"]["digest"].split(":")[1]
    path = root / STATE / {"statement": "statement", "blobs": "blobs", "envelope": "statement/envelope",
                           "table": f"blobs/{table}", "record": f"blobs/{record}",
                           "draft": "statement/.envelope.draft", "stranger": "blobs/" + "0" * 64}[what]
    outside = tmp_path / "outside"  # a link leads to what would be good, if it were followed
    if path.is_dir():
        shutil.copytree(path, outside)
    else:
        outside.write_bytes(path.read_bytes() if path.exists() else b"outside")
    before = sorted(outside.rglob("*"))
    make_hostile(path, kind, outside)
    uninstall(root)
    prefix = ("timeout", "-s", "KILL", "20")
    assert json.loads(run("larder-firstboot", "plan", "--sysroot", root, "--json",
                          prefix=prefix).stdout)["reason"] == "done"
    code, status = firstboot(root, prefix=prefix)
    assert (code, status["reason"]) == (0, "done") and has(ages, root, 7), status
    assert memory(root) == right
    assert outside.exists() and sorted(outside.rglob("*")) == before
    assert firstboot(root)[1]["state"] == "idle"


@pytest.mark.parametrize("what", ["statement/envelope", "table", "record"])
def test_a_damaged_memory_and_an_older_cache(ages, root, what):
    """Without its envelope the memory is gone, and the log says so; the floor alone decides. A table or a record
    costs what it describes, and lets nothing older in."""
    bring(root, ages.new)
    firstboot(root)
    bring(root, ages.old)
    ages.cache = ages.new
    names = {"table": "blobs/" + ages.statement()["subject"][0]["digest"]["sha256"],
             "record": "blobs/" + ages.table()["rows"][0]["record"]["digest"].split(":")[1]}
    path = root / STATE / names.get(what, what)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    code, status = firstboot(root)
    if what in ("table", "record"):
        assert (code, status["reason"]) == (14, "not_carried") and serials(root) == (5, 7, None)
    else:
        assert (code, status["statement"]["serial"]) == (0, 5), status
        assert "the stored statement counts as none" in log(root)
        assert serials(root) == (5, 5, None)


@pytest.mark.parametrize("carried", ["again", "newest", "old"])
def test_a_state_folder_that_cannot_be_written(ages, root, tmp_path, carried):
    """The statement in use is the same as ever; only what has to be installed needs the folder."""
    bring(root, ages.new)
    firstboot(root)
    right = memory(root)
    again = shutil.copytree(ages.new, tmp_path / "again")
    good("larder", "sign", again, "--key", ages.folder / "other.key")
    bring(root, {"again": again, "newest": ages.newest, "old": ages.old}[carried])
    state = root / STATE
    code, status = firstboot(root, prefix=(
        *own_mounts(), "sh", "-c", f'mount --bind {state} {state} && mount -o remount,bind,ro {state} && exec "$0" "$@"'))
    assert status["statement"]["serial"] == (9 if carried == "newest" else 7)
    assert (code, status["reason"]) == ((14, "read_only") if carried == "newest" else (0, "done")), status
    assert ("statement not stored" in log(root)) == (carried != "old")
    assert memory(root) == right
    code, status = firstboot(root)
    assert (code, status["state"]) == (0, "done") and has(ages, root, 9 if carried == "newest" else 7), status
    assert (memory(root) == right) == (carried == "old")


# What is written while a statement is remembered, and every way in which one of these calls may fail.

CALLS = "write,fsync,renameat,mkdirat,unlinkat,openat,fchmod"


def written(root, tmp_path):
    """The calls that change the stored statement, as (name, how many of that name came before it, and itself)."""
    trace = tmp_path / "trace"
    firstboot(root, prefix=("strace", "-f", "-y", "-o", trace, "-e", f"trace={CALLS}"))
    count, found = {}, []
    begun = done = False
    for line in trace.read_text().splitlines():
        call = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
        if not call:  # "+++ exited with 0 +++"
            continue
        name = call[1]
        count[name] = count.get(name, 0) + 1
        begun |= "cache verified" in line
        done |= "planned" in line
        ours = re.search(rf"{STATE}(>|/statement|/blobs)", call[2])
        if begun and not done and ours and not (name == "openat" and "O_CREAT" not in line):
            found.append((name, count[name]))
    return found


@pytest.fixture
def before(ages, root):
    """A machine that stored serial 5, and carries 7 now."""
    bring(root, ages.old)
    firstboot(root)
    bring(root, ages.new)
    return root


def fault(root, call, how, tmp_path):
    """One run in which one call fails so; its code, 137 where that kills it."""
    trace = tmp_path / "fault"
    done = subprocess.run(
        ["strace", "-f", "-o", trace, "-e", f"trace={call[0]}", "-e", f"inject={call[0]}:{how}:when={call[1]}",
         BUILD / "larder-firstboot", "run", "--sysroot", root], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, env={**os.environ, **TRACED}, check=False)
    assert "Sanitizer" not in done.stderr, done.stderr
    assert ("killed by SIGKILL" if how == "signal=KILL" else "(INJECTED)") in trace.read_text(), (call, how)
    return 137 if done.returncode == -9 else done.returncode


def check_after(ages, root, what, right):
    """Old or new, each whole: without the cache, and with it; then the next run ends it all."""
    cache, away = root / BROUGHT / "cache", root / BROUGHT / "away"
    cache.rename(away)
    reason, text = plan(root)
    away.rename(cache)
    assert reason in ("done", "not_carried") and "no cache" not in text, (what, reason, text)
    assert plan(root)[0] == "done", what
    code, status = firstboot(root)
    assert code == 0 and status["reason"] == "done" and has(ages, root, 7), (what, status)
    assert memory(root) == right, what
    assert firstboot(root)[1]["state"] == "idle", what


@pytest.mark.parametrize("how", ["signal=KILL", "error=ENOSPC", "error=EIO"])
def test_every_call_may_fail(ages, before, tmp_path, how):
    pristine = shutil.copytree(before, tmp_path / "pristine", symlinks=True)
    calls = written(before, tmp_path)
    right = memory(before)
    names = [call[0] for call in calls]
    assert all(names.count(name) >= least for name, least in
               {"write": 3, "fsync": 6, "renameat": 3, "unlinkat": 3, "openat": 3}.items()), calls
    for call in calls:
        root = tmp_path / "machine"
        shutil.copytree(pristine, root, symlinks=True)
        code = fault(root, call, how, tmp_path)
        assert code == (137 if how == "signal=KILL" else 0), (call, how)  # what cannot be kept holds nothing up
        check_after(ages, root, (call, how), right)
        shutil.rmtree(root)


def test_a_machine_that_never_stored_anything_may_die_anywhere(ages, root, tmp_path):
    bring(root, ages.new)
    pristine = shutil.copytree(root, tmp_path / "pristine", symlinks=True)
    calls = written(root, tmp_path)
    right = memory(root)
    assert [call[0] for call in calls].count("mkdirat") >= 2
    for call in calls:
        machine = tmp_path / "machine"
        shutil.copytree(pristine, machine, symlinks=True)
        fault(machine, call, "signal=KILL", tmp_path)
        assert plan(machine)[0] == "done", call
        code, status = firstboot(machine)
        assert (code, status["reason"]) == (0, "done") and memory(machine) == right, (call, status)
        shutil.rmtree(machine)


def test_another_version_of_the_os_lets_nothing_older_in(tmp_path):
    """What was seen last is known by the stored envelope, not by a table that these facts need."""
    shop = Workshop(tmp_path / "shop")

    def both(document):
        only_files(document)
        del document["template"]["os"]
        bundle = document["bundles"][0]
        bundle["os"] = ["debian:12"]
        document["bundles"].append({**bundle, "id": "next", "rank": 51, "os": ["debian:13"]})

    caches = {}
    for number in (5, 7):
        shop.files["vendor/nic.conf"] = b"serial %d\n" % number
        shop.archive = shop.folder / f"v{number}.tar.gz"
        shop.archive.write_bytes(tar_gz(shop.files))
        shop.write_manifest(both)
        shop.cache = caches[number] = shop.folder / f"c{number}"
        key = shop.keys()
        shop.fetch()
        good("larder", *shop.bake_args("--key", key, "--serial", number))
    root = make_root(tmp_path / "root")
    shop.embed(root, caches[7])
    assert firstboot(root)[0] == 0
    bring(root, caches[5])
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="13"\n')
    (root / "etc/larder/floor").write_text("0\n")
    code, status = firstboot(root)
    assert (code, status["reason"], status["statement"]["serial"]) == (14, "not_carried", 7), status
    bring(root, caches[7])
    assert firstboot(root)[0] == 0
    assert installed(root)["nic.conf"] == b"serial 7\n"


@pytest.mark.parametrize("first", [2, 1, 0], ids=["cut", "whole", "more"])
def test_a_cut_chain_is_remembered_like_a_whole_one(tmp_path, first):
    """Who leaves out of a cache the versions that a machine has cannot keep it from remembering the next."""
    fleet = Fleet(tmp_path / "fleet")
    versions = fleet.rotate()
    fleet.bake_with("a", versions[1])
    old = shutil.copytree(fleet.cache, tmp_path / "old")
    root = tmp_path / "root"
    fleet.machine(root, fleet.first)
    assert firstboot(root)[0] == 0 and kept(root) == [2]
    fleet.fetch()
    good("larder", *fleet.bake_args("--key", fleet.key("b"), "--trust-chain",
                                    ",".join(map(str, versions[first:3])), "--serial", "2"))
    fleet.move_cache(root)
    code, status = firstboot(root)
    assert (code, status["statement"]["serial"]) == (0, 2), status
    assert kept(root) == [2, 3] and firstboot(root)[1]["state"] == "idle"
    shutil.rmtree(root / "usr/lib/larder/cache")
    shutil.copytree(old, root / "usr/lib/larder/cache")
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "untrusted"), status
