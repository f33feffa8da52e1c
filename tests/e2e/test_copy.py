"""larder copy and ls: folder, tar, parts, delta, stream, registry, web; each is the same cache with the same bytes."""

import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from larder import BUILD, Workshop, good, refused, run
from registry_server import DockerRegistry, Registry, TokenServer, write_login
from test_select import Family
from test_sweep import Job, serial, sweep

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from made_tar import BLOBS, END, header, padded  # noqa: E402

ENV = {"SOURCE_DATE_EPOCH": "1700000000"}


def tree(folder):
    """Path -> bytes of every file."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def inodes(folder):
    """Path -> what a write would change."""
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def copy(*args, **options):
    """What larder copy reports."""
    return json.loads(good("larder", "copy", "--json", *args, **options))


def pipe_in(path, *args):
    """larder copy - ...: the file on standard input, through a pipe that cannot seek."""
    cat = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
    done = subprocess.run([BUILD / "larder", "copy", "-", *map(str, args)], stdin=cat.stdout, capture_output=True,
                          text=True)
    cat.stdout.close()
    cat.wait()
    assert 0 <= done.returncode < 99 and "Sanitizer" not in done.stderr, done
    return done


def clean(place, trust):
    """larder-verify says that it is clean."""
    return good("larder-verify", place, "--trust", trust)


@pytest.fixture
def family(tmp_path, monkeypatch):
    """Three bundles, all carried; serial 1."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "notes"))
    (tmp_path / "family").mkdir()
    made = Family(tmp_path / "family")
    made.fetch()
    made.bake()
    return made


@pytest.fixture
def grown(family, tmp_path):
    """(family, OLD with serial 1, its cache with serial 2 and one file more)."""
    old = tmp_path / "old"
    shutil.copytree(family.cache, old)
    family.files["new"] = family.folder / "new.deb"
    family.files["new"].write_bytes(b"new" * 70000)

    def change(document):
        document["bundles"][2]["take"].append({"file": "new", "into": "D"})
    family.write(change)
    family.fetch()
    family.bake()
    assert family.statement()["predicate"]["serial"] == 2
    return family, old, family.cache


# folder and tar

def test_folder_to_folder(family, tmp_path):
    report = copy(family.cache, tmp_path / "b", "--trust", family.trust)
    assert tree(tmp_path / "b") == tree(family.cache)
    assert (report["carried"], report["bundles"], report["serial"]) == (3, 3, 1)
    assert report["blobs"] == {"written": 11, "present": 0, "mounted": 0} and report["checked"]
    before = inodes(tmp_path / "b")
    again = copy(family.cache, tmp_path / "b")
    assert again["unchanged"] and not again["checked"] and again["blobs"] == {"written": 0, "present": 11, "mounted": 0}
    assert inodes(tmp_path / "b") == before
    assert "nothing to do; not checked against a trust root" in good("larder", "copy", family.cache, tmp_path / "b")


def test_tar_round_trip(family, tmp_path):
    copy(family.cache, tmp_path / "a.tar")
    copy(family.cache, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    copy(tmp_path / "a.tar", tmp_path / "c")
    assert tree(tmp_path / "c") == tree(family.cache)
    copy(tmp_path / "a.tar", tmp_path / "d.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "d.tar").read_bytes()
    clean(tmp_path / "a.tar", family.trust)
    assert {path.name for path in tmp_path.iterdir() if "draft" in path.name} == set()


def test_tar_is_read_by_others(family, tmp_path):
    copy(family.cache, tmp_path / "a.tar")
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path / "gnu"], check=True)
    assert tree(tmp_path / "gnu") == tree(family.cache)
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()
        found = {member.name: tar.extractfile(member).read() for member in members}
    assert found == tree(family.cache)
    names = [member.name for member in members]
    assert names[:2] == ["oci-layout", "index.json"] and len(set(names)) == len(names)
    assert all((m.uid, m.gid, m.mtime, m.mode, m.type) == (0, 0, 0, 0o644, b"0") for m in members)
    files = {hashlib.sha256(path.read_bytes()).hexdigest() for path in family.files.values()}
    assert {name.split("/")[-1] for name in names[-4:]} == files and names[-4:] == sorted(names[-4:])


def test_blob_that_is_a_document(tmp_path):
    """A file with the bytes of the empty config stands in the tar once."""
    shop = Workshop(tmp_path / "shop", files={"vendor/nic.ko": b"\x7fELF" + b"m" * 100, "vendor/nic.conf": b"{}"})
    shop.bake(env=ENV)
    copy(shop.cache, tmp_path / "a.tar")
    copy(tmp_path / "a.tar", tmp_path / "b")
    assert tree(tmp_path / "b") == tree(shop.cache)
    clean(tmp_path / "a.tar", shop.trust)


def test_damaged_source_changes_nothing(grown, tmp_path):
    family, old, cache = grown
    target = tmp_path / "target"
    shutil.copytree(old, target)
    before = tree(target)
    blob = cache / "blobs/sha256" / hashlib.sha256(family.files["new"].read_bytes()).hexdigest()
    data = bytearray(blob.read_bytes())
    data[1000] ^= 1
    blob.write_bytes(data)
    refused("does not have the digest", "larder", "copy", cache, target)
    assert {name: data for name, data in tree(target).items() if name in before} == before
    clean(target, family.trust)
    refused("does not have the digest", "larder", "copy", cache, tmp_path / "x.tar")
    assert not list(tmp_path.glob("*x.tar*"))
    (tmp_path / "y.tar").write_bytes(b"was here")
    refused("does not have the digest", "larder", "copy", cache, tmp_path / "y.tar")
    assert (tmp_path / "y.tar").read_bytes() == b"was here"
    data[1000] ^= 1
    blob.write_bytes(data)
    copy(cache, target)
    assert tree(target) == tree(cache)


def test_envelope_under_another_name(family, tmp_path):
    """The folder has the true envelope of that name: it must not get tables that are another's."""
    other, target, name = tmp_path / "other", tmp_path / "target", envelope_of(family.cache).split(":")[1]
    copy(family.cache, target)
    before = inodes(target)
    family.bake("--serial", "5", cache=other)
    forged = (other / "blobs/sha256" / envelope_of(other).split(":")[1]).read_bytes()
    (family.cache / "blobs/sha256" / name).write_bytes(forged)
    refused("does not have the digest that is its name", "larder", "copy", family.cache, target)
    assert inodes(target) == before
    refused("does not have the digest that is its name", "larder", "embed", family.cache, "--trust", family.trust,
            "--root", tmp_path)


def test_damaged_copy_is_mended(family, tmp_path):
    copy(family.cache, tmp_path / "b")
    victim = tmp_path / "b/blobs/sha256" / hashlib.sha256(family.files["cx5"].read_bytes()).hexdigest()
    victim.write_bytes(b"x" * victim.stat().st_size)
    assert copy(family.cache, tmp_path / "b")["blobs"]["written"] == 1
    assert tree(tmp_path / "b") == tree(family.cache)


def test_trust_and_serial(family, tmp_path):
    good("larder", "key", "new", tmp_path / "other")
    (tmp_path / "other.json").write_text(good("larder", "trust", "init", tmp_path / "other.pub"))
    refused("which this trust root does not know", "larder", "copy", family.cache, tmp_path / "b", "--trust",
            tmp_path / "other.json")
    refused("serial 1 is below 2", "larder", "copy", family.cache, tmp_path / "b", "--serial-at-least", "2")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("args, text", [
    (["{c}", "{t}/b", "--since", "{c}"], "--since makes a tar"),
    (["{c}", "{t}/b", "--split", "1M"], "--split cuts a tar"),
    (["{c}", "-", "--split", "1M"], "standard output cannot be cut"),
    (["{c}", "{t}/b.tar", "--split", "1X"], "expected a size"),
    (["{c}", "{t}/b.tar", "--split", "99999999999G"], "expected a size"),
    (["{c}", "{t}/b.tar", "--split", "17"], "at least 4096"),
    (["-", "{t}/b.tar"], "is read once"),
    (["{t}/x.tar.sha256", "{t}/b.tar"], "is read once"),
    (["{c}", "{c}"], "are the same"),
    (["{c}", "{t}/a.tgz"], "a.tgz: expected a folder, a name that ends in .tar, .deb or .rpm, '-' or oci://"),
    (["{c}", "{t}/a.tar.zst"], "expected a folder, a name that ends in .tar"),
    (["{c}", "{m}"], "nics.json: expected a folder, a name that ends in .tar"),
    (["{c}", "oci://127.0.0.1:1/x@sha256:" + "0" * 64], "give a tag"),
])
def test_usage(family, tmp_path, args, text):
    words = [word.format(c=family.cache, t=tmp_path, m=family.manifest) for word in args]
    refused(text, "larder", "copy", *words, code=2)


# slices

def test_slice(family, tmp_path):
    report = copy(family.cache, tmp_path / "slice", "--nic", "cx5", "--os", "debian:12")
    assert (report["carried"], report["bundles"]) == (1, 3)
    assert family.carried(tmp_path / "slice") == {"cx5", "shared"}
    assert family.statement(tmp_path / "slice") == family.statement()
    clean(tmp_path / "slice", family.trust)
    family.bake("--nic", "cx5", cache=tmp_path / "baked")
    copy(family.cache, tmp_path / "slice.tar", "--nic", "cx5")
    copy(tmp_path / "slice.tar", tmp_path / "again")
    assert tree(tmp_path / "again") == tree(tmp_path / "slice")
    refused("no bundle of", "larder", "copy", family.cache, tmp_path / "none", "--nic", "cx5", "--os",
            "ubuntu:22.04", code=2)
    assert not (tmp_path / "none").exists()


def test_slice_of_a_folder_prunes(family, tmp_path):
    copy(family.cache, tmp_path / "b")
    report = copy(family.cache, tmp_path / "b", "--nic", "cx5")
    assert not report["unchanged"] and report["blobs"]["written"] == 0
    assert family.carried(tmp_path / "b") == {"cx5", "shared"}
    clean(tmp_path / "b", family.trust)


def test_slice_streamed_into_the_whole(family, tmp_path):
    """What the folder had of other bundles does not make them carried."""
    copy(family.cache, tmp_path / "slice.tar", "--nic", "cx5")
    copy(family.cache, tmp_path / "slice", "--nic", "cx5")
    copy(family.cache, tmp_path / "b")
    assert pipe_in(tmp_path / "slice.tar", tmp_path / "b").returncode == 0
    assert tree(tmp_path / "b") == tree(tmp_path / "slice")


def without_list(cache):
    """The cache's index, which nobody signed, lists no bundle."""
    blobs, top = cache / BLOBS, json.loads((cache / "index.json").read_text())
    index = json.loads((blobs / top["manifests"][0]["digest"].split(":")[1]).read_text())
    index["manifests"] = index["manifests"][:1]
    data = json.dumps(index).encode()
    name = hashlib.sha256(data).hexdigest()
    (blobs / name).write_bytes(data)
    top["manifests"][0].update(digest=f"sha256:{name}", size=len(data))
    (cache / "index.json").write_text(json.dumps(top))


def pack(path, files):
    """A tar of (name, bytes)."""
    path.write_bytes(b"".join(header(name, len(data)) + padded(data) for name, data in files) + END)


def unpack(path):
    """(name, bytes) of each file, in order."""
    with tarfile.open(path) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar.getmembers()]


def test_index_that_lists_nothing(family, tmp_path):
    """What came is carried, whatever an index says that nobody signed."""
    copy(family.cache, tmp_path / "whole")
    shutil.copytree(family.cache, tmp_path / "bare")
    without_list(tmp_path / "bare")
    first = [(name, (tmp_path / "bare" / name).read_bytes()) for name in ("oci-layout", "index.json")]
    pack(tmp_path / "bare.tar", first + [(BLOBS + path.name, path.read_bytes())
                                         for path in sorted((tmp_path / "bare" / BLOBS).iterdir())])
    for target in (tmp_path / "whole", tmp_path / "new"):
        done = pipe_in(tmp_path / "bare.tar", target, "--trust", family.trust)
        assert done.returncode == 0 and "3 of 3 bundles carried" in done.stdout, done
        assert tree(target) == tree(family.cache)


def test_delta_that_lists_nothing(grown, tmp_path):
    family, old, cache = grown
    bare = tmp_path / "bare"
    shutil.copytree(cache, bare)
    without_list(bare)
    files = [(name, (bare / name).read_bytes() if name == "index.json" else data)
             for name, data in unpack(delta_of(grown, tmp_path))]
    index = json.loads((bare / "index.json").read_text())["manifests"][0]["digest"].split(":")[1]
    pack(tmp_path / "bare.tar", files + [(BLOBS + index, (bare / BLOBS / index).read_bytes())])
    for streams in (False, True):
        target = tmp_path / f"target-{streams}"
        shutil.copytree(old, target)
        if streams:
            assert pipe_in(tmp_path / "bare.tar", target).returncode == 0
        else:
            copy(tmp_path / "bare.tar", target)
        assert tree(target) == tree(cache)
        clean(target, family.trust)


def test_ls(family, tmp_path):
    copy(family.cache, tmp_path / "slice.tar", "--nic", "cx5")
    lines = good("larder", "ls", tmp_path / "slice.tar").splitlines()
    assert len(lines) == 4 and "signatures are not checked here" in lines[-1]
    assert "1 carried" in lines[-1] and "3 bundles" in lines[-1]
    state = {line.split()[2]: line.split("  ")[-1] for line in lines[:3]}
    assert state == {"mana": "not carried", "cx5": "carried", "cx6": "not carried"}
    line = next(line for line in lines if " cx5 " in line)
    assert "linux/debian-12/x86_64" in line and "5.15.0-1050-azure" in line
    document = json.loads(good("larder", "ls", tmp_path / "slice.tar", "--json", "--nic", "cx6"))
    assert [(b["id"], b["carried"]) for b in document["bundles"]] == [("cx6", False)]
    assert document["serial"] == 1 and len(document["signatures"]) == 1


def test_show(family):
    text = good("larder", "show", family.cache)
    assert "serial      1" in text and "signatures are not checked here" in text
    assert "signed by   " in text and "nobody" not in text
    text = good("larder", "show", family.cache, "nics@1.0")
    assert text.count("bundle      nics 1.0") == 3
    assert "D/shared.deb  600 B, 600 B in the cache (identity)" in text
    assert '{"do":"packages","files":["D/cx5.deb","D/shared.deb"]}' in text and "GPL-2.0-only" in text
    bundles = json.loads(good("larder", "show", family.cache, "nics", "--json"))
    assert [bundle["id"] for bundle in bundles] == ["mana", "cx5", "cx6"]
    assert bundles[1]["files"][0]["path"] == "D/cx5.deb" and bundles[1]["devices"]
    refused("no bundle other in it", "larder", "show", family.cache, "other")
    refused("no bundle nics@2 in it", "larder", "show", family.cache, "nics@2")
    assert json.loads(good("larder", "show", "--expand", family.manifest))["name"] == "nics"
    refused("--expand takes one manifest", "larder", "show", "--expand", family.manifest, "x", code=2)
    refused("a manifest is shown by --expand", "larder", "show", family.manifest, code=2)


# streams

def test_pipe(family, tmp_path):
    with open(tmp_path / "out.tar", "wb") as out:
        done = subprocess.run([BUILD / "larder", "copy", family.cache, "-"], stdout=out, stderr=subprocess.PIPE)
    assert done.returncode == 0 and b"standard output: serial 1, 3 of 3" in done.stderr
    copy(family.cache, tmp_path / "a.tar")
    assert (tmp_path / "out.tar").read_bytes() == (tmp_path / "a.tar").read_bytes()
    done = pipe_in(tmp_path / "out.tar", tmp_path / "b", "--trust", family.trust, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["blobs"] == {"written": 11, "present": 0, "mounted": 0} and report["checked"]
    assert tree(tmp_path / "b") == tree(family.cache)
    again = json.loads(pipe_in(tmp_path / "out.tar", tmp_path / "b", "--json").stdout)
    assert again["unchanged"] and again["blobs"] == {"written": 0, "present": 11, "mounted": 0}


def cuts(size):
    """Places in the tar that matter, and some between."""
    return [0, 1, 511, 512, 1024, 1536, size // 3, size // 2, size - 1025, size - 1024, size - 512, size - 1]


def test_cut_streams(grown, tmp_path):
    family, old, cache = grown
    copy(cache, tmp_path / "a.tar")
    data = (tmp_path / "a.tar").read_bytes()
    target = tmp_path / "target"
    shutil.copytree(old, target)
    before = tree(target)
    for cut in cuts(len(data)):
        (tmp_path / "cut").write_bytes(data[:cut])
        done = pipe_in(tmp_path / "cut", target)
        assert done.returncode == 1 and "cut short" in done.stderr, (cut, done.stderr)
        assert tree(target) == before, cut
    clean(target, family.trust)
    (tmp_path / "cut").write_bytes(data + b"\0")
    assert "does not end where it says" in pipe_in(tmp_path / "cut", target).stderr
    assert pipe_in(tmp_path / "a.tar", target).returncode == 0
    assert tree(target) == tree(cache)


@pytest.mark.parametrize("change, text", [
    (lambda tar, at: tar.replace(b"new" * 50, b"now" + b"new" * 49, 1), "does not have the digest that is its name"),
    (lambda tar, at: tar[:148] + b"0000000\0" + tar[156:], "damaged"),
    (lambda tar, at: tar[:-1024] + tar[at:at + 1024] + tar[-1024:], "twice"),
    (lambda tar, at: tar[:-1024] + tar[:1024] + tar[-1024:], "not at its place"),
    (lambda tar, at: tar[1024:], None),
    (lambda tar, at: tar[:1024] + tar[-1024:], "no index.json"),
])
def test_streams_that_are_none(grown, tmp_path, change, text):
    family, old, cache = grown
    target = tmp_path / "target"
    shutil.copytree(old, target)
    before = tree(target)
    copy(cache, tmp_path / "a.tar")
    data = (tmp_path / "a.tar").read_bytes()
    small = hashlib.sha256(family.files["cx5"].read_bytes()).hexdigest().encode()
    (tmp_path / "bad.tar").write_bytes(change(data, data.index(b"blobs/sha256/" + small)))
    done = pipe_in(tmp_path / "bad.tar", target)
    if text is None:  # oci-layout may be left out
        assert done.returncode == 0, done.stderr
        assert tree(target) == tree(cache)
        return
    assert done.returncode == 1, done
    if text != "damaged":
        assert text in done.stderr, done.stderr
    assert tree(target) == before
    clean(target, family.trust)


def test_untrusted_stream(grown, tmp_path):
    family, old, cache = grown
    target = tmp_path / "target"
    shutil.copytree(old, target)
    good("larder", "key", "new", tmp_path / "other")
    (tmp_path / "other.json").write_text(good("larder", "trust", "init", tmp_path / "other.pub"))
    copy(cache, tmp_path / "a.tar")
    done = pipe_in(tmp_path / "a.tar", target, "--trust", tmp_path / "other.json")
    assert done.returncode == 1 and "does not know" in done.stderr
    assert tree(target) == tree(old)


def test_refused_stream_mends(grown, tmp_path):
    """What it brings of the old cache stays."""
    family, old, cache = grown
    target = tmp_path / "target"
    shutil.copytree(old, target)
    (target / BLOBS / hashlib.sha256(family.files["cx5"].read_bytes()).hexdigest()).write_bytes(b"x" * 300)
    copy(cache, tmp_path / "a.tar")
    done = pipe_in(tmp_path / "a.tar", target, "--serial-at-least", "3")
    assert done.returncode == 1 and "below 3" in done.stderr
    assert tree(target) == tree(old)


# parts

def test_parts(grown, tmp_path):
    family, old, cache = grown
    usb = tmp_path / "usb"
    usb.mkdir()
    copy(cache, tmp_path / "a.tar")
    report = copy(cache, usb / "hpc.tar", "--split", "64K")
    names = sorted(path.name for path in usb.iterdir())
    assert names == [f"hpc.tar.{i:03}" for i in range(report["parts"])] + ["hpc.tar.sha256"]
    assert report["parts"] > 2
    joined = b"".join((usb / name).read_bytes() for name in names[:-1])
    assert joined == (tmp_path / "a.tar").read_bytes()
    assert all((usb / name).stat().st_size == 65536 for name in names[:-2])
    subprocess.run(["sha256sum", "-c", "--strict", "hpc.tar.sha256"], cwd=usb, check=True, stdout=subprocess.DEVNULL)
    copy(usb / "hpc.tar.sha256", tmp_path / "b", "--trust", family.trust)
    assert tree(tmp_path / "b") == tree(cache)
    (usb / ".hpc.tar.007.draft").write_bytes(b"left by a crash")
    (usb / "hpc.tar.txt").write_bytes(b"mine")
    assert copy(cache, usb / "hpc.tar", "--split", "1G")["parts"] == 1
    assert sorted(path.name for path in usb.iterdir()) == ["hpc.tar.000", "hpc.tar.sha256", "hpc.tar.txt"]
    copy(usb / "hpc.tar.sha256", tmp_path / "c")
    assert tree(tmp_path / "c") == tree(cache)
    size = (tmp_path / "a.tar").stat().st_size
    assert copy(cache, usb / "hpc.tar", "--split", str(size))["parts"] == 1


@pytest.mark.parametrize("harm, text", [
    (lambda usb: (usb / "x.tar.001").unlink(), "part x.tar.001 is not there"),
    (lambda usb: (usb / "x.tar.900").write_bytes(b""), "part x.tar.900 is not in x.tar.sha256"),
    (lambda usb: (usb / "x.tar.001").write_bytes((usb / "x.tar.000").read_bytes()),
     "part x.tar.001 is not what x.tar.sha256 says"),
    (lambda usb: (usb / "x.tar.001").write_bytes((usb / "x.tar.001").read_bytes()[:-1]),
     "part x.tar.001 is not what x.tar.sha256 says"),
    (lambda usb: (usb / "x.tar.sha256").write_text((usb / "x.tar.sha256").read_text()[1:]),
     "line 1: expected the digest of x.tar.000"),
    (lambda usb: (usb / "x.tar.sha256").write_text("".join((usb / "x.tar.sha256").read_text().splitlines(True)[1:])),
     "line 1: expected the digest of x.tar.000"),
    (lambda usb: (usb / "x.tar.sha256").write_text(""), "line 1: expected"),
])
def test_bad_parts(grown, tmp_path, harm, text):
    _, old, cache = grown
    (tmp_path / "usb").mkdir()
    copy(cache, tmp_path / "usb/x.tar", "--split", "64K")
    harm(tmp_path / "usb")
    target = tmp_path / "target"
    shutil.copytree(old, target)
    refused(text, "larder", "copy", tmp_path / "usb/x.tar.sha256", target)
    assert (target / "index.json").read_bytes() == (old / "index.json").read_bytes()


@pytest.mark.parametrize("name, text", [("x.tar.sha256", "not a regular file"), ("x.tar.000", "x.tar.000")])
def test_parts_that_are_pipes(family, tmp_path, name, text):
    copy(family.cache, tmp_path / "x.tar", "--split", "1M")
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    done = subprocess.run([BUILD / "larder", "copy", tmp_path / "x.tar.sha256", tmp_path / "b"], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 1 and text in done.stderr, done


def test_parts_by_a_link(family, tmp_path):
    (tmp_path / "usb").mkdir()
    copy(family.cache, tmp_path / "x.tar", "--split", "1M")
    (tmp_path / "x.tar.000").rename(tmp_path / "usb/x.tar.000")
    (tmp_path / "x.tar.sha256").rename(tmp_path / "sums")
    (tmp_path / "usb/x.tar.sha256").symlink_to("../sums")
    copy(tmp_path / "usb/x.tar.sha256", tmp_path / "b")
    assert tree(tmp_path / "b") == tree(family.cache)


def test_too_many_parts(grown, tmp_path):
    _, _, cache = grown
    with open(tmp_path / "big", "wb") as big:
        big.truncate(8 << 20)
    shop = Workshop(tmp_path / "shop", files={"vendor/nic.ko": os.urandom(5 << 20), "vendor/nic.conf": b"x"})
    shop.bake(env=ENV)
    refused("more than 1000 parts", "larder", "copy", shop.cache, tmp_path / "x.tar", "--split", "4K", code=2)
    assert not list(tmp_path.glob("x.tar*"))


# deltas

def delta_of(grown, tmp_path, *options):
    """A delta from OLD to the new cache."""
    _, old, cache = grown
    copy(cache, tmp_path / "delta.tar", "--since", old, *options)
    return tmp_path / "delta.tar"


def envelope_of(cache):
    """The digest of a cache's envelope."""
    return json.loads(good("larder", "show", cache, "--json"))["envelope"]


def test_delta(grown, tmp_path):
    family, old, cache = grown
    delta = delta_of(grown, tmp_path)
    with tarfile.open(delta) as tar:
        names = tar.getnames()
        mark = json.loads(tar.extractfile("larder-delta.json").read())
        assert tar.extractfile("index.json").read() == (cache / "index.json").read_bytes()
    assert names[:3] == ["oci-layout", "larder-delta.json", "index.json"]
    assert mark == {"format": "larder.delta.v1", "base": envelope_of(old), "serial": 1}
    have = {f"blobs/sha256/{path.name}" for path in (old / "blobs/sha256").iterdir()}
    want = {f"blobs/sha256/{path.name}" for path in (cache / "blobs/sha256").iterdir()}
    assert want - have <= set(names[3:]) <= want
    described = json.loads(good("larder", "show", old, "--json"))["bundles"]
    below = {bundle["record"] for bundle in described}
    below |= {file["blob"]["digest"] for bundle in described for file in bundle["files"]}
    assert not {f"blobs/sha256/{digest.split(':')[1]}" for digest in below} & set(names)
    with tarfile.open(delta) as tar:
        assert json_document(tar.extractfile(names[-1]).read()) is False
    clean(delta, family.trust)
    copy(cache, tmp_path / "again.tar", "--since", old)
    assert delta.read_bytes() == (tmp_path / "again.tar").read_bytes()
    target = tmp_path / "target"
    shutil.copytree(old, target)
    report = copy(delta, target, "--trust", family.trust)
    assert report["carried"] == 3 and report["blobs"]["written"] == len(
        [name for name in want - have if not json_document((cache / name).read_bytes())])
    assert tree(target) == tree(cache)
    before = inodes(target)
    assert "nothing to do" in good("larder", "copy", delta, target)
    assert inodes(target) == before


def json_document(data):
    """Is the blob a document of the layout?"""
    try:
        return json.loads(data).get("schemaVersion") == 2
    except (ValueError, AttributeError):
        return False


def test_delta_streams(grown, tmp_path):
    family, old, cache = grown
    delta = delta_of(grown, tmp_path)
    target = tmp_path / "target"
    shutil.copytree(old, target)
    done = pipe_in(delta, target, "--trust", family.trust)
    assert done.returncode == 0, done.stderr
    assert tree(target) == tree(cache)
    before = inodes(target)
    assert "nothing to do" in pipe_in(delta, target).stdout
    assert inodes(target) == before
    done = pipe_in(delta, tmp_path / "none")
    assert done.returncode == 1 and "holds no cache" in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("streams", [False, True])
def test_delta_needs_its_base(grown, tmp_path, streams):
    family, old, cache = grown
    delta = delta_of(grown, tmp_path)
    other = tmp_path / "other"
    family.bake("--serial", "9", cache=other)
    before = inodes(other)
    words = [f"this delta continues serial 1 ({envelope_of(old)})", f"holds serial 9 ({envelope_of(other)})"]
    done = pipe_in(delta, other) if streams else run("larder", "copy", delta, other)
    assert done.returncode == 1 and all(word in done.stderr for word in words), done.stderr
    assert inodes(other) == before
    done = run("larder", "copy", delta, tmp_path / "none")
    assert done.returncode == 1 and "none holds no cache" in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("streams", [False, True])
def test_delta_with_a_foreign_front(grown, tmp_path, streams):
    """The first blob is the envelope of another cache, which the folder holds."""
    family, old, cache = grown
    files = unpack(delta_of(grown, tmp_path))
    other = tmp_path / "other"
    family.bake("--serial", "9", cache=other)
    name = BLOBS + envelope_of(other).split(":")[1]
    pack(tmp_path / "x.tar", files[:3] + [(name, (other / name).read_bytes())] + files[3:])
    before = tree(other)
    done = pipe_in(tmp_path / "x.tar", other) if streams else run("larder", "copy", tmp_path / "x.tar", other)
    assert done.returncode == 1 and f"holds serial 9 ({envelope_of(other)})" in done.stderr, done
    assert tree(other) == before


def test_delta_does_not_replace_its_base(grown, tmp_path):
    _, old, cache = grown
    copy(old, tmp_path / "old.tar")
    before = (tmp_path / "old.tar").read_bytes()
    (tmp_path / "link.tar").symlink_to("old.tar")
    os.link(tmp_path / "old.tar", tmp_path / "hard.tar")
    for since, to in (("old.tar", "old.tar"), ("old.tar", "../" + tmp_path.name + "/old.tar"),
                      ("link.tar", "old.tar"), ("old.tar", "link.tar"), ("old.tar", "hard.tar")):
        refused("--since and DST are the same", "larder", "copy", cache, tmp_path / to, "--since", tmp_path / since,
                code=2)
    assert (tmp_path / "old.tar").read_bytes() == before


def test_delta_elsewhere(grown, tmp_path):
    _, old, cache = grown
    delta = delta_of(grown, tmp_path)
    refused("copy it into the folder that holds that one", "larder", "copy", delta, tmp_path / "x.tar")
    refused("copy it into the folder that holds that one", "larder", "copy", delta, "oci://127.0.0.1:1/x:1")
    refused("is a delta that continues serial 1", "larder", "ls", delta)
    refused("is a delta that continues serial 1", "larder", "copy", cache, tmp_path / "x.tar", "--since", delta)
    refused("a delta leads forward only", "larder", "copy", old, tmp_path / "x.tar", "--since", cache)
    assert not (tmp_path / "x.tar").exists()


def test_delta_split_since_tar(grown, tmp_path):
    family, old, cache = grown
    copy(old, tmp_path / "old.tar")
    (tmp_path / "usb").mkdir()
    copy(cache, tmp_path / "usb/d.tar", "--since", tmp_path / "old.tar", "--split", "64K")
    target = tmp_path / "target"
    shutil.copytree(old, target)
    copy(tmp_path / "usb/d.tar.sha256", target, "--trust", family.trust)
    assert tree(target) == tree(cache)


def test_delta_of_a_slice(grown, tmp_path):
    """It adds to what the base has: that the slice leaves a bundle out is said by its index alone."""
    family, old, cache = grown
    delta = delta_of(grown, tmp_path, "--nic", "cx5")
    for streams in (False, True):
        target = tmp_path / f"target-{streams}"
        shutil.copytree(old, target)
        assert pipe_in(delta, target).returncode == 0 if streams else copy(delta, target)
        assert family.carried(target) == {"cx5", "cx6", "shared"}
        clean(target, family.trust)


def test_delta_over_less(grown, tmp_path):
    """The folder holds a slice of the base: what is not whole afterwards is not carried."""
    family, old, cache = grown
    copy(old, tmp_path / "target", "--nic", "cx5")
    copy(delta_of(grown, tmp_path), tmp_path / "target")
    assert family.carried(tmp_path / "target") == {"cx5", "shared"}
    clean(tmp_path / "target", family.trust)


# crashes

def test_leftovers(grown, tmp_path):
    _, old, cache = grown
    target = tmp_path / "target"
    shutil.copytree(old, target)
    (target / "blobs/sha256/.0000.draft").write_bytes(b"left")
    (target / "blobs/sha256" / ("0" * 64)).write_bytes(b"left")
    (target / ".index.json.draft").write_bytes(b"left")
    copy(cache, target)
    assert tree(target) == tree(cache)


# registries

@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def test_registry_round_trip(family, registry, tmp_path):
    where = registry.reference("round/trip", "7")
    report = copy(family.cache, where, "--trust", family.trust)
    assert report["blobs"] == {"written": 11, "present": 0, "mounted": 0} and report["carried"] == 3
    report = copy(where, tmp_path / "b", "--trust", family.trust)
    assert report["carried"] == 3 and tree(tmp_path / "b") == tree(family.cache)
    assert copy(family.cache, where)["unchanged"]
    copy(where, tmp_path / "b.tar")
    copy(family.cache, tmp_path / "a.tar")
    assert (tmp_path / "b.tar").read_bytes() == (tmp_path / "a.tar").read_bytes()
    copy(tmp_path / "a.tar", registry.reference("from/tar"))
    copy(registry.reference("from/tar"), tmp_path / "c")
    assert tree(tmp_path / "c") == tree(family.cache)
    assert "3 carried" in good("larder", "ls", where)
    assert run("larder", "diff", where, family.cache).returncode == 0


@pytest.fixture
def web(family):
    """The folder of the cache, on a web server that knows no ranges."""
    handler = functools.partial(QuietHandler, directory=family.cache.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{family.cache.name}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_web(family, web, tmp_path):
    report = copy(web + "/", tmp_path / "b", "--trust", family.trust)
    assert report["carried"] == 3 and tree(tmp_path / "b") == tree(family.cache)
    assert "3 carried" in good("larder", "ls", web)
    assert run("larder", "diff", web, family.cache).returncode == 0
    clean(web, family.trust)
    copy(web, tmp_path / "c.tar", "--nic", "cx5")
    clean(tmp_path / "c.tar", family.trust)


def test_web_is_for_reading(family, web):
    before = tree(family.cache)
    done = run("larder", "copy", family.cache, web)
    assert done.returncode == 2 and "nothing can be put on the web" in done.stderr
    assert tree(family.cache) == before


def test_web_damaged(family, web, tmp_path):
    blob = max((family.cache / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(b"x" * blob.stat().st_size)
    done = run("larder", "copy", web, tmp_path / "b")
    assert done.returncode == 1 and blob.name[:12] in done.stderr
    assert run("larder-verify", web, "--trust", family.trust).returncode == 3


def test_web_that_is_not_there(family, tmp_path):
    done = run("larder", "copy", "http://127.0.0.1:9/cache", tmp_path / "b")
    assert done.returncode == 1 and "http://127.0.0.1:9/cache" in done.stderr
    done = run("larder", "ls", "https://user:secret@m.lan/cache")
    assert done.returncode == 1 and "secret" not in done.stderr


def test_registry_slice(family, registry, tmp_path):
    where = registry.reference("a/slice", "7")
    copy(family.cache, where, "--nic", "cx5")
    report = copy(where, tmp_path / "b")
    assert (report["carried"], report["bundles"]) == (1, 3)
    copy(family.cache, tmp_path / "slice", "--nic", "cx5")
    assert tree(tmp_path / "b") == tree(tmp_path / "slice")
    clean(tmp_path / "b", family.trust)


def test_registry_delta(grown, registry, tmp_path):
    _, old, cache = grown
    copy(old, registry.reference("base", "1"))
    copy(cache, registry.reference("base", "2"))
    copy(registry.reference("base", "2"), tmp_path / "delta.tar", "--since", registry.reference("base", "1"))
    target = tmp_path / "target"
    shutil.copytree(old, target)
    copy(tmp_path / "delta.tar", target)
    assert tree(target) == tree(cache)


def test_registry_mounts(family, tmp_path):
    with Registry() as registry:
        copy(family.cache, registry.reference("here/first"))
        sent = len(registry.seen("PUT"))
        copy(registry.reference("here/first"), registry.reference("here/second"))
        asked = [one.query for one in registry.seen("POST", "here/second")]
        assert asked and all(query.get("from") == "here/first" for query in asked if "mount" in query)
        uploads = [one for one in registry.seen("PUT")[sent:] if "/blobs/uploads/" in one.path]
        assert len(uploads) <= 1  # the empty config
        again = copy(registry.reference("here/first"), registry.reference("here/third"))
        assert again["blobs"]["mounted"] > 0 and again["blobs"]["written"] == 0, again
        copy(registry.reference("here/second"), tmp_path / "b")
    assert tree(tmp_path / "b") == tree(family.cache)


def test_registry_over_several_connections(family, tmp_path):
    target = tmp_path / "b"
    with Registry() as registry:
        where = registry.reference("x")
        copy(family.cache, where)
        report = copy(where, target)
        assert report["blobs"] == {"written": 11, "present": 0, "mounted": 0}
        assert len({one.port for one in registry.seen("GET", "/blobs/")}) > 2
        assert tree(target) == tree(family.cache) and not (target / "partial").exists()
        # What an earlier copy began is gone on with.
        name = hashlib.sha256(family.files["cx5"].read_bytes()).hexdigest()
        (target / "partial").mkdir()
        (target / "blobs/sha256" / name).rename(target / "partial" / name)
        before = len(registry.seen("GET", name))
        report = copy(where, target)
        assert report["blobs"]["written"] == 1 and len(registry.seen("GET", name)) == before
    assert tree(target) == tree(family.cache) and not (target / "partial").exists()


def test_registry_login(family, tmp_path):
    with DockerRegistry(tmp_path, login="ann:secret") as registry:
        where = registry.reference("hpc/drivers", "7")
        refused("", "larder", "copy", family.cache, where)
        config = tmp_path / "docker"
        config.mkdir()
        write_login(config / "config.json", registry.host, "ann:secret")
        env = {"DOCKER_CONFIG": str(config)}
        copy(family.cache, where, env=env)
        copy(where, tmp_path / "b", env=env)
    assert tree(tmp_path / "b") == tree(family.cache)


def test_registry_token(family, tmp_path):
    with Registry() as registry, TokenServer() as tokens:
        registry.knobs.accept = ["Bearer t0ken"]
        registry.knobs.challenges = [tokens.challenge("repository:hpc:pull")]
        copy(family.cache, registry.reference("hpc"))
        copy(registry.reference("hpc"), tmp_path / "b")
        scopes = {scope for one in tokens.requests for scope in one.query["scope"]}
        assert any("hpc:pull,push" in scope for scope in scopes), scopes
    assert tree(tmp_path / "b") == tree(family.cache)


def test_nothing_damaged_is_sent(family):
    victim = family.cache / "blobs/sha256" / hashlib.sha256(family.files["cx5"].read_bytes()).hexdigest()
    victim.write_bytes(b"x" * victim.stat().st_size)
    with Registry() as registry:
        refused("does not have the digest", "larder", "copy", family.cache, registry.reference("x"))
        assert not [one for one in registry.seen("PUT") if victim.name in one.query.get("digest", "")]
        assert not registry.seen("PUT", "/manifests/")


def test_tag_comes_last(family):
    with Registry() as registry:
        copy(family.cache, registry.reference("x", "7"))
        puts = [one.path for one in registry.seen("PUT")]
    assert puts[-1].endswith("/manifests/7") and sum(path.endswith("/manifests/7") for path in puts) == 1
    first = next(i for i, path in enumerate(puts) if "/manifests/" in path)
    assert all("/manifests/" in path or "/blobs/uploads/" in path for path in puts)
    assert len([path for path in puts[:first] if "/blobs/" in path]) == 11 + 1  # the empty config


def test_registry_damaged(grown, tmp_path):
    family, old, cache = grown
    target = tmp_path / "target"
    shutil.copytree(old, target)
    before = tree(target)
    with Registry() as registry:
        copy(cache, registry.reference("x"))
        data = family.files["new"].read_bytes()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        registry.knobs.blobs[digest] = b"x" * len(data)
        refused("", "larder", "copy", registry.reference("x"), target)
    assert {name: data for name, data in tree(target).items() if name in before} == before
    clean(target, family.trust)


def skopeo(*args):
    subprocess.run(["skopeo", "--insecure-policy", "copy", "--all", "-q", *args], check=True, capture_output=True)


def test_skopeo(family, registry, tmp_path):
    name = json.loads((family.cache / "index.json").read_text())["manifests"][0]["annotations"][
        "org.opencontainers.image.ref.name"]
    where = f"docker://{registry.host}/skopeo/there:1"
    skopeo("--dest-tls-verify=false", f"oci:{family.cache}:{name}", where)
    copy(registry.reference("skopeo/there", "1"), tmp_path / "b", "--trust", family.trust)
    assert tree(tmp_path / "b") == tree(family.cache)
    copy(family.cache, registry.reference("skopeo/back", "1"))
    skopeo("--src-tls-verify=false", f"docker://{registry.host}/skopeo/back:1", f"oci:{tmp_path / 'back'}:{name}")
    clean(tmp_path / "back", family.trust)
    copy(tmp_path / "back", tmp_path / "again")
    assert tree(tmp_path / "again") == tree(family.cache)
    copy(family.cache, tmp_path / "a.tar")
    skopeo("--dest-tls-verify=false", f"oci-archive:{tmp_path / 'a.tar'}:{name}", f"docker://{registry.host}/ar/chive:1")
    copy(registry.reference("ar/chive", "1"), tmp_path / "c")
    assert tree(tmp_path / "c") == tree(family.cache)


# every system call that changes something fails once

class CopyJob(Job):
    """A folder with serial 1 becomes the cache with serial 2; source is how the latter comes."""

    def __init__(self, grown, source):
        self.family, self.old, self.new = grown
        self.source = source

    def prepare(self, folder):
        shutil.copytree(self.old, folder / "target")

    def command(self, folder):
        return [BUILD / "larder", "copy", self.source, folder / "target", "--progress", "none"]

    def check_whole(self, folder):
        assert serial(folder / "target", self.family.trust) in (1, 2)

    def check_done(self, folder):
        assert tree(folder / "target") == tree(self.new)


class SplitJob(Job):
    """Parts of an earlier run become other parts."""

    def __init__(self, grown):
        _, self.old, self.new = grown

    def prepare(self, folder):
        good("larder", "copy", self.old, folder / "x.tar", "--split", "4K")

    def command(self, folder):
        return [BUILD / "larder", "copy", self.new, folder / "x.tar", "--split", "128K", "--progress", "none"]

    def check_whole(self, folder):
        if (folder / "x.tar.sha256").exists():
            subprocess.run(["sha256sum", "-c", "--strict", "x.tar.sha256"], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)

    def check_done(self, folder):
        self.check_whole(folder)
        parts = (folder / "x.tar.sha256").read_text().count("\n")
        assert len([path for path in folder.iterdir() if path.name != "home"]) == parts + 1, list(folder.iterdir())


def made(folder):
    folder.mkdir()
    return folder


def test_sweep_folder(grown, tmp_path):
    assert sweep(CopyJob(grown, grown[2]), made(tmp_path / "s")) > 20


def test_sweep_stream(grown, tmp_path):
    """A delta, in parts."""
    copy(grown[2], tmp_path / "x.tar", "--since", grown[1], "--split", "64K")
    assert sweep(CopyJob(grown, tmp_path / "x.tar.sha256"), made(tmp_path / "s")) > 20


def test_sweep_parts(grown, tmp_path):
    assert sweep(SplitJob(grown), made(tmp_path / "s")) > 10
