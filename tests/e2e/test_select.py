"""Slices: --os, --arch, --kernel, --nic and --size on fetch and bake, and the notes that make a bake short."""

import hashlib
import json
import os
import shutil

import pytest

from larder import good, refused, run

KERNEL, OTHER = "5.15.0-1050-azure", "6.1.0-1-test"
CX5 = "pci:v000015B3d00001018sv*sd*bc02sc07i*"
CX6 = "pci:v000015B3d0000101Csv*sd*bc02sc07i*"
MANA = "pci:v00001414d000000BAsv*sd*bc02sc00i*"


class Family:
    """Three bundles of one manifest, each with a file of its own; cx5 and cx6 share one."""

    def __init__(self, folder):
        self.folder = folder
        self.store, self.cache, self.trust = folder / "store", folder / "cache", folder / "trust.json"
        self.manifest, self.key = folder / "nics.json", folder / "fleet.key"
        self.files = {name: folder / f"{name}.deb" for name in ("cx5", "cx6", "mana", "shared")}
        for name, path in self.files.items():
            path.write_bytes(name.encode() * 100)
        good("larder", "key", "new", folder / "fleet")
        self.trust.write_text(good("larder", "trust", "init", folder / "fleet.pub"))
        self.write()

    def bundle(self, name, device, files, **more):
        """A bundle that takes whole files."""
        takes = [{"file": file, "into": "D"} for file in files]
        return {"id": name, "devices": [device], "take": takes,
                "install": [{"do": "packages", "files": ["D/*.deb"]}]} | more

    def write(self, change=None):
        """Write the manifest, changed by a function first."""
        def pin(path):
            data = path.read_bytes()
            return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        document = {
            "format": "larder.manifest.v1", "name": "nics",
            "licence": {"id": "GPL-2.0-only", "url": "https://example.org/l", "redistribute": "yes", "accept": False},
            "files": {name: {"url": f"file://{path}"} for name, path in self.files.items()},
            "pins": {f"file://{path}": pin(path) for path in self.files.values()},
            "template": {"version": "1.0", "rank": 50, "arch": ["x86_64"]},
            "bundles": [
                self.bundle("cx5", CX5, ["cx5", "shared"], os=["debian:12"], kernels=[KERNEL]),
                self.bundle("cx6", CX6, ["cx6", "shared"], os=["ubuntu:22.04"], kernels=["5.15.*"], sizes=["St_HB*"]),
                self.bundle("mana", MANA, ["mana"], os=["any"], kernels=["*"]),
            ]}
        if change:
            change(document)
        self.manifest.write_text(json.dumps(document))

    def fetch(self, *options):
        """Fetch; what it printed."""
        return good("larder", "fetch", self.manifest, "--store", self.store, *options)

    def bake_args(self, *options, cache=None):
        """The words of a bake."""
        return ("bake", self.manifest, "--store", self.store, "--cache", cache or self.cache, "--key", self.key,
                *options)

    def bake(self, *options, cache=None):
        """Bake; what it printed."""
        return good("larder", *self.bake_args(*options, cache=cache))

    def stored(self):
        """The names of the files that the store has."""
        names = {hashlib.sha256(path.read_bytes()).hexdigest(): name for name, path in self.files.items()}
        return {names[path.name] for path in (self.store / "blobs/sha256").iterdir()}

    def carried(self, cache=None):
        """The names of the files that the cache has."""
        have = {path.name for path in ((cache or self.cache) / "blobs/sha256").iterdir()}
        return {name for name, path in self.files.items()
                if hashlib.sha256(path.read_bytes()).hexdigest() in have}

    def statement(self, cache=None):
        """The signed statement."""
        import base64
        blobs = (cache or self.cache) / "blobs/sha256"

        def blob(descriptor):
            return json.loads((blobs / descriptor["digest"].split(":")[1]).read_text())
        index = json.loads((blobs.parents[1] / "index.json").read_text())
        manifest = blob(blob(index["manifests"][0])["manifests"][0])
        return json.loads(base64.b64decode(blob(manifest["layers"][0])["payload"]))

    def verify(self, cache=None):
        """What larder-verify says of a cache, which is clean."""
        return good("larder-verify", cache or self.cache, "--trust", self.trust)


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Notes of earlier runs, for one test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "notes"))
    return tmp_path / "notes/larder/bundles"


@pytest.fixture
def family(tmp_path, notes):
    (tmp_path / "family").mkdir()
    return Family(tmp_path / "family")


def tree(folder):
    """Path -> what a write would change."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return found


# which bundles

SLICES = [
    (["--os", "debian:12"], {"cx5", "shared", "mana"}),
    (["--os", "ubuntu:22.04"], {"cx6", "shared", "mana"}),
    (["--os", "any"], {"mana"}),
    (["--kernel", KERNEL], {"cx5", "cx6", "shared", "mana"}),
    (["--kernel", OTHER], {"mana"}),
    (["--kernel", f"{OTHER},5.15.1"], {"cx6", "shared", "mana"}),
    (["--arch", "x86_64"], {"cx5", "cx6", "shared", "mana"}),
    (["--nic", "cx6"], {"cx6", "shared"}),
    (["--nic", "15b3:1018"], {"cx5", "shared"}),
    (["--nic", "cx5,mana"], {"cx5", "shared", "mana"}),
    (["--nic", "cx5", "--nic", "mana"], {"cx5", "shared", "mana"}),
    (["--nic", MANA], {"mana"}),
    (["--size", "St_D2", "--os", "ubuntu:22.04"], {"mana"}),
    (["--os", "debian:12", "--kernel", KERNEL, "--nic", "cx5"], {"cx5", "shared"}),
]


@pytest.mark.parametrize("options, files", SLICES, ids=lambda value: " ".join(sorted(value)))
def test_a_slice_has_the_files_of_its_bundles(family, options, files):
    family.fetch(*options)
    assert family.stored() == files
    family.fetch()
    family.bake(*options)
    assert family.carried() == files
    family.verify()


@pytest.mark.parametrize("verb", ["fetch", "bake"])
@pytest.mark.parametrize("options, text, code", [
    (["--nic", "cx6x"], '--nic "cx6x": expected one of bf1, bf2,', 2),
    (["--os", "debian"], '--os "debian": expected ID:VERSION', 2),
    (["--kernel", "5.15.*"], '--kernel "5.15.*": expected an exact kernel release', 2),
    (["--arch", "amd64"], '--arch "amd64": expected x86_64 or aarch64', 2),
    (["--os", "debian:12", "--nic", "efa"], "--os debian:12 --nic efa: no bundle of these manifests is selected", 2),
])
def test_a_selection_that_selects_nothing(family, verb, options, text, code):
    if verb == "fetch":
        refused(text, "larder", "fetch", family.manifest, "--store", family.store, *options, code=code)
    else:
        refused(text, "larder", *family.bake_args(*options), code=code)
    assert not family.cache.exists()


def test_help_names_every_option():
    for verb in ("fetch", "bake"):
        text = good("larder", verb, "--help")
        for option in ("--os ID:VERSION,...", "--arch ARCH,...", "--kernel RELEASE,...", "--nic NIC,...",
                       "--size VMSIZE,..."):
            assert option in text


# fetch


def test_a_slice_needs_only_its_own_sources(family):
    """A file that is gone and a package that apt does not know are no matter where nothing selected takes them."""
    family.write(lambda document: document["bundles"][1].update(
        take=[{"packages": ["no-such-package-of-larder"], "into": "D"}, {"file": "cx6", "into": "D"}]))
    family.files["cx6"].unlink()
    family.fetch("--os", "debian:12")
    assert run("larder", "fetch", family.manifest, "--store", family.store).returncode == 1


def test_the_lock_keeps_what_it_has(family):
    family.fetch()
    lock = family.manifest.with_suffix(".lock.json")
    before = lock.read_bytes()
    assert len(json.loads(before)["files"]) == 4
    shutil.rmtree(family.store)
    assert "fetched 1 of 1" in family.fetch("--nic", "mana")
    assert lock.read_bytes() == before
    assert "the store has all 1" in family.fetch("--nic", "mana", "--offline", "--frozen")


# bake


def test_statement_and_tables_stay_whole(family, tmp_path):
    family.fetch()
    whole = tmp_path / "whole"
    family.bake(cache=whole)
    assert "3 bundles in 3 tables, 1 of them carried" in family.bake("--nic", "cx5")
    assert family.statement()["subject"] == family.statement(whole)["subject"]
    assert family.statement()["predicate"]["tables"] == family.statement(whole)["predicate"]["tables"]
    assert "3 of 3 bundles carried" in family.verify(whole)
    assert "1 of 3 bundles carried" in family.verify()
    report = json.loads(family.bake("--nic", "cx5", "--json"))
    assert (report["bundles"], report["carried"], report["unchanged"]) == (3, 1, True)


def test_a_slice_and_back_keeps_the_signature(family):
    """Another slice is the same offer: statement, serial and signature are kept."""
    family.fetch()
    family.bake()
    before = tree(family.cache)
    statement = family.statement()
    assert "serial 1 (nothing changed), 3 bundles in 3 tables, 1 of them carried" in family.bake("--nic", "mana")
    assert family.carried() == {"mana"}
    assert family.statement() == statement
    assert "serial 1 (nothing changed), 3 bundles in 3 tables, signed" in family.bake()
    assert family.carried() == set(family.files)
    assert set(tree(family.cache)) == set(before)
    assert "3 of 3 bundles carried" in family.verify()


@pytest.mark.parametrize("options", [[], ["--nic", "cx5"], ["--nic", "mana", "--os", "debian:12"]])
def test_baking_a_slice_again_writes_nothing(family, options, notes):
    family.fetch()
    family.bake(*options)
    before, kept = tree(family.cache), tree(notes)
    for _ in range(2):
        assert "nothing changed" in family.bake(*options)
        assert tree(family.cache) == before
    assert set(tree(notes)) == set(kept)


def test_a_bundle_without_sources_is_known_by_its_note(family, tmp_path):
    family.fetch()
    whole, other = tmp_path / "whole", tmp_path / "other"
    family.bake(cache=whole)
    shutil.rmtree(family.store)
    family.fetch("--nic", "cx5")
    assert "1 of them carried" in family.bake("--nic", "cx5")
    assert family.statement()["subject"] == family.statement(whole)["subject"]
    # and the selected one still needs its files where the cache does not have them
    refused("is not in the store", "larder", *family.bake_args("--nic", "cx6", cache=other))
    good("larder-verify", family.cache, "--trust", family.trust)


def test_a_bundle_without_sources_and_note_is_refused(family, notes):
    family.fetch("--nic", "cx5,mana")
    done = refused("nics 1.0 (cx6): take[0]:", "larder", *family.bake_args("--nic", "cx5,mana"))
    assert "not selected, but its files are needed once to describe it" in done.stderr
    assert "fetch it, or bake once with a store that has all" in done.stderr
    assert not (family.cache / "index.json").exists()
    family.fetch()
    family.bake()
    shutil.rmtree(notes)
    family.bake()  # writes the notes anew
    shutil.rmtree(family.store)
    family.fetch("--nic", "cx5")
    assert "1 of them carried" in family.bake("--nic", "cx5")


def test_what_a_verifier_would_refuse_is_never_baked(family):
    """What is packed has to stand the rules of a record; here it has two packages of one name."""
    takes = [{"file": "cx5", "into": "A"}, {"file": "cx5", "into": "B"}]
    family.write(lambda document: document["bundles"][0].update(
        take=[*takes, {"file": "shared", "into": "D"}], install=[{"do": "packages", "files": ["*.deb"]}]))
    family.fetch()
    for _ in range(2):
        refused("nics 1.0 (cx5): install[0].files", "larder", *family.bake_args())
    assert not (family.cache / "index.json").exists()


def test_bundles_of_one_record_are_carried_together(family):
    """Two rows with the same files are one record: it is carried where either is selected."""
    def twin(document):
        bundle = dict(document["bundles"][0], id="twin", devices=[MANA])
        document["bundles"].append(bundle)
    family.write(twin)
    family.fetch()
    assert "3 bundles in 3 tables, 1 of them carried" in family.bake("--nic", "cx5")
    assert "1 of 3 bundles carried" in family.verify()
    assert family.carried() == {"cx5", "shared"}
    listed = json.loads(good("larder", "ls", family.cache, "--json"))["bundles"]
    assert {(b["id"], b["carried"], *b["devices"]) for b in listed if b["id"] in ("cx5", "twin")} == \
        {("cx5", True, CX5), ("twin", True, MANA)}
    assert len(listed) == 4 and len({b["record"] for b in listed}) == 3
    assert good("larder", "ls", family.cache).count("nics 1.0 twin ") == 1


# notes


def unpacked(*arguments):
    """The bundles that a bake packed."""
    done = run("larder", *arguments)
    assert done.returncode == 0, done.stderr
    return {line.split("(")[1].split(")")[0] for line in done.stderr.splitlines() if " file" in line}


def test_only_what_changed_is_packed(family):
    family.fetch()
    assert unpacked(*family.bake_args()) == {"cx5", "cx6", "mana"}
    assert unpacked(*family.bake_args()) == set()
    family.write(lambda document: document["bundles"][1].update(expect={"driver": "mlx5_core"}))
    assert unpacked(*family.bake_args()) == {"cx6"}
    family.write()
    assert unpacked(*family.bake_args()) == {"cx6"}  # its record was pruned


@pytest.mark.parametrize("change", [
    lambda document: document["bundles"][2]["install"][0].update(files=["D/mana.deb"]),
    lambda document: document["bundles"][2]["take"][0].update(into="D"),
    lambda document: document["licence"].update(id="GPL-2.0-or-later"),
])
def test_a_note_changes_no_byte(family, tmp_path, notes, change):
    """With notes or without, a manifest gives the same cache."""
    family.fetch()
    family.bake()
    family.write(change)
    family.bake()
    fresh = tmp_path / "fresh"
    shutil.rmtree(notes)
    family.bake(cache=fresh)
    assert family.statement()["subject"] == family.statement(fresh)["subject"]


def test_a_new_version_of_a_source_is_packed_anew(family):
    family.fetch()
    family.bake()
    family.files["mana"].write_bytes(b"another")
    family.write()
    family.manifest.with_suffix(".lock.json").unlink()
    family.fetch()
    assert unpacked(*family.bake_args()) == {"mana"}
    assert "mana" in family.carried()
    family.verify()


def spoil(text, how):
    """A note as a bad disk, another program or a mistake leaves it."""
    lines = text.splitlines(keepends=True)
    return {"empty": "", "cut": text[:-1], "a line less": "".join(lines[:-1]), "a line more": text + lines[-1],
            "format": text.replace("bundle.v1", "bundle.v2"), "count": text.replace("blobs ", "blobs 9"),
            "zero": text.replace("blobs ", "blobs 0"), "hex": text.replace(lines[-1][:2], "zz"),
            "huge": text.replace(lines[-1].split()[1], "9" * 30), "negative": lines[0] + "record -1 -1\n",
            "order": "".join(lines[:3] + lines[:2:-1]), "binary": "\0" * 300}[how]


@pytest.mark.parametrize("how", ["empty", "cut", "a line less", "a line more", "format", "count", "zero", "hex", "huge",
                                 "negative", "order", "binary"])
def test_a_malformed_note_is_no_note(family, notes, how):
    family.fetch()
    family.bake()
    before = tree(family.cache)
    for note in notes.iterdir():
        text = spoil(note.read_text(), how)
        if text == note.read_text():
            assert how == "order"  # of a single blob
            continue
        note.write_text(text)
    packed = unpacked(*family.bake_args())
    assert packed >= {"cx5", "cx6"}
    assert tree(family.cache) == before
    assert unpacked(*family.bake_args()) == set()


def test_notes_that_others_could_write_are_not_believed(family, notes):
    family.fetch()
    family.bake()
    notes.chmod(0o777)
    assert unpacked(*family.bake_args()) == {"cx5", "cx6", "mana"}
    notes.chmod(0o700)
    assert unpacked(*family.bake_args()) == set()
    for note in notes.iterdir():  # a link is not followed
        note.rename(notes.parent / note.name)
        note.symlink_to(notes.parent / note.name)
    assert unpacked(*family.bake_args()) == {"cx5", "cx6", "mana"}
    assert os.stat(notes).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "link"])
@pytest.mark.parametrize("what", ["blob", "record"])
def test_a_blob_that_changed_since_is_put_anew(family, tmp_path, how, what):
    """The note says that it was there; what it is now is looked at."""
    family.fetch()
    family.bake("--nic", "mana")
    index = json.loads((family.cache / "index.json").read_text())["manifests"][0]["digest"].split(":")[1]
    bundles = json.loads((family.cache / "blobs/sha256" / index).read_text())["manifests"]
    layers = json.loads((family.cache / "blobs/sha256" / bundles[1]["digest"].split(":")[1]).read_text())["layers"]
    path = family.cache / "blobs/sha256" / layers[what == "blob"]["digest"].split(":")[1]
    data = path.read_bytes()
    status = path.stat()
    if how == "flip":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "cut":
        path.write_bytes(data[:-1])
    else:
        path.unlink()
        if how == "link":
            (tmp_path / "elsewhere").write_bytes(data)
            path.symlink_to(tmp_path / "elsewhere")
    assert unpacked(*family.bake_args("--nic", "mana")) == {"mana"}
    assert path.read_bytes() == data and not path.is_symlink()
    family.verify()


def test_a_copied_cache_needs_no_packing(family, tmp_path):
    """All its blobs changed their time: they are hashed once, and the sources are not needed."""
    family.fetch()
    family.bake()
    copy = tmp_path / "copy"
    shutil.copytree(family.cache, copy)
    shutil.rmtree(family.store)
    before = tree(copy)
    assert unpacked(*family.bake_args(cache=copy)) == set()
    assert tree(copy) == before
    family.verify(copy)


def test_embed_takes_what_is_selected(family, tmp_path):
    family.fetch()
    family.bake()
    refused("no bundle of the cache is selected", "larder", "embed", family.cache, "--trust", family.trust,
            "--root", tmp_path, "--arch", "aarch64", code=2)
    said = json.loads(good("larder", "embed", family.cache, "--trust", family.trust, "--root", tmp_path, "--json",
                           "--nic", "cx5"))
    assert (said["bundles"], said["carried"]) == (3, 1), said
    inside = tmp_path / "usr/lib/larder/cache"
    assert "1 of 3 bundles carried" in good("larder-verify", inside, "--trust", family.trust, "--layout")
