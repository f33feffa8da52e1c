"""Debian's own packages as the real case: one host, two releases, installed for real without any network."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from closures import Signer, Site, command, make_image, manifest_of, names_of, serve_flat, to_vhd
from larder import good, run
from roots import unpack
from server import Server

pytestmark = pytest.mark.slow  # roots of two releases, and packages from the distribution's archive

ASKED = ["rdma-core", "ibverbs-utils", "perftest"]
RELEASES = {"bookworm": "12", "trixie": "13"}


def in_root(root, *words):
    """Run something in a root, in a network of its own: no interface but a loopback that is down."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["unshare", "-n", "-m", "chroot", root, *words], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL, check=False)


def install(root, debs):
    """dpkg alone, which does not configure what another package pre-depends on before it unpacks that: once more for
    what is left, as long as a run brings something."""
    left = len(debs) + 1
    while debs and len(debs) < left:
        left = len(debs)
        done = in_root(root, "dpkg", "-i", *debs)
        states = in_root(root, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}_${Architecture}\n").stdout
        there = {line.split()[1] for line in states.splitlines() if line.startswith("installed ")}
        debs = [deb for deb in debs if "_".join(Path(deb).stem.split("_")[::2]) not in there]
    return done


def add_target(site, root, release):
    """The root's own sources and installed list, as a site file names them."""
    name = f"debian-{RELEASES[release]}"
    shutil.copy(root / "var/lib/dpkg/status", site.folder / f"{release}.status")
    shutil.copy(root / "etc/apt/sources.list", site.folder / f"{release}.list")
    site.document["repos"][name] = {"manager": "apt", "sources": f"{release}.list", "installed": f"{release}.status",
                                    "keyring": "/usr/share/keyrings/debian-archive-keyring.gpg"}
    return {"packages": ASKED, "closure": name, "into": f"DEBS-{release}"}


def baked_files(site):
    """path -> blob of every file in the cache's records."""
    blobs = site.cache / "blobs/sha256"
    records = [json.loads(path.read_text()) for path in blobs.iterdir() if path.read_bytes()[:9] == b'{"files":']
    return {file["path"]: blobs / file["blob"]["digest"].split(":")[1] for record in records
            for file in record["files"]}


def put_debs(site, root, release, without=()):
    """The bundle's packages, in the root."""
    (root / "debs").mkdir(exist_ok=True)
    for path, blob in baked_files(site).items():
        folder, name = path.split("/")
        if folder == f"DEBS-{release}" and name.split("_")[0] not in without:
            shutil.copy(blob, root / "debs" / name)
    return sorted(f"/debs/{path.name}" for path in (root / "debs").iterdir())


@pytest.fixture(name="built", scope="module")
def built_fixture(tmp_path_factory):
    """One site file, two targets, one cache; and the roots."""
    folder = tmp_path_factory.mktemp("real")
    site = Site(folder / "site")
    roots = {release: unpack(release, folder / release) for release in RELEASES}
    takes = {release: add_target(site, roots[release], release) for release in RELEASES}
    document = manifest_of()
    document["template"].pop("os")
    document["bundles"] = [{"id": release, "os": [f"debian:{RELEASES[release]}"], "take": [take],
                            "install": [{"do": "packages", "files": [f"DEBS-{release}/*.deb"]}]}
                           for release, take in takes.items()]
    site.write(document)
    result = site.fetch()
    good("larder", "bake", site.manifest, "--store", site.store, "--site", site.site, "--cache", site.cache,
         "--unsigned")
    return site, roots, result


@pytest.mark.parametrize("release", RELEASES)
def test_installed_offline(built, release, tmp_path):
    site, roots, _ = built
    root = tmp_path / "root"
    shutil.copytree(roots[release], root, symlinks=True)
    debs = put_debs(site, root, release)
    assert in_root(root, "ls", "/sys/class/net").stdout == ""
    done = install(root, debs)
    assert done.returncode == 0, done.stdout + done.stderr
    states = in_root(root, "dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *ASKED).stdout
    assert sorted(states.split()) == sorted(" installed ".join(ASKED).split() + ["installed"])
    assert in_root(root, "dpkg", "--audit").stdout == ""
    assert "Version" in in_root(root, "ib_write_bw", "--version").stdout
    assert in_root(root, "ibv_devices").returncode in (0, 1)  # it runs: all its libraries are there


@pytest.mark.parametrize("release", RELEASES)
def test_exactly_what_the_root_lacks(built, release):
    site, roots, result = built
    closure = next(closure for closure in result["closures"] if closure["target"] == f"debian-{RELEASES[release]}")
    names = {package["name"] for package in closure["packages"]}
    has = set(in_root(roots[release], "dpkg-query", "-W", "-f", "${Package}\n").stdout.split())
    assert set(ASKED) <= names and {"libibverbs1", "libibumad3", "libnl-3-200"} <= names
    assert "libc6" in has and "libc6" not in names
    assert site.fetch("--frozen")["closures"] == site.fetch("--offline")["closures"]


@pytest.mark.parametrize("release", RELEASES)
def test_coverage_of_a_real_root(built, release, tmp_path):
    """The closure that was resolved for a root is carried for it. One that was resolved for an image which had libibumad3
    already is a gap of this one, and the missing name is told."""
    site, roots, _ = built
    root = tmp_path / "root"
    shutil.copytree(roots[release], root, symlinks=True)
    (root / "lib/modules/6.1.0-1-test").mkdir(parents=True)
    (root / "lib/modules/6.1.0-1-test/modules.order").touch()
    before = (root / "var/lib/dpkg/status").read_bytes()
    words = ("--image-root", root, "--nic", "15b3:1018", "--json")
    cell = json.loads(good("larder", "coverage", site.cache, *words))["cells"][0]
    assert (cell["state"], cell["compared"], cell["text"]) == ("carried", True, "installable without a repository")
    other = Site(tmp_path / "other")
    take = add_target(other, root, release)
    had = in_root(root, "dpkg-query", "-W", "-f", "${Version} ${Architecture}", "dpkg").stdout.split()[1]
    with open(other.folder / f"{release}.status", "a", encoding="utf-8") as status:
        status.write(f"Package: libibumad3\nStatus: install ok installed\nArchitecture: {had}\nVersion: 999\n"
                     "Maintainer: a <a@example.org>\nDescription: x\n\n")
    document = manifest_of(take, install=[{"do": "packages", "files": [f"{take['into']}/*.deb"]}])
    document["template"]["os"] = [f"debian:{RELEASES[release]}"]
    other.write(document)
    other.fetch()
    other.bake()
    done = run("larder", "coverage", other.cache, *words)
    cell = json.loads(done.stdout)["cells"][0]
    assert (done.returncode, cell["state"], cell["reason"]) == (3, "miss", "step_failed"), cell
    assert "missing: libibumad3" in cell["text"] and "closure" in cell["remedy"]
    assert (root / "var/lib/dpkg/status").read_bytes() == before


def test_the_two_releases_have_packages_of_their_own(built):
    site, _, _ = built
    origins = {key.split()[0]: {package["origin"].split(":")[1][:2] for package in closure["packages"]}
               for key, closure in site.lock()["closures"].items()}
    assert origins == {"debian-12": {"12"}, "debian-13": {"13"}}


def test_a_root_is_enough(built, tmp_path):
    """Without a site file: the root's own sources, keyrings and installed list."""
    site, roots, result = built
    alone = Site(tmp_path / "alone")
    alone.write(manifest_of({"packages": ASKED, "closure": "it", "into": "DEBS"}))
    expected = [closure for closure in result["closures"] if closure["target"] == "debian-13"]
    assert names_of(alone.fetch("--target-root", roots["trixie"])) == names_of({"closures": expected})


@pytest.mark.parametrize("release", RELEASES)
def test_an_image_is_enough(built, release, tmp_path):
    """The same root as a disk: the closure is that of the folder, byte for byte in the lock."""
    alone = Site(tmp_path / "alone")
    alone.write(manifest_of({"packages": ASKED, "closure": "it", "into": "DEBS"}))
    alone.fetch("--target-root", built[1][release])
    lock = alone.lock()
    raw = make_image(tmp_path / "disk.raw", built[1][release], size=768 << 20)
    for image, kind in ((raw, "raw"), (to_vhd(raw, tmp_path / "disk.vhd"), "vhd")):
        alone.fetch("--frozen", "--target-image", image, "--image-format", kind)
        alone.fetch("--update", "--target-image", image, "--image-format", kind)
        assert alone.lock() == lock


@pytest.mark.parametrize("release", RELEASES)
def test_one_package_left_out(built, release, tmp_path):
    """A repository that lacks libibumad3: fetch says so. Packages that lack it: dpkg says so."""
    site, roots, _ = built
    root = tmp_path / "root"
    shutil.copytree(roots[release], root, symlinks=True)
    put_debs(site, root, release)
    poor = Site(tmp_path / "poor")
    with Server() as server:
        signer = Signer(tmp_path)
        serve_flat(server, signer, list((root / "debs").iterdir()), left_out=("libibumad3",))
        add_target(poor, root, release)
        name = f"debian-{RELEASES[release]}"
        (poor.folder / f"{release}.list").write_text(f"deb {server.url('/repo')} ./\n")
        poor.document["repos"][name]["keyring"] = str(signer.keyring)
        poor.write(manifest_of({"packages": ASKED, "closure": name, "into": "DEBS"}))
        said = poor.fails("wants libibumad3")
        assert "but it is not installable" in said
    (root / "debs" / next(path.name for path in (root / "debs").iterdir() if "libibumad3" in path.name)).unlink()
    done = install(root, [f"/debs/{path.name}" for path in (root / "debs").iterdir()])
    assert done.returncode != 0 and "libibumad3" in done.stderr
