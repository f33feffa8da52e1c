"""larder.py - what the end-to-end tests share: the programs, and a small driver family to bake."""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("LARDER_BUILD", "build")
KERNEL = "6.1.0-1-test"
TRACED = {"ASAN_OPTIONS": "detect_leaks=0"}  # under strace: the leak checker is a tracer itself
DEVICE = "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"


def run(program, *args, cwd=None, env=None, prefix=()):
    """Run one of our programs; a crash or a sanitizer's report is never an answer."""
    command = [*prefix, str(BUILD / program), *map(str, args)]
    if "strace" in prefix:
        env = {**(env or {}), **TRACED}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    assert 0 <= done.returncode < 99, (command, done.returncode, done.stderr)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done


def good(program, *args, **options):
    """Run, expect success, return standard output."""
    done = run(program, *args, **options)
    assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout


def refused(text, program, *args, code=1, **options):
    """Run, expect failure with this text on standard error."""
    done = run(program, *args, **options)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    assert text in done.stderr, done.stderr
    return done


@contextlib.contextmanager
def immutable(path):
    """A file or folder that nobody can change, by chattr."""
    done = subprocess.run(["chattr", "+i", path], capture_output=True, text=True, check=False)
    if "Operation not supported" in done.stderr or "Inappropriate ioctl" in done.stderr:
        pytest.skip("this file system has no immutable files")
    assert done.returncode == 0, done
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


@functools.cache
def own_mounts():
    """Words that start a program whose mounts nobody else sees. In a chroot whose / is no mount point unshare cannot make
    them private; there they are tried out: most such places are private already."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0:
        return "unshare", "-m"
    words = "unshare", "-m", "--propagation", "unchanged"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*words, "mount", "--bind", folder, folder], check=True)
        leaks = folder in Path("/proc/self/mountinfo").read_text()
        if leaks:
            subprocess.run(["umount", folder], check=True)
    assert not leaks, "mounts made by a test would be seen outside: enter this chroot by unshare -m"
    return words


def tar_gz(files):
    """A vendor archive; the same files give the same bytes. A file is its data, or data and mode."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            data, entry.mode = data if isinstance(data, tuple) else (data, 0o644)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


class Workshop:
    """A folder with a key, a vendor archive, a manifest that takes from it, and a store."""

    def __init__(self, folder, files=None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.files = files or {"vendor/nic.ko": b"\x7fELF" + b"module " * 400,
                               "vendor/nic.conf": b"options nic speed=fast\n"}
        self.store, self.cache = folder / "store", folder / "cache"
        self.manifest, self.trust = folder / "nic.json", folder / "trust.json"
        self.archive = folder / "vendor.tar.gz"
        self.archive.write_bytes(tar_gz(self.files))
        self.write_manifest()

    def document(self):
        """A manifest with every part that the tests change."""
        url = f"file://{self.archive}"
        data = self.archive.read_bytes()
        bundle = {"id": "nic", "devices": ["pci:v00008086d000010D3sv*sd*bc02sc*i*"],
                  "take": [{"file": "vendor", "members": ["*/nic.*"], "into": "nic"}],
                  "install": [{"do": "modules", "files": ["nic/*.ko"]},
                              {"do": "files", "files": ["nic/*.conf"], "into": "/etc/modprobe.d"}],
                  "expect": {"driver": "nic"}}
        return {"format": "larder.manifest.v1", "name": "nic",
                "licence": {"id": "GPL-2.0-only", "url": "https://example.org/licence",
                            "redistribute": "yes", "accept": False},
                "files": {"vendor": {"url": url}},
                "pins": {url: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}},
                "template": {"version": "1.0", "rank": 50, "early": True, "os": ["debian:12"],
                             "arch": ["x86_64"], "kernels": [KERNEL]},
                "bundles": [bundle]}

    def write_manifest(self, change=None):
        """Write the manifest, changed by a function first."""
        document = self.document()
        if change:
            change(document)
        self.manifest.write_text(json.dumps(document, indent=1))

    def keys(self, name="fleet"):
        """A key pair and its trust root."""
        key = self.folder / f"{name}.key"
        if not key.exists():
            good("larder", "key", "new", self.folder / name)
        trust = self.trust if name == "fleet" else self.folder / f"{name}.json"
        trust.write_text(good("larder", "trust", "init", self.folder / f"{name}.pub"))
        return key

    def fetch(self, *options):
        """Fetch what the manifest names."""
        return good("larder", "fetch", self.manifest, "--store", self.store, *options)

    def bake_args(self, *options):
        """The words of a bake."""
        return ("bake", self.manifest, "--store", self.store, "--cache", self.cache, *options)

    def bake(self, *options, **run_options):
        """Fetch and bake, signed by the fleet's key unless told otherwise."""
        key = self.keys()
        self.fetch()
        return good("larder", *self.bake_args(*(options or ("--key", key))), **run_options)

    def embed(self, root, cache=None, **options):
        """Embed into a folder that is made here."""
        root.mkdir(parents=True, exist_ok=True)
        return good("larder", "embed", cache or self.cache, "--trust", self.trust, "--root", root, **options)

    def blobs(self):
        """Name -> bytes of every blob in the cache."""
        return {path.name: path.read_bytes() for path in (self.cache / "blobs/sha256").iterdir()}

    def statement(self):
        """The signed payload, by way of the hints."""
        import base64
        return json.loads(base64.b64decode(self.envelope()["payload"]))

    def envelope_path(self):
        """The envelope's file."""
        def blob(descriptor):
            return self.cache / "blobs/sha256" / descriptor["digest"].split(":")[1]
        index = json.loads((self.cache / "index.json").read_text())
        manifests = json.loads(blob(index["manifests"][0]).read_text())
        manifest = json.loads(blob(manifests["manifests"][0]).read_text())
        return blob(manifest["layers"][0])

    def envelope(self):
        """The envelope, parsed."""
        return json.loads(self.envelope_path().read_text())

    def table(self):
        """The one table, parsed."""
        digest = self.statement()["subject"][0]["digest"]["sha256"]
        return json.loads((self.cache / "blobs/sha256" / digest).read_text())

    def record(self):
        """The first row's record, parsed."""
        name = self.table()["rows"][0]["record"]["digest"].split(":")[1]
        return json.loads((self.cache / "blobs/sha256" / name).read_text())
