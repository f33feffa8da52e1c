"""The driver for the next kernel as a patch of the last one's: from manifest to machine."""

import functools
import hashlib
import json
import shutil

import pytest

from larder import KERNEL, Workshop, good, run, tar_gz
from test_firstboot import firstboot, installed, litter, make_root

NEXT, THIRD = "6.1.0-2-test", "6.1.0-10-test"
OTHER_NIC = "pci:v00008086d000010D3sv*sd*bc02sc*i*"


def noise(name, size):
    """Bytes that do not compress."""
    return hashlib.shake_128(name.encode()).digest(size)


@functools.cache
def module(kernel, size=200_000, name="nic"):
    """A driver: much is the same for each kernel, some is not."""
    parts = [noise(f"{name} {i}", 4000) + noise(f"{kernel} {i}", 40) for i in range(size // 4040)]
    return b"\x7fELF" + b"".join(parts)


def tree(kernel):
    """A deep tree for one kernel, of more than one frame."""
    return {f"src/{kernel}/f{i:03}": module(kernel, 40_000, f"f{i}") for i in range(150)}


class Family(Workshop):
    """A bundle for each kernel: a module, a small file, and a tree."""

    def __init__(self, folder, kernels):
        self.kernels = kernels
        super().__init__(folder)

    def archive_of(self, kernel):
        """What the vendor has for a kernel."""
        path = self.folder / f"vendor-{kernel}.tar.gz"
        if not path.exists():
            files = {f"ko/{kernel}/nic.ko": module(kernel), "etc/nic.conf": f"for {kernel}\n".encode()}
            path.write_bytes(tar_gz(files | tree(kernel)))
        return path

    def bundle(self, kernel):
        """One bundle of the manifest."""
        return {"id": f"k{kernel}", "kernels": [kernel], "devices": [OTHER_NIC],
                "take": [{"file": kernel, "members": ["*.ko"], "into": f"ko/{kernel}"},
                         {"file": kernel, "members": ["*.conf"], "into": "etc"},
                         {"file": kernel, "members": ["src/*"], "into": f"tree/{kernel}", "tree": True}],
                "install": [{"do": "files", "files": [f"ko/{kernel}/nic.ko", f"tree/{kernel}", "etc/nic.conf"],
                             "into": "/opt/larder"}]}

    def document(self):
        """The manifest."""
        paths = {kernel: self.archive_of(kernel) for kernel in self.kernels}
        made = super().document()
        made["files"] = {kernel: {"url": f"file://{path}"} for kernel, path in paths.items()}
        made["pins"] = {f"file://{path}": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                                           "size": path.stat().st_size} for path in paths.values()}
        made["template"]["early"] = False
        del made["template"]["kernels"]
        made["bundles"] = [self.bundle(kernel) for kernel in self.kernels]
        return made

    def records(self):
        """Kernel -> its record's digest and what it says."""
        found = {}
        for row in self.table()["rows"]:
            name = row["record"]["digest"][7:]
            found[row["kernels"][0]] = name, json.loads((self.cache / "blobs/sha256" / name).read_text())
        return found

    def size(self):
        """Bytes of the cache."""
        return sum(len(data) for data in self.blobs().values())


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A cache for three kernels."""
    family = Family(tmp_path_factory.mktemp("three") / "shop", [KERNEL, NEXT, THIRD])
    family.bake()
    return family


def test_the_next_kernel_costs_little(three, tmp_path):
    one = Family(tmp_path / "one", [KERNEL])
    one.bake()
    plain = Family(tmp_path / "plain", [KERNEL, NEXT, THIRD])
    plain.bake("--key", plain.keys(), "--no-patch")
    assert three.size() < 1.2 * one.size() < 2.5 * one.size() < plain.size()
    encodings = {kernel: [entry["encoding"] for entry in record["files"]]
                 for kernel, (_, record) in three.records().items()}
    assert encodings[KERNEL] == ["identity", "identity", "tar+zstd"]
    assert encodings[NEXT] == encodings[THIRD] == ["identity", "zstd-patch", "tar+zstd-patch"]
    assert "patch" not in str([record for _, record in plain.records().values()])
    for entry in three.records()[THIRD][1]["files"][1:]:
        bases = {entry["blob"]["digest"] for entry in three.records()[KERNEL][1]["files"]}
        assert entry["base"]["blob"]["digest"] in bases and entry["base"]["encoding"] in ("identity", "zstd")


@pytest.mark.parametrize("kernels", [[KERNEL, NEXT], [NEXT, KERNEL]])
def test_a_newer_kernel_changes_nothing_for_the_others(three, tmp_path, kernels):
    before = Family(tmp_path / "shop", kernels)
    before.bake()
    old = before.records()
    before.kernels = [THIRD, *kernels]
    before.write_manifest()
    said = before.bake("--key", before.keys())
    assert "serial 2" in said
    assert {kernel: before.records()[kernel] for kernel in kernels} == old
    blobs = lambda family: {name for _, record in family.records().values() for entry in record["files"]
                            for name in (entry["blob"]["digest"], entry.get("base", entry)["blob"]["digest"])}
    assert blobs(before) == blobs(three)
    again = before.bake("--key", before.keys())
    assert "nothing changed" in again


def test_the_same_bytes_elsewhere(three, tmp_path):
    family = Family(tmp_path / "shop", [THIRD, KERNEL, NEXT])
    family.bake(env={"XDG_CACHE_HOME": str(tmp_path / "notes")})
    for kernel, (_, record) in family.records().items():
        assert record["files"] == three.records()[kernel][1]["files"]


def machine(root, cache, trust, kernel):
    """A machine with this kernel, and a cache in it."""
    make_root(root, modalias="pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00")
    (root / "proc/sys/kernel/osrelease").write_text(kernel + "\n")
    (root / f"lib/modules/{kernel}").mkdir(parents=True, exist_ok=True)
    (root / f"lib/modules/{kernel}/modules.order").touch()
    good("larder", "embed", cache, "--trust", trust, "--root", root)
    return root


def laid(root, kernel):
    """What a machine got."""
    top = root / "opt/larder"
    found = {path.relative_to(top / kernel / f"src/{kernel}").as_posix(): path.read_bytes()
             for path in (top / kernel).rglob("f*") if path.is_file()}
    wanted = {name.rsplit("/", 1)[-1]: data for name, data in tree(kernel).items()}
    return (top / "nic.ko").read_bytes() == module(kernel) and found == wanted


@pytest.mark.parametrize("kernel", [KERNEL, NEXT, THIRD])
def test_a_machine_gets_the_same_bytes(three, tmp_path, kernel):
    root = machine(tmp_path / "root", three.cache, three.trust, kernel)
    code, status = firstboot(root)
    assert code == 0, status
    assert laid(root, kernel) and not litter(root)


def test_a_slice_carries_the_bases(three, tmp_path):
    good("larder", "copy", three.cache, tmp_path / "slice", "--kernel", THIRD)
    names = {path.name for path in (tmp_path / "slice/blobs/sha256").iterdir()}
    for entry in three.records()[THIRD][1]["files"]:
        assert entry["blob"]["digest"][7:] in names
        assert "base" not in entry or entry["base"]["blob"]["digest"][7:] in names
    done = run("larder-verify", tmp_path / "slice", "--trust", three.trust, "--layout", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["carried"] == 1, done.stdout
    root = machine(tmp_path / "root", tmp_path / "slice", three.trust, THIRD)
    assert firstboot(root)[0] == 0 and laid(root, THIRD)


def test_a_delta_has_the_patches_alone(tmp_path):
    old = Family(tmp_path / "old", [KERNEL, NEXT])
    old.bake()
    before = tmp_path / "before"
    shutil.copytree(old.cache, before)
    old.kernels = [KERNEL, NEXT, THIRD]
    old.write_manifest()
    old.bake()
    good("larder", "copy", old.cache, tmp_path / "delta.tar", "--since", before)
    whole = sum(entry["base"]["blob"]["size"] for entry in old.records()[THIRD][1]["files"] if "base" in entry)
    assert (tmp_path / "delta.tar").stat().st_size < whole / 4
    good("larder-verify", tmp_path / "delta.tar", "--trust", old.trust, "--base", before)
    good("larder", "copy", tmp_path / "delta.tar", before)
    good("larder-verify", before, "--trust", old.trust, "--layout")


@pytest.mark.parametrize("part", ["blob", "base"])
def test_what_a_machine_lacks_is_missing_and_what_is_wrong_is_damaged(three, tmp_path, part):
    entry = next(entry for entry in three.records()[NEXT][1]["files"] if entry["path"].endswith(".ko"))
    name = entry["blob"]["digest"] if part == "blob" else entry["base"]["blob"]["digest"]
    root = machine(tmp_path / "root", three.cache, three.trust, NEXT)
    blob = root / "usr/lib/larder/cache/blobs/sha256" / name[7:]
    data = blob.read_bytes()
    blob.unlink()
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "not_carried") and "nic.ko" in json.dumps(status)
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "damaged") and not (root / "opt/larder").exists()
    blob.write_bytes(data)
    assert firstboot(root)[0] == 0 and laid(root, NEXT)


def test_a_bake_of_one_kernel_alone_carries_what_it_needs(three, tmp_path):
    family = Family(tmp_path / "shop", [KERNEL, NEXT, THIRD])
    key = family.keys()
    env = {"XDG_CACHE_HOME": str(tmp_path / "notes")}
    family.fetch()
    words = family.bake_args("--key", key, "--kernel", THIRD)
    assert "1 of them carried" in good("larder", *words, env=env)
    assert "nothing changed" in good("larder", *words, env=env)
    good("larder-verify", family.cache, "--trust", family.trust, "--layout")
    whole = family.bake_args("--key", key)
    good("larder", *whole, env=env)
    said = json.loads(good("larder-verify", family.cache, "--trust", family.trust, "--layout", "--json"))
    assert said["carried"] == 3


def test_packages_are_never_patched(tmp_path):
    shop = Workshop(tmp_path / "shop")
    paths = {}
    for kernel in (KERNEL, NEXT):
        paths[kernel] = shop.folder / f"nic-{kernel}.deb"
        paths[kernel].write_bytes(module(kernel))

    def change(document):
        document["files"] = {kernel: {"url": f"file://{path}"} for kernel, path in paths.items()}
        document["pins"] = {f"file://{path}": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                                               "size": path.stat().st_size} for path in paths.values()}
        document["template"]["early"] = False
        del document["template"]["kernels"]
        document["bundles"] = [{"id": f"k{kernel}", "kernels": [kernel], "devices": [OTHER_NIC],
                                "take": [{"file": kernel, "into": "debs"}],
                                "install": [{"do": "packages", "files": ["debs/*.deb"]}]} for kernel in paths]
    shop.write_manifest(change)
    shop.bake()
    assert b"zstd-patch" not in b"".join(shop.blobs().values())
