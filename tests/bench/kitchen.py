"""kitchen.py - the caches that are measured: manifests over the corpus, fetched and baked by the real programs."""

import copy
import functools
import hashlib
import json
import os
import random
import shutil
import subprocess

import corpus
from measure import BUILD, WORK, Command

KERNEL = "6.1.0-1-bench"
DEVICE = "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"
GLOB = "pci:v00008086d000010D3sv*sd*bc02sc*i*"
SYSTEMS, ARCHES = [f"debian:{number}" for number in range(12, 32)], ["x86_64", "aarch64"]  # 40 tables
MIB = 1 << 20


class NotBuilt(Exception):
    """What a row measures does not exist in these programs."""


def larder(*words):
    """Run larder; what it refuses is shown."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(WORK / "notes")}
    done = subprocess.run([BUILD / "larder", *map(str, words)], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"larder {words[0]}: {done.stderr.strip()}")
    return done.stdout


def offers(program, option):
    """Does a program know this option?"""
    return option in subprocess.run([BUILD / program, "--help"], capture_output=True, text=True).stdout


def size_of(folder):
    """Bytes of all files below, each inode once."""
    seen = {entry.lstat().st_ino: entry.lstat().st_size for entry in folder.rglob("*") if not entry.is_dir()}
    return sum(seen.values())


# --- manifests ------------------------------------------------------------------------------------


def bundle(name, takes, install, **more):
    """One bundle of a manifest; it fits the machine of the bench unless told otherwise."""
    return {"id": name, "devices": [GLOB], "take": takes, "install": install, "os": ["debian:12"], "arch": ["x86_64"],
            "kernels": [KERNEL], **more}


def packages(name, files, **more):
    """A bundle of packages, as they are."""
    return bundle(name, [{"file": file.name, "into": "debs"} for file in files],
                  [{"do": "packages", "files": ["debs/*.deb"]}], **more)


def trees(name, files, **more):
    """A bundle of archives, each of them a tree."""
    takes = [{"file": file.name, "members": ["*"], "into": f"trees/{file.stem}", "tree": True} for file in files]
    return bundle(name, takes, [{"do": "files", "files": ["trees/*"], "into": "/opt"}], **more)


def document(bundles, files):
    """A manifest; every file is pinned."""
    urls = {file.name: f"file://{file}" for file in files}
    pins = {f"file://{file}": {"sha256": digest_of(file), "size": file.stat().st_size} for file in files}
    return {"format": "larder.manifest.v1", "name": "bench",
            "licence": {"id": "GPL-2.0-only", "url": "https://example.org/licence", "redistribute": "yes",
                        "accept": False},
            "files": {name: {"url": url} for name, url in urls.items()}, "pins": pins,
            "template": {"version": "1.0", "rank": 50}, "bundles": bundles}


@functools.cache
def digest_of(path):
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def named(set_name):
    """The files of a set under names that are safe and its own: links without the %3a of an epoch."""
    folder = WORK / "named" / set_name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in sorted(corpus.need(set_name).iterdir()):
        (folder / file.name.replace("%3a", "-")).symlink_to(file)
    return sorted(folder.iterdir())


# --- caches ---------------------------------------------------------------------------------------


class Kitchen:
    """A folder with a manifest, a store and a cache; the store stays from run to run."""

    def __init__(self, name, bundles, files):
        self.folder, self.options = WORK / "kitchen" / name, ()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.manifest, self.store = self.folder / "bench.json", self.folder / "store"
        self.cache, self.key, self.trust = self.folder / "cache", self.folder / "k.key", self.folder / "trust.json"
        self.manifest.write_text(json.dumps(document(bundles, files)))
        if not self.key.exists():
            larder("key", "new", self.folder / "k")
        self.trust.write_text(larder("trust", "init", self.folder / "k.pub"))
        try:
            larder("fetch", self.manifest, "--store", self.store)
        except RuntimeError as error:
            if "unknown" in str(error) and "tree" in str(error):
                raise NotBuilt("trees") from error
            raise

    def clean(self):
        """As before the first bake: no cache, no notes."""
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.rmtree(WORK / "notes", ignore_errors=True)

    def bake_command(self, before=None):
        """The bake, to be measured."""
        words = [BUILD / "larder", "bake", self.manifest, "--store", self.store, "--cache", self.cache,
                 "--key", self.key, "--progress", "none", *self.options]
        return Command("larder bake", words, before, {"XDG_CACHE_HOME": str(WORK / "notes")})

    def baked(self):
        """Bake anew; returns this kitchen."""
        self.clean()
        return self.ready()

    def ready(self):
        """Bake what is not baked yet; returns this kitchen."""
        larder(*self.bake_command().words[1:])
        return self

    def beside(self, name, *options):
        """The same manifest and store baked to another cache, with these options."""
        other = copy.copy(self)
        other.cache, other.options = self.folder / name, options
        return other.baked()

    def slice(self, kernel):
        """The blobs of what one kernel needs: name -> size."""
        to = self.folder / f"{self.cache.name}-{kernel}"
        shutil.rmtree(to, ignore_errors=True)
        larder("copy", self.cache, to, "--kernel", kernel)
        return {path.name: path.stat().st_size for path in (to / "blobs/sha256").iterdir()}

    def verify_command(self, *options):
        """The verifier, to be measured."""
        return Command("larder-verify", [BUILD / "larder-verify", self.cache, "--trust", self.trust, *options])

    def blobs(self):
        """Every file that a verifier reads."""
        return sorted((self.cache / "blobs/sha256").iterdir())


@functools.cache
def one_kernel():
    """97 packages in one bundle."""
    files = named("debs")
    return Kitchen("debs", [packages("k1", files)], files).baked()


def tree():
    """The tree as one archive in one bundle."""
    files = [corpus.need("tree.tar")]
    return Kitchen("tree", [trees("tree", files)], files)


def of_kernels(make, kind):
    """The bundles of four kernels, all with the same userland, out of debs or tars; and all their files."""
    groups = [[file for file in named(kind) if corpus.is_driver(file.name)],
              *(named(f"k{number}-{kind}") for number in (2, 3, 4))]
    userland = [file for file in named(kind) if not corpus.is_driver(file.name)]
    bundles = [make(f"k{i + 1}", userland + group, kernels=[f"6.1.0-{i}-bench"]) for i, group in enumerate(groups)]
    return bundles, userland + [file for group in groups for file in group]


@functools.cache
def four_kernels():
    """The same driver for four kernels, as packages."""
    return Kitchen("four", *of_kernels(packages, "debs")).baked()


@functools.cache
def four_trees():
    """The same driver for four kernels, as trees."""
    return Kitchen("trees-4", *of_kernels(trees, "tars"))


def noise(name, size, count):
    """Files that do not compress, the same in every run."""
    folder = WORK / "noise" / name
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        path = folder / f"{name}-{i:04d}.deb"
        if not path.exists():
            draft = path.with_suffix(".part")
            draft.write_bytes(b"".join(random.Random(f"{name} {i} {at}").randbytes(min(MIB, size - at))
                                       for at in range(0, size, MIB)))
            draft.rename(path)
    return sorted(folder.glob("*.deb"))


def spread(files):
    """One bundle of one file each, over 40 tables; the first fits the machine of firstboot.make_root."""
    bundles = []
    for i, file in enumerate(files):
        system, arch = SYSTEMS[i % len(SYSTEMS)], ARCHES[i // len(SYSTEMS) % len(ARCHES)]
        kernel = KERNEL if i < len(SYSTEMS) * len(ARCHES) else f"6.1.0-{i}-bench"
        bundles.append(packages(f"b{i}", [file], os=[system], arch=[arch], kernels=[kernel]))
    return bundles


@functools.cache
def large():
    """1 GB in 500 bundles of 2 MB."""
    files = noise("two", 2 * MIB, 500)
    return Kitchen("large", spread(files), files).baked()


@functools.cache
def one_blob():
    """One blob of 400 MB."""
    files = noise("big", 400 * MIB, 1)
    return Kitchen("one-blob", [packages("big", files)], files).baked()


@functools.cache
def thousand():
    """1,000 bundles in 40 tables."""
    files = noise("small", 4096, 1000)
    return Kitchen("thousand", spread(files), files).baked()
