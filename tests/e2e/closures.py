"""closures.py - small repositories, made here: packages with dependencies, an index, a signature."""

import hashlib
import json
import os
import subprocess

from larder import good, run

ARCH = "amd64"


def command(*words, **options):
    """Run a tool of the system; a failure raises with what it said."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False, **options)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def make_deb(folder, name, depends="", version="1.0", payload=None):
    """A package that holds one file (or payload: path -> bytes, what is below DEBIAN too); returns its path."""
    root = folder / f"{name}-root"
    files = payload or {f"usr/share/{name}/made": f"{name} {version}\n".encode()}
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        if path.startswith("DEBIAN/") and path != "DEBIAN/conffiles":
            (root / path).chmod(0o755)
    (root / "DEBIAN").mkdir(parents=True, exist_ok=True)
    fields = {"Package": name, "Version": version, "Architecture": ARCH, "Maintainer": "t <t@example.org>",
              "Depends": depends, "Description": name}
    (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items() if value))
    deb = folder / f"{name}_{version}_{ARCH}.deb"
    command("dpkg-deb", "-b", "--root-owner-group", "-Zgzip", root, deb)
    subprocess.run(["rm", "-r", root], check=True)
    return deb


def index_of(debs):
    """The text of Packages for a flat repository."""
    stanzas = []
    for deb in sorted(debs):
        data = deb.read_bytes()
        control = command("dpkg-deb", "-f", deb).strip()
        stanzas.append(f"{control}\nFilename: ./{deb.name}\nSize: {len(data)}\n"
                       f"SHA256: {hashlib.sha256(data).hexdigest()}\n")
    return "\n".join(stanzas)


def release_of(packages):
    """The text of Release for one Packages file."""
    data = packages.encode()
    return ("Origin: Site\nLabel: Site\nVersion: 1.0\nSuite: tiny\nDate: Sat, 21 Nov 2026 00:00:00 UTC\nSHA256:\n"
            f" {hashlib.sha256(data).hexdigest()} {len(data)} Packages\n")


class Signer:
    """A throw-away key that signs repositories."""

    def __init__(self, folder):
        self.home = folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.env = {**os.environ, "GNUPGHOME": str(self.home)}
        command("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "site@example.org", "ed25519",
                "sign", "never", env=self.env)
        self.keyring = folder / "site.gpg"
        command("gpg", "--batch", "--export", "-o", self.keyring, env=self.env)

    def sign(self, text):
        """InRelease for Release."""
        done = subprocess.run(["gpg", "--batch", "--clearsign"], input=text, text=True, env=self.env,
                              capture_output=True, check=True)
        return done.stdout


    def sign_apart(self, path):
        """path.asc, and the key as text."""
        command("gpg", "--batch", "--yes", "--armor", "--detach-sign", path, env=self.env)
        command("gpg", "--batch", "--yes", "--armor", "--export", "-o", self.home.parent / "site.asc", env=self.env)
        return self.home.parent / "site.asc"


def manifest_of(*takes, **changes):
    """A manifest with one bundle that takes these."""
    bundle = {"id": "b", "take": list(takes),
              "install": [{"do": "packages", "files": ["DEBS/*"]}]} | changes
    return {"format": "larder.manifest.v1", "name": "rdma",
            "licence": {"id": "GPL-2.0-only", "url": "https://example.org/licence", "redistribute": "yes",
                        "accept": False},
            "template": {"version": "1", "rank": 50, "os": ["debian:12"], "arch": ["x86_64"], "kernels": ["*"],
                         "devices": ["pci:v000015B3d00001018sv*"], "expect": {"driver": "mlx5_core"}},
            "bundles": [bundle]}


class Site:
    """A folder with a site file, a manifest, an empty installed list, and a store."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.store, self.cache = folder / "store", folder / "cache"
        self.manifest, self.site = folder / "rdma.json", folder / "site.json"
        self.status = folder / "target.status"
        self.status.write_text("")
        self.document = {"format": "larder.site.v1", "repos": {}}

    def write(self, manifest=None):
        """Write the site file, and the manifest."""
        self.site.write_text(json.dumps(self.document, indent=1))
        if manifest:
            self.manifest.write_text(json.dumps(manifest, indent=1))

    def args(self, *options):
        """The words of a fetch."""
        site = () if {"--target-root", "--target-image"} & set(options) else ("--site", self.site)
        return ("fetch", self.manifest, "--store", self.store, *site, *options)

    def fetch(self, *options, **more):
        """Fetch, and return what --json says."""
        return json.loads(good("larder", *self.args("--json", *options), **more))

    def fails(self, text, *options, **more):
        """Fetch, and expect this text."""
        done = run("larder", *self.args(*options), **more)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert text in done.stderr, done.stderr
        return done.stderr

    def lock(self):
        """The lock, parsed."""
        return json.loads((self.folder / "rdma.lock.json").read_text())

    def bake(self):
        """Bake, and return the file names in the one record."""
        good("larder", "bake", self.manifest, "--store", self.store, "--site", self.site, "--cache", self.cache,
             "--unsigned")
        records = [json.loads(path.read_text()) for path in (self.cache / "blobs/sha256").iterdir()
                   if path.read_bytes()[:9] == b'{"files":']
        return sorted(file["path"] for record in records for file in record["files"])


def names_of(result):
    """Package names of the closures in fetch's JSON."""
    return sorted(package["name"] for closure in result["closures"] for package in closure["packages"])


def serve_flat(server, signer, debs, folder="/repo", left_out=()):
    """Put a signed flat repository on a server; left_out are named by nobody."""
    from server import Answer
    kept = [deb for deb in debs if deb.name.split("_")[0] not in left_out]
    packages = index_of(kept)
    server.answers[f"{folder}/./InRelease"] = Answer(signer.sign(release_of(packages)).encode())
    server.answers[f"{folder}/./Packages"] = Answer(packages.encode())
    for deb in kept:
        server.answers[f"{folder}/{deb.name}"] = Answer(deb.read_bytes())


def make_rpm(folder, name, requires="", version="1.0", payload=None, tags="", scripts=""):
    """As make_deb; payload is one pair of a path and bytes, or a folder whose files go below a path. tags and scripts go into
    the spec as they are."""
    files = payload or {f"usr/share/{name}/made": f"{name} {version}\n".encode()}
    top, source = folder / "top", folder / f"{name}-source"
    for path, data in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    spec = folder / f"{name}.spec"
    spec.write_text(f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: {name}\nLicense: MIT\n"
                    f"BuildArch: noarch\n{tags}" + (f"Requires: {requires}\n" if requires else "")
                    + f"%description\n{name}\n%install\ncp -a {source}/. %{{buildroot}}/\n{scripts}%files\n"
                    + "".join(f"/{path}\n" for path in files))
    command("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", "--define", f"_rpmdir {folder}",
            "--define", "_build_id_links none", spec)
    subprocess.run(["rm", "-r", source, top, spec], check=True)
    rpm, = (folder / "noarch").glob(f"{name}-{version}-*.rpm")
    return rpm


def below(folder, at):
    """path -> bytes of a folder's files, as a package's payload."""
    return {f"{at}/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rpm_database(folder, *rpms):
    """An rpm database in which these are installed."""
    command("rpm", "--dbpath", folder, "--initdb")
    for rpm in rpms:
        command("rpm", "--dbpath", folder, "-i", "--justdb", "--nodeps", "--ignorearch", "--ignoreos", rpm)
    return folder


def make_image(path, *roots, table=True, size=16 << 20):
    """A raw disk image: an empty partition where there is a table, then one ext4 file system for each root."""
    at = 1 << 20
    with open(path, "wb") as file:
        file.truncate(at + (len(roots) + 2) * size)
    starts = [at + (i + 1) * size for i in range(len(roots))] if table else [0]
    if table:
        parts = [f"-n{i + 1}:{start // 512}:+{size // 512}" for i, start in enumerate([at, *starts])]
        command("sgdisk", "-a1", *parts, path)
    for start, root in zip(starts, roots):
        command("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", root, "-E", f"offset={start}", path, size // 4096)
    return path


def to_vhd(image, vhd, kind="fixed"):
    """The same disk as a VHD."""
    command("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", f"subformat={kind},force_size=on", image, vhd)
    return vhd


def set_needs_recovery(image, start):
    """As a machine that lost its power leaves it."""
    command("debugfs", "-w", "-R", "feature needs_recovery", f"{image}?offset={start}")
