"""A deep tree of a vendor archive as one blob: from manifest to machine."""

import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile

import pytest

from larder import BUILD, Workshop, good, refused, run
from test_firstboot import firstboot, litter, make_root

HARD = "\0hard link"


def entry(name, data=b"", mode=0o644, kind=tarfile.REGTYPE, target="", **more):
    """One member of a vendor's archive."""
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.linkname = mode, kind, target
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    info.uid, info.gid, info.mtime = 1000, 1000, 1700000000
    info.uname = info.gname = "vendor"
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def link(name, target):
    return entry(name, kind=tarfile.SYMTYPE, target=target, mode=0o777)


def folder(name, mode=0o755):
    return entry(name, kind=tarfile.DIRTYPE, mode=mode)


def archive(members, form=tarfile.PAX_FORMAT):
    """A vendor's archive; the same members give the same bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


NOISE = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(1 << 17))  # 4 MiB
GOOD = [
    folder("./"), folder("./tool-1.0/", 0o700), folder("./tool-1.0/bin/"),
    entry("./tool-1.0/bin/run", b"#!/bin/sh\nexit 0\n", 0o4755),
    entry("./tool-1.0/bin/run.conf", b"speed=fast\n", 0o600),
    entry("./tool-1.0/bin.old", b"sorts between\n"),
    link("./tool-1.0/bin/alias", "run"), link("./tool-1.0/current", "lib/deep"),
    entry("./tool-1.0/lib/deep/er/data", NOISE),
    entry("./tool-1.0/lib/deep/er/twin", kind=tarfile.LNKTYPE, target="./tool-1.0/lib/deep/er/data"),
    folder("./tool-1.0/empty/"), entry("./tool-1.0/none", b""),
    entry("./tool-1.0/" + "long-" * 18 + "name", b"a long name\n"),
    *(entry(f"./tool-1.0/many/f{i:04}", b"%d\n" % i * (i % 37)) for i in range(500)),
]


def tree_take(document, members=("*",), into="opt/tool"):
    """One take with a tree, and the step that lays it down."""
    bundle = document["bundles"][0]
    bundle["take"] = [{"file": "vendor", "members": list(members), "into": into, "tree": True}]
    bundle["install"] = [{"do": "files", "files": [into], "into": "/opt/larder"}]
    document["template"]["early"] = False


def make_shop(path, members=tuple(GOOD), change=tree_take, data=None):
    """A workshop around an archive with a tree."""
    shop = Workshop(path)
    shop.archive.write_bytes(archive(members) if data is None else data)
    shop.write_manifest(change)
    return shop


@pytest.fixture
def shop(tmp_path):
    made = make_shop(tmp_path / "shop")
    made.bake()
    return made


def expected(members=tuple(GOOD)):
    """Path -> what must stand there, taken from the archive by another reader."""
    found, bodies = {}, {}
    for info, data in members:
        name = info.name.removeprefix("./").strip("/")
        if not name:
            continue
        parts = name.split("/")
        for end in range(1, len(parts)):
            found.setdefault("/".join(parts[:end]), ("folder", 0o755, None))
        if info.isdir():
            found[name] = ("folder", 0o755, None)
        elif info.issym():
            found[name] = ("link", 0o777, info.linkname)
        else:
            body = bodies[info.linkname.removeprefix("./")] if info.islnk() else data
            bodies[name] = body
            found[name] = ("file", 0o755 if info.mode & 0o100 else 0o644, body)
    return found


def standing(top):
    """The same of a folder on the disk."""
    found = {}
    for path in sorted(top.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(top))
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", 0o777, os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("folder", stat.S_IMODE(status.st_mode), None)
        else:
            found[name] = ("file", stat.S_IMODE(status.st_mode), path.read_bytes())
    return found


def tree_of(shop):
    """The record's one file, and its tar as the cache has it."""
    file, = shop.record()["files"]
    blob = shop.cache / "blobs/sha256" / file["blob"]["digest"].split(":")[1]
    tar = subprocess.run(["zstd", "-dc", "--memory=8MB"], stdin=blob.open("rb"), capture_output=True, check=True).stdout
    return file, tar


def test_baked_and_clean(shop):
    file, tar = tree_of(shop)
    assert (file["path"], file["mode"], file["encoding"]) == ("opt/tool", 493, "tar+zstd")
    assert file["size"] == len(tar)
    assert file["entries"] == len(expected())
    assert len(file["blob"]["chunks"]) == -(-file["blob"]["size"] // (1 << 20))
    assert "clean" in good("larder-verify", shop.cache, "--trust", shop.trust)
    assert [path for path in (shop.cache / "blobs/sha256").iterdir() if len(path.name) != 64] == []
    assert [path for path in (shop.store / "blobs/sha256").iterdir() if len(path.name) != 64] == []


def test_other_readers_agree(shop, tmp_path):
    _, tar = tree_of(shop)
    with tarfile.open(fileobj=io.BytesIO(tar)) as read:
        names = [member.name for member in read]
        assert names == sorted(names, key=lambda name: name.encode())
        assert {member.mtime for member in read} == {0}
        assert {(member.uid, member.gid, member.uname) for member in read} == {(0, 0, "")}
        assert set(names) == set(expected())
    out = tmp_path / "gnu"
    out.mkdir()
    subprocess.run(["tar", "-x", "--same-permissions", "-C", str(out)], input=tar, check=True)
    assert standing(out) == expected()


def test_the_same_inputs_give_the_same_bytes(shop, tmp_path):
    other = tmp_path / "other"
    shutil.rmtree(os.environ["XDG_CACHE_HOME"] + "/larder", ignore_errors=True)
    good("larder", "bake", shop.manifest, "--store", shop.store, "--cache", other, "--unsigned")
    mine, theirs = ({path.name: path.read_bytes() for path in (cache / "blobs/sha256").iterdir()}
                    for cache in (shop.cache, other))
    blob = shop.record()["files"][0]["blob"]["digest"].split(":")[1]
    assert mine[blob] == theirs[blob]
    # the order of the archive is not the order of the tree
    again = make_shop(tmp_path / "again", [GOOD[0], *reversed(GOOD[10:]), *GOOD[1:8]][:-1] + GOOD[7:10])
    again.bake()
    assert again.record()["files"][0]["blob"] == shop.record()["files"][0]["blob"]


def test_laid_down_exactly(shop, tmp_path):
    root = make_root(tmp_path / "root")
    shop.embed(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), status
    assert standing(root / "opt/larder/tool") == expected()
    assert stat.S_IMODE((root / "opt/larder/tool").stat().st_mode) == 0o755
    assert not litter(root)
    assert sorted(path.name for path in (root / "opt/larder").iterdir()) == ["tool"]
    assert firstboot(root)[1]["state"] == "idle"


def test_what_stands_there_is_kept_or_completed(shop, tmp_path):
    root = make_root(tmp_path / "root")
    shop.embed(root)
    top = root / "opt/larder/tool"
    (top / "tool-1.0/bin").mkdir(parents=True)
    (top / "tool-1.0/bin/run").write_text("their own")
    (top / "tool-1.0/bin/run.conf").symlink_to("/etc/passwd")
    (top / "tool-1.0/notes").write_text("somebody's")
    before = standing(top)
    assert firstboot(root)[1]["reason"] == "done"
    found = standing(top)
    assert found.pop("tool-1.0/notes")[2] == b"somebody's"
    assert found == expected()
    assert good("larder-firstboot", "undo", "--sysroot", root) == ""
    assert standing(top) == before


def reinstall(root, number):
    """Something changed, so that the machine is looked at again."""
    (root / "etc/machine-id").write_text("1" * 32 + "\n")
    (root / "etc/larder/floor").write_text(f"{number}\n")
    return firstboot(root)[1]


@pytest.mark.parametrize("harm", ["file gone", "file longer", "link gone", "folder gone", "all gone"])
def test_what_is_lost_comes_back(shop, tmp_path, harm):
    root = make_root(tmp_path / "root")
    shop.embed(root)
    firstboot(root)
    top = root / "opt/larder/tool"
    if harm == "file gone":
        (top / "tool-1.0/many/f0007").unlink()
    elif harm == "file longer":
        (top / "tool-1.0/bin/run.conf").write_text("x" * 4000)
    elif harm == "link gone":
        (top / "tool-1.0/current").unlink()
    elif harm == "folder gone":
        shutil.rmtree(top / "tool-1.0/lib")
    else:
        shutil.rmtree(top)
    (root / "etc/larder/floor").write_text("0\n")
    assert firstboot(root)[1]["reason"] == "done"
    assert standing(top) == expected()


def test_a_link_in_the_way_leads_nowhere(shop, tmp_path):
    root = make_root(tmp_path / "root")
    shop.embed(root)
    (root / "opt/larder/tool").mkdir(parents=True)
    (root / "srv/outside").mkdir(parents=True)
    (root / "opt/larder/tool/tool-1.0").symlink_to("/srv/outside")
    status = firstboot(root)[1]
    assert status["reason"] == "step_failed", status
    assert list((root / "srv/outside").iterdir()) == []


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_damaged_tree_installs_nothing(shop, tmp_path, how):
    root = make_root(tmp_path / "root")
    shop.embed(root)
    name = shop.record()["files"][0]["blob"]["digest"].split(":")[1]
    for cache in (root / "usr/lib/larder/cache", shop.cache):
        blob = cache / "blobs/sha256" / name
        data = bytearray(blob.read_bytes())
        data[len(data) * 3 // 4] ^= 1
        blob.unlink() if how == "gone" else blob.write_bytes(data if how == "flipped" else data[:-1])
    status = firstboot(root)[1]
    assert status["reason"] == ("not_carried" if how == "gone" else "damaged"), status
    assert not (root / "opt").exists()
    assert not litter(root)
    done = run("larder-verify", shop.cache, "--trust", shop.trust)
    assert done.returncode == (0 if how == "gone" else 3)


def test_no_room_is_said_before_anything_is_written(shop, tmp_path):
    state = tmp_path / "root/var/lib/larder"
    root = make_root(tmp_path / "root")
    shop.embed(root)
    state.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M,nr_inodes=200", "none", state], check=True)
    try:
        status = firstboot(root)[1]
    finally:
        subprocess.run(["umount", state], check=True)
    assert status["reason"] == "no_space", status


# --- what a tree cannot be, said when it is baked ----------------------------------------------------

LEAVES = "no relative path that stays inside the tree"
REFUSED = {
    "absolute link": ([link("a", "/usr/bin/env")], 'member "a": a link to "/usr/bin/env"'),
    "link out": ([folder("d"), link("d/a", "../../x")], LEAVES),
    "link to itself above": ([folder("d"), link("d/a", "..")], LEAVES),
    "link with a dot": ([link("a", "./x")], LEAVES),
    "device": ([entry("null", kind=tarfile.CHRTYPE)], 'member "null": neither a file, a folder nor a link'),
    "pipe": ([entry("pipe", kind=tarfile.FIFOTYPE)], 'member "pipe": neither'),
    "unsafe name": ([entry("a b", b"x")], 'member "a b": not a path of a tree'),
    "option": ([entry("-rf", b"x")], 'member "-rf": not a path of a tree'),
    "climbs": ([entry("../x", b"x")], 'member "../x": not a path of a tree'),
    "reserved": ([entry("d/nul", b"x")], 'member "d/nul": not a path of a tree'),
    "too deep": ([entry("/".join("a" * 17), b"x")], "not a path of a tree"),
    "twice": ([entry("a", b"x"), entry("a", b"y")], 'member "a" stands twice'),
    "file and folder": ([entry("a", b"x"), entry("a/b", b"y")], 'member "a" is a folder, and something else'),
    "beneath a link": ([link("a", "b"), folder("b"), entry("a/x", b"x")], 'member "a" is a folder, and something'),
    "hard link to nothing": ([entry("b", kind=tarfile.LNKTYPE, target="gone")],
                             'member "b": a second name of "gone", which no glob fits'),
    "hard link to outside": ([entry("b", kind=tarfile.LNKTYPE, target="/etc/shadow")],
                             'a second name of "etc/shadow", which no glob fits'),
    "hard link to itself": ([entry("b", kind=tarfile.LNKTYPE, target="b")], 'a second name of "b"'),
    "hard link to a folder": ([folder("d"), entry("b", kind=tarfile.LNKTYPE, target="d")], 'second name of "d"'),
    "name over 100 bytes": ([entry("n" * 101, b"x")], "too long for a tar"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_at_bake(tmp_path, name):
    members, text = REFUSED[name]
    shop = make_shop(tmp_path / "shop", [entry("good", b"x"), *members])
    shop.fetch()
    refused(text, "larder", *shop.bake_args("--unsigned"))
    assert not (shop.cache / "index.json").exists()
    # what no glob fits may be as it likes
    shop.write_manifest(lambda document: tree_take(document, ["good"]))
    shop.fetch()
    good("larder", *shop.bake_args("--unsigned"))


@pytest.mark.parametrize("step", [{"do": "modules", "files": ["opt/tool"]}, {"do": "packages", "files": ["opt/tool"]}])
def test_only_a_files_step_takes_a_tree(tmp_path, step):
    def change(document):
        tree_take(document)
        document["bundles"][0]["install"] = [step]
    shop = make_shop(tmp_path / "shop", change=change)
    shop.fetch()
    refused("only steps 'files' and 'dkms' take one", "larder", *shop.bake_args("--unsigned"))


def test_no_step_names_what_is_in_a_tree(tmp_path):
    def change(document):
        tree_take(document)
        document["bundles"][0]["install"][0]["files"] = ["opt/tool/tool-1.0/none"]
    shop = make_shop(tmp_path / "shop", change=change)
    shop.fetch()
    refused("matches no file of the bundle", "larder", *shop.bake_args("--unsigned"))


@pytest.mark.parametrize("change, text", [
    (lambda take: take.pop("members"), 'only with "members"'),
    (lambda take: take.update(into="."), "a tree needs a folder of its own"),
    (lambda take: take.update(tree="yes"), "take[0].tree"),
    (lambda take: take.update(members=["nothing*"]), 'nothing fits "nothing*"'),
    (lambda take: take.update(members=["*/many/*", "*.zzz"]), 'nothing fits "*.zzz"'),
])
def test_takes_that_make_no_tree(tmp_path, change, text):
    def broken(document):
        tree_take(document)
        change(document["bundles"][0]["take"][0])
    shop = make_shop(tmp_path / "shop")
    shop.fetch()
    shop.write_manifest(broken)
    refused(text, "larder", *shop.bake_args("--unsigned"))


def test_two_trees_and_files_side_by_side(tmp_path):
    def change(document):
        tree_take(document)
        take = document["bundles"][0]["take"]
        take.append({"file": "vendor", "members": ["*/many/*", "*/current"], "into": "few", "tree": True})
        take.append({"file": "vendor", "members": ["*/bin/run"], "into": "bin"})
        document["bundles"][0]["install"].append({"do": "files", "files": ["few", "bin/run"], "into": "/opt/few"})
        second = {**document["bundles"][0], "id": "second", "rank": 40}
        document["bundles"].append(second)
    shop = make_shop(tmp_path / "shop", change=change)
    shop.bake()
    assert [(file["path"], file["encoding"]) for file in shop.record()["files"]] == [
        ("bin/run", "identity"), ("few", "tar+zstd"), ("opt/tool", "tar+zstd")]
    root = make_root(tmp_path / "root")
    shop.embed(root)
    assert firstboot(root)[1]["reason"] == "done"
    few = {name: what for name, what in expected().items()
           if name in ("tool-1.0", "tool-1.0/many", "tool-1.0/current") or name.startswith("tool-1.0/many/")}
    assert standing(root / "opt/few/few") == few
    assert (root / "opt/few/run").read_bytes() == b"#!/bin/sh\nexit 0\n"


def test_a_tree_beside_its_own_file(tmp_path):
    def change(document):
        tree_take(document)
        document["bundles"][0]["take"].append({"file": "vendor", "members": ["*/none"], "into": "opt/tool"})
    shop = make_shop(tmp_path / "shop", change=change)
    shop.fetch()
    refused('"opt/tool" is a file already', "larder", *shop.bake_args("--unsigned"))


def test_cpio_gives_the_bytes_with_the_last_name(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"shared")
    os.link(source / "a", source / "b")
    os.link(source / "a", source / "c")
    data = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"a\nb\nc\n", cwd=source,
                          capture_output=True, check=True).stdout
    shop = make_shop(tmp_path / "shop", data=gzip.compress(data))
    shop.bake()
    root = make_root(tmp_path / "root")
    shop.embed(root)
    assert firstboot(root)[1]["reason"] == "done"
    assert standing(root / "opt/larder/tool") == {name: ("file", 0o644, b"shared") for name in "abc"}


def test_memory_is_bounded(tmp_path):
    """Neither side holds a tree: 96 MB of it pass through far less."""
    def within(megabytes):  # the sanitizers take memory of their own
        return () if BUILD.name == "sanitize" else ("prlimit", f"--data={megabytes << 20}")
    members = [entry(f"f{i}", NOISE + b"%d" % i) for i in range(24)]
    shop = make_shop(tmp_path / "shop", members)
    key = shop.keys()
    shop.fetch()
    good("larder", *shop.bake_args("--key", key), prefix=within(64))
    good("larder-verify", shop.cache, "--trust", shop.trust, prefix=within(32))
    root = make_root(tmp_path / "root")
    shop.embed(root)
    assert firstboot(root, prefix=within(32))[1]["reason"] == "done"
    assert (root / "opt/larder/tool/f23").read_bytes() == NOISE + b"23"
