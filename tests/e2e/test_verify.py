"""larder-verify as an auditor meets it: every kind of finding, every way a cache comes, and what it reads."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from changes import OTHER, as_folder, as_link, flip, gone, on, put, tail  # noqa: E402
from larder import BUILD, good, refused, run  # noqa: E402
from made import MIB, make, sha  # noqa: E402
from made_tar import BLOBS, Piece, ball_of, mark_of, with_mark  # noqa: E402
from registry_server import DockerRegistry, Registry  # noqa: E402
from test_select import KERNEL, Family  # noqa: E402


def audit(cache, trust, *options, code=0):
    """larder-verify's document."""
    done = run("larder-verify", cache, "--trust", trust, "--json", *options)
    assert done.returncode == code, (done.stdout, done.stderr)
    said = json.loads(done.stdout)
    assert said["code"] == code
    return said


def remarks(said):
    """What is odd about the layout: (word, text)."""
    return [(row["finding"], row["text"]) for row in said["layout"]["findings"]]


@pytest.fixture(scope="module")
def baked(tmp_path_factory):
    """A family of bundles, baked once; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("baked")
    os.environ["XDG_CACHE_HOME"], before = str(folder / "notes"), os.environ["XDG_CACHE_HOME"]
    family = Family(folder)
    family.files["cx5"].write_bytes(os.urandom(MIB + 77))
    family.files["cx6"].write_bytes(os.urandom(5 * MIB))
    family.write()
    family.fetch()
    family.bake()
    os.environ["XDG_CACHE_HOME"] = before
    return family


@pytest.fixture
def cache(baked, tmp_path):
    """A copy of its cache."""
    return Path(shutil.copytree(baked.cache, tmp_path / "cache"))


def blob(cache, digest):
    """The file of a blob."""
    return cache / "blobs/sha256" / digest.removeprefix("sha256:")


def package(baked, cache, name):
    """The blob that holds a package."""
    return blob(cache, sha(baked.files[name].read_bytes()))


# --- findings -------------------------------------------------------------------------------------

FINDINGS = [
    ("untrusted", 4, {"signatures": lambda value, payload: []}, "not signed"),
    ("untrusted", 4, {"disk": on("envelope", lambda data: b"{")}, "envelope"),
    ("untrusted", 4, {"statement": put("predicate", "serial", 0)}, "serial"),
    ("damaged", 3, {"disk": gone("envelope")}, "is not carried"),
    ("damaged", 3, {"disk": on("table", flip(9))}, "table linux/debian-12/x86_64"),
    ("damaged", 3, {"disk": on("record", flip(9))}, "record of nic 1.0 (nic)"),
    ("damaged", 3, {"disk": on("conf", flip(0))}, "nic/nic.conf: blob"),
    ("damaged", 3, {"disk": on("conf", lambda data: data[:-1])}, "is cut short"),
    ("damaged", 3, {"disk": on("conf", tail(b"x"))}, "is too long"),
    ("damaged", 3, {"disk": as_link("conf")}, "nic/nic.conf: blob"),
    ("damaged", 3, {"disk": as_folder("module")}, "is no regular file"),
    ("damaged", 3, {"disk": on("big", flip(2 * MIB + 1))}, "nic/big.bin: blob"),
    ("damaged", 3, {"record": put("files", 2, "size", 5)}, "more than its signed size"),
    ("incomplete", 5, {"disk": gone("table")}, "table linux/debian-12/x86_64"),
]


@pytest.mark.parametrize("verdict, code, changes, text", FINDINGS, ids=lambda value: str(value)[:40])
def test_every_finding(tmp_path, verdict, code, changes, text):
    made = make(tmp_path / "cache", tmp_path / "trust.json", changes)
    said = audit(made.folder, made.trust, code=code)
    assert said["verdict"] == verdict
    assert [row["finding"] for row in said["findings"]] == [verdict]
    assert text in said["findings"][0]["text"]
    done = run("larder-verify", made.folder, "--trust", made.trust)
    assert done.returncode == code
    assert re.match(rf"{verdict} +.*{re.escape(text)}", done.stdout)
    assert run("larder-verify", made.folder, "--trust", made.trust, "--quiet").stdout == ""


def test_worst_first_whatever_the_threads(tmp_path):
    def disk(made):
        for name in ("module", "spare"):
            on(name, flip(3))(made)
        as_link("conf")(made)  # seen while others still wait to be read
        gone("far")(made)

    changes = {"spare": lambda value: "carried", "disk": disk}
    made = make(tmp_path / "cache", tmp_path / "trust.json", changes)
    said = audit(made.folder, made.trust, "--serial-at-least", "8", "--threads", "1", code=3)
    assert [row["finding"] for row in said["findings"]] == ["damaged"] * 3 + ["incomplete", "stale"]
    assert [row["text"].split(":")[0] for row in said["findings"]][:3] == [
        "nic/nic.conf", "nic/nic.ko", "spare/spare.bin"]
    for threads in (2, 5, 64):
        assert audit(made.folder, made.trust, "--serial-at-least", "8", "--threads", threads, code=3) == said


def test_one_record_under_two_sizes(tmp_path):
    def table(value):
        row = json.loads(json.dumps(value["rows"][0])) | {"id": "nix"}
        row["record"]["size"] += 1
        value["rows"].append(row)

    made = make(tmp_path / "cache", tmp_path / "trust.json", {"table": table})
    said = audit(made.folder, made.trust, code=3)
    assert ["record of nic 1.0 (nix): blob" in row["text"] for row in said["findings"]] == [True]
    assert [row["state"] for row in said["offer"]] == ["not carried", "carried", "damaged"]


@pytest.mark.parametrize("key, value", [("chunks", [OTHER] * 3), ("size", 3 * MIB)])
def test_one_blob_under_two_descriptions(tmp_path, key, value):
    def record(document):
        file = json.loads(json.dumps(document["files"][0])) | {"path": "nic/zig.bin"}
        file["blob"][key] = value
        file["size"] = file["blob"]["size"]
        document["files"].append(file)

    made = make(tmp_path / "cache", tmp_path / "trust.json", {"record": record})
    said = audit(made.folder, made.trust, code=3)
    assert ["nic/zig.bin: blob" in row["text"] for row in said["findings"]] == [True]
    assert said["blobs"] == 4


def test_stale_and_not_there(baked, tmp_path):
    said = audit(baked.cache, baked.trust, "--serial-at-least", "2", code=6)
    assert (said["verdict"], said["serial"]) == ("stale", 1)
    said = audit(tmp_path, baked.trust, code=1)
    assert said["verdict"] == "not checked" and "index.json" in said["findings"][0]["text"]
    refused("--trust FILE is needed", "larder-verify", baked.cache, code=2)
    refused("at most 64", "larder-verify", baked.cache, "--trust", baked.trust, "--threads", "65", code=2)
    refused("--kernel", "larder-verify", baked.cache, "--trust", baked.trust, "--kernel", "6.*", code=2)


def test_a_selection_of_nothing_is_not_clean(baked):
    refused("--arch aarch64: no bundle of the cache is selected", "larder-verify", baked.cache, "--trust", baked.trust,
            "--arch", "aarch64", code=2)


def test_what_is_no_cache_but_of_larders(baked, tmp_path):
    """It could not be checked; it is not damaged."""
    tar = tmp_path / "hpc.tar"
    good("larder", "copy", baked.cache, tar, "--split", "2M")
    for word, text in {f"{tar}.sha256": f"larder copy {tar}.sha256 DIR", f"{tar}.000": f"larder copy {tar}.sha256 DIR",
                       baked.trust: "expected a cache"}.items():
        said = audit(word, baked.trust, code=1)
        assert said["verdict"] == "not checked" and text in said["findings"][0]["text"], said
        refused(text, "larder", "ls", word, code=2)
    shutil.copy(f"{tar}.000", tmp_path / "cut.tar")
    assert audit(tmp_path / "cut.tar", baked.trust, code=3)["verdict"] == "damaged"


def test_withdrawn_is_said_and_no_finding(tmp_path):
    changes = {"statement": put("predicate", "withdrawn", ["far@1.0", "nic@1.0"])}
    made = make(tmp_path / "cache", tmp_path / "trust.json", changes)
    said = audit(made.folder, made.trust)
    assert (said["withdrawn"], said["findings"]) == (1, [])
    assert [(row["name"], row["state"], row["withdrawn"]) for row in said["offer"]] == [
        ("far", "not carried", True), ("nic", "withdrawn", True)]
    text = good("larder-verify", made.folder, "--trust", made.trust, "--table")
    assert "1 of the carried withdrawn" in text
    assert re.search(r"^withdrawn +\d+\.\d  nic 1\.0 nic$", text, re.M), text


def test_table_and_states(baked, cache):
    package(baked, cache, "cx5").write_bytes(b"x")
    package(baked, cache, "mana").unlink()
    done = run("larder-verify", cache, "--trust", baked.trust, "--table")
    assert done.returncode == 3
    rows = [line.split(None, 1) for line in done.stdout.splitlines() if " nics 1.0 " in line and ":" not in line]
    assert {line.split()[-1]: state for state, line in rows if state in ("damaged", "carried")} == {
        "cx5": "damaged", "cx6": "carried"}
    assert re.search(r"^not carried .* nics 1\.0 mana$", done.stdout, re.M)
    assert done.stdout.splitlines()[-1].startswith(f"{cache}: damaged, serial 1, 2 of 3 bundles carried")


# --- the layout -----------------------------------------------------------------------------------


def drop_from_index(cache):
    """Another index, which lists a bundle less."""
    top = json.loads((cache / "index.json").read_bytes())
    index = json.loads(blob(cache, top["manifests"][0]["digest"]).read_bytes())
    index["manifests"].pop()
    data = json.dumps(index, separators=(",", ":")).encode()
    top["manifests"][0] |= {"digest": "sha256:" + sha(data), "size": len(data)}
    blob(cache, sha(data)).write_bytes(data)
    (cache / "index.json").write_text(json.dumps(top))


def index_of(cache):
    """The index's file."""
    return blob(cache, json.loads((cache / "index.json").read_bytes())["manifests"][0]["digest"])


def envelope_of(cache):
    """The envelope's file."""
    manifest = blob(cache, json.loads(index_of(cache).read_bytes())["manifests"][0]["digest"])
    return blob(cache, json.loads(manifest.read_bytes())["layers"][0]["digest"])


def last_manifest(cache):
    """The file of the last bundle's manifest."""
    return blob(cache, json.loads(index_of(cache).read_bytes())["manifests"][-1]["digest"])


ODD = {
    "a foreign file": (lambda cache: (cache / "README").write_text("x"), "foreign", "README", 3),
    "a foreign folder": (lambda cache: (cache / "blobs/sha512").mkdir(), "foreign", "blobs/sha512", 3),
    "a foreign name among the blobs": (
        lambda cache: blob(cache, "x" * 64).write_text(""), "foreign", "no digest", 3),
    "a draft": (lambda cache: blob(cache, ".x.draft").write_text(""), "foreign", "never finished", 3),
    "a folder for a blob": (lambda cache: blob(cache, OTHER).mkdir(), "foreign", "no regular file", 3),
    "a link for a blob": (lambda cache: blob(cache, OTHER).symlink_to("/"), "foreign", "no regular file", 3),
    "a device's like": (lambda cache: os.mkfifo(blob(cache, OTHER)), "foreign", "no regular file", 3),
    "a blob more": (lambda cache: blob(cache, sha(b"x")).write_text("x"), "extra", "nothing leads there", 3),
    "another oci-layout": (lambda cache: (cache / "oci-layout").write_text("{}"), "modified", "oci-layout", 3),
    "no oci-layout": (lambda cache: (cache / "oci-layout").unlink(), "missing", "oci-layout", 5),
    "index.json longer": (
        lambda cache: (cache / "index.json").write_bytes((cache / "index.json").read_bytes() + b"\n"),
        "modified", "index", 3),
    "a bundle less in the index": (drop_from_index, "modified", "the index does not list it", 3),
    "the envelope longer": (
        lambda cache: envelope_of(cache).write_bytes(envelope_of(cache).read_bytes() + b"\n"),
        "modified", "envelope: its bytes", 3),
    "a manifest changed": (lambda cache: last_manifest(cache).write_text("{}"), "modified", "manifest", 3),
    "a manifest gone": (lambda cache: last_manifest(cache).unlink(), "missing", "manifest", 5),
    "the config gone": (lambda cache: blob(cache, sha(b"{}")).unlink(), "missing", "empty config", 5),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_about_the_layout(baked, cache, name):
    change, word, text, code = ODD[name]
    assert remarks(audit(cache, baked.trust, "--layout")) == []
    change(cache)
    said = audit(cache, baked.trust)
    assert (said["verdict"], said["findings"], said["layout"]["whole"]) == ("clean", [], True)
    assert [row for row in remarks(said) if row[0] == word and text in row[1]], said["layout"]
    assert {"modified": {"modified"}}.get(word, {word}) == {row[0] for row in remarks(said)}, said["layout"]
    assert audit(cache, baked.trust, "--layout", code=code)["verdict"] == {3: "damaged", 5: "incomplete"}[code]
    lines = good("larder-verify", cache, "--trust", baked.trust).splitlines()
    assert lines[0].startswith(f"layout      {word}: ")
    assert "layout: " in lines[-1]


def test_names_of_any_bytes(baked, tmp_path):
    cache = tmp_path / os.fsdecode(b"ca\xffche")
    shutil.copytree(baked.cache, cache)
    (cache / os.fsdecode(b"\xfe\x1b[31m")).write_text("")
    assert remarks(audit(cache, baked.trust)) == [("foreign", "??[31m: no file of a cache")]
    done = subprocess.run([BUILD / "larder-verify", cache, "--trust", baked.trust], capture_output=True)
    assert done.returncode == 0 and b"\x1b" not in done.stdout


def test_what_a_slice_leaves_out_is_not_odd(baked, tmp_path):
    good("larder", "copy", baked.cache, tmp_path / "slice", "--nic", "cx5")
    said = audit(tmp_path / "slice", baked.trust, "--layout")
    assert (said["bundles"], said["carried"], remarks(said)) == (3, 1, [])
    package(baked, tmp_path / "slice", "cx5").unlink()
    said = audit(tmp_path / "slice", baked.trust)
    assert ("missing", "nics 1.0 (cx5): the index lists it, and it is not all here") in remarks(said)


def test_an_index_costs_what_it_has_once(cache, baked):
    """One large manifest, listed again and again: it is read once."""
    top = json.loads((cache / "index.json").read_bytes())
    index = json.loads(index_of(cache).read_bytes())
    large = b'{"layers":[{"digest":"sha256:%s","size":1}],"x":[%s]' % (b"0" * 64, b",".join([b"{}"] * 60000))
    large += b" " * (4 * MIB - len(large) - 1) + b"}"

    def add(data):
        (cache / "blobs/sha256" / sha(data)).write_bytes(data)
        return {"digest": "sha256:" + sha(data), "size": len(data)}

    index["manifests"] += [add(large)] * 40000
    top["manifests"][0].update(add(json.dumps(index, separators=(",", ":")).encode()))
    (cache / "index.json").write_text(json.dumps(top))
    before = os.times()
    said = audit(cache, baked.trust)
    after = os.times()
    assert ("modified", "index: lists 1 bundles that no table has") in remarks(said)
    assert after.children_user - before.children_user < 20


# --- routes ---------------------------------------------------------------------------------------


def test_a_tar(baked, tmp_path):
    place = tmp_path / "c.tar"
    good("larder", "copy", baked.cache, place)
    said = audit(place, baked.trust, "--layout")
    assert (said["carried"], said["blobs"], remarks(said)) == (3, 4, [])
    data = place.read_bytes()
    at = data.index(baked.files["cx6"].read_bytes()) + 3 * MIB
    place.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
    said = audit(place, baked.trust, code=3)
    assert "D/cx6.deb: blob" in said["findings"][0]["text"]
    assert [row["state"] for row in said["offer"] if row["id"] == "cx6"] == ["damaged"]
    place.write_bytes(data[:-512])
    assert audit(place, baked.trust, code=3)["serial"] == 0


@pytest.mark.parametrize("part", [False, True])
def test_a_tar_of_another_hand(tmp_path, part):
    made = make(tmp_path / "cache", tmp_path / "trust.json", {})
    ball = ball_of(made)
    ball.pieces.append(Piece(BLOBS + OTHER, b"extra"))
    if part:
        with_mark(ball, mark_of())
    ball.write(tmp_path / "c.tar")
    said = audit(tmp_path / "c.tar", made.trust)
    assert [row for row in remarks(said) if row[0] == "extra"] == [
        ("extra", f"blobs/sha256/{OTHER}: nothing leads there")]
    audit(tmp_path / "c.tar", made.trust, "--layout", code=3)


@pytest.fixture(scope="module")
def later(baked, tmp_path_factory):
    """The family's next cache, and the delta to it."""
    folder = tmp_path_factory.mktemp("later")
    new, delta = folder / "new", folder / "delta.tar"
    shutil.copytree(baked.cache, new)
    baked.files["mana"].write_bytes(b"a new release" * 9)
    baked.write()
    (baked.folder / "nics.lock.json").unlink()
    baked.fetch()
    baked.bake(cache=new)
    good("larder", "copy", new, delta, "--since", baked.cache)
    return new, delta


def test_a_delta(baked, later, tmp_path):
    new, delta = later
    said = audit(delta, baked.trust, "--layout")
    assert (remarks(said), said["layout"]["whole"], said["bundles"]) == ([], False, 3)
    assert (said["serial"], said["carried"], said["delta"]["serial"], said["delta"]["found"]) == (2, 1, 1, False)
    text = run("larder-verify", delta, "--trust", baked.trust).stdout
    assert f"a delta on the base {said['delta']['base']} serial 1; blobs of the base are not here" in text
    said = audit(delta, baked.trust, "--base", baked.cache, "--layout")
    assert (said["carried"], said["blobs"], said["delta"]["found"], remarks(said)) == (3, 4, True, [])
    assert said["layout"]["whole"]
    assert "not what the delta continues" in audit(
        delta, baked.trust, "--base", new, code=1)["findings"][0]["text"]
    assert "this is no delta" in audit(new, baked.trust, "--base", baked.cache, code=1)["findings"][0]["text"]
    old = Path(shutil.copytree(baked.cache, tmp_path / "old"))
    data = bytearray(package(baked, old, "cx5").read_bytes())
    data[0] ^= 1
    package(baked, old, "cx5").write_bytes(data)
    assert audit(delta, baked.trust, "--base", old, code=3)["carried"] == 3


def test_a_registry(baked, tmp_path):
    with DockerRegistry(tmp_path) as registry:
        place = registry.reference("hpc/drivers")
        good("larder", "copy", baked.cache, place)
        said = audit(place, baked.trust, "--layout", "--threads", "3")
        assert (said["carried"], said["blobs"], remarks(said)) == (3, 4, [])
        stored = registry.blob(sha(baked.files["cx5"].read_bytes()))
        stored.write_bytes(b"?" + stored.read_bytes()[1:])
        assert audit(place, baked.trust, code=3)["verdict"] == "damaged"
        stored.unlink()
        assert audit(place, baked.trust)["carried"] == 2
        assert audit(registry.reference("hpc/other"), baked.trust, code=1)["verdict"] == "not checked"
    said = audit(place, baked.trust, code=1)  # a registry that is gone says nothing about the cache
    assert said["verdict"] == "not checked"


def test_a_registry_that_refuses_says_nothing_about_the_cache(baked):
    class Closed(Registry):
        """Gives everything but one blob."""

        def blobs_get(self, call, name, what):
            if what == "sha256:" + sha(baked.files["cx5"].read_bytes()):
                call.error(403, "DENIED")
            else:
                super().blobs_get(call, name, what)

    with Closed() as registry:
        place = registry.reference("hpc/drivers")
        good("larder", "copy", baked.cache, place)
        said = audit(place, baked.trust, code=1)
        assert [row["finding"] for row in said["findings"]] == ["not checked"]
        assert (said["verdict"], said["blobs"]) == ("not checked", 4)


# --- what it reads, and with what -----------------------------------------------------------------


def reads(tmp_path, cache, *words):
    """File name -> bytes that the verifier reads of it, with any number of threads."""
    trace = tmp_path / "trace"
    trace.mkdir()
    run("larder-verify", cache, *words,
        prefix=("strace", "-ff", "-y", "-o", trace / "of", "-e", "trace=read,pread64,mmap"))
    found = {}
    for line in [line for path in trace.iterdir() for line in path.read_text().splitlines()]:
        match = re.search(rf"(\w+)\(.*<{re.escape(str(cache))}/([^>]*)>.*\) += (\w+)$", line)
        if match:  # what is mapped is read, once
            size = re.search(r"mmap\(NULL, (\d+),", line)[1] if match[1] == "mmap" else match[3]
            found[match[2]] = found.get(match[2], 0) + int(size)
    return found


def test_a_selection_reads_its_part_alone(baked, cache, tmp_path):
    (cache / "foreign").write_text("x")
    package(baked, cache, "cx6").write_bytes(b"of no interest")
    words = ("--trust", baked.trust, "--os", "debian:12", "--kernel", KERNEL, "--nic", "cx5")
    said = json.loads(good("larder-verify", cache, *words, "--json"))
    assert (said["bundles"], said["carried"], remarks(said)) == (1, 1, [])
    found = reads(tmp_path, cache, *words)
    wanted = [package(baked, cache, name) for name in ("cx5", "shared")]
    size = sum(path.stat().st_size for path in wanted)
    assert size <= sum(found.values()) <= size + 64 * 1024
    others = {package(baked, cache, name).name for name in ("cx6", "mana")}
    assert not others & {Path(name).name for name in found}
    assert [found["blobs/sha256/" + path.name] for path in wanted] == [path.stat().st_size for path in wanted]
    audit(cache, baked.trust, code=3)


def test_every_blob_is_read_once(baked, tmp_path):
    found = reads(tmp_path, baked.cache, "--trust", baked.trust, "--threads", "4")
    for path in (baked.cache / "blobs/sha256").iterdir():
        most = 1 if path.stat().st_size > 60000 else 2  # documents are found first, and compared later
        assert 0 < found[f"blobs/sha256/{path.name}"] <= most * path.stat().st_size, path


@pytest.mark.parametrize("prefix, options, threads", [
    (("taskset", "-c", "0"), (), 0), ((), ("--threads", "1"), 0), ((), ("--threads", "3"), 2)])
def test_threads(baked, tmp_path, prefix, options, threads):
    trace = tmp_path / "trace"
    run("larder-verify", baked.cache, "--trust", baked.trust, *options,
        prefix=(*prefix, "strace", "-f", "-o", trace, "-e", "trace=clone,clone3"))
    assert len(re.findall(r"clone3?\(.*CLONE_THREAD", trace.read_text())) == threads


def peak(*words):
    """The most memory that the verifier took, in bytes."""
    process = subprocess.Popen([str(BUILD / "larder-verify"), *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_maxrss * 1024


def holes(folder, megabytes):
    """A cache with a blob of zeros, which takes no disk: the verifier's words for it."""
    size = megabytes * MIB
    word = {"digest": "sha256:" + OTHER, "size": size, "chunks": [sha(bytes(MIB))] * megabytes}

    def disk(made):
        with open(made.blob(OTHER), "wb") as handle:
            handle.truncate(size)

    changes = {"record": lambda value: value["files"][0].update(size=size, blob=word), "disk": disk}
    made = make(folder / f"{megabytes}", folder / f"{megabytes}.json", changes)
    return made.folder, "--trust", made.trust


def test_memory_does_not_grow_with_blobs(tmp_path):
    small, large = holes(tmp_path, 4), holes(tmp_path, 400)
    assert peak(*large, "--threads", "1") - peak(*small, "--threads", "1") < 2 * MIB
    assert peak(*large, "--threads", "4") - peak(*small, "--threads", "1") < 4 * 8 * MIB


def test_progress_on_a_terminal(tmp_path):
    ours, theirs = os.openpty()
    words = [BUILD / "larder-verify", *holes(tmp_path, 600), "--threads", "2"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    said = b""
    while process.poll() is None or b"100%" not in said:
        try:
            said += os.read(ours, 4096)
        except OSError:  # nobody writes there any more
            break
    os.close(ours)
    assert process.wait() == 0 and b": clean" in process.communicate()[0]
    assert b"larder-verify: verify: " in said and b"100% of 6" in said and said.endswith(b"\n")


def test_progress(baked):
    done = run("larder-verify", baked.cache, "--trust", baked.trust, "--progress", "none")
    assert (done.returncode, done.stderr) == (0, "")
    assert run("larder-verify", baked.cache, "--trust", baked.trust, "--progress", "json").returncode == 0
    refused("--progress", "larder-verify", baked.cache, "--trust", baked.trust, "--progress", "loud", code=2)


# --- sizes beyond 32 bits (THREATS.md, T2) --------------------------------------------------------

EVERY = [1 << 31, (1 << 31) - 1, (1 << 31) + 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1]
SIZES = EVERY if os.environ.get("LARDER_SWEEP") == "all" else EVERY[-1:]


@pytest.mark.parametrize("size", SIZES)
def test_the_last_byte_of_a_large_blob_counts(tmp_path, size):
    """A file of holes; make sweep takes every size."""
    whole, last = divmod(size, MIB)
    chunks = [sha(bytes(MIB))] * whole + [sha(bytes(last))] * bool(last)
    word = {"digest": "sha256:" + OTHER, "size": size, "chunks": chunks}

    def disk(made):
        with open(made.blob(OTHER), "wb") as handle:
            handle.truncate(size)

    changes = {"record": lambda value: value["files"][0].update(size=size, blob=word), "disk": disk}
    made = make(tmp_path / "cache", tmp_path / "trust.json", changes)
    with open(made.blob(OTHER), "r+b") as handle:
        handle.seek(size - 1)
        handle.write(b"\1")
    said = audit(made.folder, made.trust, code=3)
    assert "nic/big.bin" in said["findings"][0]["text"] and len(said["findings"]) == 1
    os.truncate(made.blob(OTHER), size - 1)
    assert "cut short" in audit(made.folder, made.trust, code=3)["findings"][0]["text"]
    os.truncate(made.blob(OTHER), size + 1)
    assert "too long" in audit(made.folder, made.trust, code=3)["findings"][0]["text"]
