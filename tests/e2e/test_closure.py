"""Closures: what a target lacks, resolved by its own kind of package manager, fetched, locked, baked."""

import gzip
import hashlib
import shutil
import subprocess
import time

import pytest

from closures import (Signer, Site, below, command, index_of, make_deb, make_image, make_rpm, manifest_of, names_of,
                      release_of, rpm_database, serve_flat, set_needs_recovery, to_vhd)
from larder import BUILD, run
from server import Answer, Server

TAKE = {"packages": ["perf"], "closure": "tiny", "into": "DEBS"}
TREE = {"perf": "verbs (>= 1.0), made-up | verbs", "verbs": "core", "core": "", "alone": ""}


@pytest.fixture(name="debs", scope="module")
def debs_fixture(tmp_path_factory):
    """perf needs verbs, which needs core; nobody needs alone."""
    folder = tmp_path_factory.mktemp("debs")
    return [make_deb(folder, name, depends) for name, depends in TREE.items()]


@pytest.fixture(name="signer", scope="module")
def signer_fixture(tmp_path_factory):
    """The key of the site's repository."""
    return Signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture(name="server")
def server_fixture():
    """A server without files."""
    with Server() as server:
        yield server


@pytest.fixture(name="site")
def site_fixture(tmp_path, server, signer, debs):
    """A site whose target "tiny" has a signed repository and nothing installed."""
    site = Site(tmp_path / "site")
    serve_flat(server, signer, debs)
    (site.folder / "tiny.sources").write_text(f"Types: deb\nURIs: {server.url('/repo')}\nSuites: ./\n")
    shutil.copy(signer.keyring, site.folder / "site.gpg")
    site.document["repos"]["tiny"] = {"manager": "apt", "sources": "tiny.sources", "keyring": "site.gpg",
                                      "installed": "target.status"}
    site.write(manifest_of(TAKE))
    return site


def installed(*names):
    """A dpkg status file."""
    return "".join(f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\n"
                   f"Maintainer: t <t@example.org>\nDescription: {name}\n\n" for name in names)


def left_behind(site):
    """What fetch must not leave."""
    return [path.name for path in (site.store / "partial").iterdir()]


def test_what_the_target_lacks_is_fetched_locked_and_baked(site):
    result = site.fetch()
    assert names_of(result) == ["core", "perf", "verbs"]
    assert {package["state"] for package in result["closures"][0]["packages"]} == {"fetched"}
    closure = site.lock()["closures"]["tiny x86_64: perf"]
    assert [package["origin"] for package in closure["packages"]] == ["Site:1.0/tiny"] * 3
    assert site.bake() == [f"DEBS/{name}_1.0_amd64.deb" for name in ("core", "perf", "verbs")]
    assert left_behind(site) == []


def test_what_the_target_has_is_not_taken(site):
    site.status.write_text(installed("core", "verbs"))
    assert names_of(site.fetch()) == ["perf"]


def test_the_lock_is_obeyed_until_the_installed_list_changes(site, server, signer, debs, tmp_path):
    site.fetch()
    newer = make_deb(tmp_path, "core", version="2.0")
    serve_flat(server, signer, [*debs, newer])
    server.requests.clear()
    assert {package["state"] for package in site.fetch()["closures"][0]["packages"]} == {"present"}
    assert server.requests == []
    assert site.fetch("--frozen") == site.fetch("--offline")
    site.status.write_text(installed("alone"))
    site.fails("the lock was made for another installed list than the target has now", "--frozen")
    site.fails("offline: the lock was made for another installed list", "--offline")
    versions = {package["name"]: package["version"] for package in site.fetch()["closures"][0]["packages"]}
    assert versions == {"core": "2.0", "perf": "1.0", "verbs": "1.0"}


def test_update_takes_new_versions(site, server, signer, debs, tmp_path):
    site.fetch()
    assert "DEBS/core_1.0_amd64.deb" in site.bake()
    serve_flat(server, signer, [*debs, make_deb(tmp_path, "core", version="2.0")])
    packages = site.fetch("--update")["closures"][0]["packages"]
    assert [package["state"] for package in packages if package["name"] == "core"] == ["fetched"]
    assert "DEBS/core_2.0_amd64.deb" in site.bake()


def test_an_index_is_fetched_once(site, server, tmp_path):
    """The next run asks only whether it is the newest; a damaged copy is no reason to believe it."""
    env = {"XDG_CACHE_HOME": str(tmp_path / "notes")}
    server.answers["/repo/./InRelease"].modified = "Sat, 21 Nov 2026 00:00:00 GMT"
    site.fetch(env=env)
    site.status.write_text(installed("core"))
    server.requests.clear()
    site.fetch(env=env)
    assert [request.path for request in server.requests] == ["/repo/./InRelease"]
    kept, = (tmp_path / "notes/larder/lists").iterdir()
    release, = kept.glob("*InRelease")
    release.write_bytes(release.read_bytes().replace(b"Suite: tiny", b"Suite: evil"))
    site.status.write_text(installed("verbs"))
    assert names_of(site.fetch(env=env)) == ["perf"]


def test_nothing_new_when_frozen_or_offline(site):
    site.fails("closure tiny: the lock does not name it", "--frozen")
    site.fails("closure tiny: offline: the lock does not name it", "--offline")
    assert not site.store.exists()


def test_the_lock_alone_brings_the_same_packages_again(site, server):
    site.fetch()
    shutil.rmtree(site.store)
    server.answers.pop("/repo/./InRelease")
    assert names_of(site.fetch("--frozen")) == ["core", "perf", "verbs"]
    site.fetch("--offline")
    shutil.rmtree(site.store)
    site.fails("offline: the store lacks package", "--offline")


def test_a_missing_package_is_named_with_what_wanted_it(site, server, signer, debs):
    serve_flat(server, signer, debs, left_out=("verbs",))
    site.fails("closure tiny: perf wants verbs (>= 1.0), but it is not installable")
    serve_flat(server, signer, debs, left_out=("core",))
    site.fails("closure tiny: verbs wants core, but it is not installable")
    serve_flat(server, signer, debs, left_out=("perf",))
    site.fails("Unable to locate package perf")
    assert not (site.folder / "rdma.lock.json").exists()


def test_a_name_is_no_pattern(site):
    for name, text in (("pe.f", "Unable to locate package pe.f"), ("perf-", "not a Debian"), ("Perf", "not a Debian")):
        site.write(manifest_of(TAKE | {"packages": [name]}))
        site.fails(text)


@pytest.mark.parametrize("change, text", [
    (lambda answer: answer.data.replace(b"Suite: tiny", b"Suite: evil"), "apt-get update"),
    (lambda answer: release_of("").encode(), "apt-get update"),
])
def test_an_index_without_a_good_signature_is_refused(site, server, change, text):
    answer = server.answers["/repo/./InRelease"]
    answer.data = change(answer)
    site.fails(text)


def test_nothing_is_believed_unsigned(site, server):
    for line in ("Trusted: yes", "Allow-Insecure: yes"):
        (site.folder / "tiny.sources").write_text(
            f"Types: deb\nURIs: {server.url('/repo')}\nSuites: ./\n{line}\n")
        site.fails("what such a source offers is proven by nobody")


def test_other_bytes_than_the_index_says(site, server):
    server.answers["/repo/core_1.0_amd64.deb"] = Answer(b"x" * 10)
    site.fails("core_1.0_amd64.deb")
    assert not any(path.read_bytes() == b"x" * 10 for path in (site.store / "blobs/sha256").iterdir())


def test_no_configuration_of_this_host_counts(site, tmp_path):
    """A hook in the user's APT_CONFIG would run otherwise."""
    ran = tmp_path / "ran"
    config = tmp_path / "host.conf"
    config.write_text(f'APT::Update::Pre-Invoke {{ "touch {ran}"; }};\nAPT::Get::AllowUnauthenticated "1";\n')
    site.fetch(env={"APT_CONFIG": str(config)})
    assert not ran.exists()


def test_what_a_crash_leaves_goes_with_the_next_run(site, server):
    server.delay = 1
    process = subprocess.Popen([BUILD / "larder", *map(str, site.args())], stderr=subprocess.DEVNULL)
    link = site.store / "partial/closure"
    deadline = time.monotonic() + 20
    while not server.requests or not link.is_symlink():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    folder = link.readlink()
    process.kill()
    process.wait()
    assert folder.is_dir()
    server.delay = 0
    assert names_of(site.fetch()) == ["core", "perf", "verbs"]
    assert not folder.exists() and left_behind(site) == []


def test_a_bundle_for_two_archs_has_no_one_closure(site):
    document = manifest_of(TAKE)
    document["template"]["arch"] = ["x86_64", "aarch64"]
    site.write(document)
    site.fails("closure tiny: the packages are for one arch, but the bundle is for 2")


def test_no_target(site):
    site.write(manifest_of(TAKE | {"closure": "other"}))
    site.fails('the site file has no repository "other"')
    done = run("larder", "fetch", site.manifest, "--store", site.store)
    assert "no --target-root was given" in done.stderr


def make_root(folder, server, signer, *names):
    """A root file system as far as apt reads it; its keyring lies behind an absolute link."""
    for path in ("var/lib/dpkg", "etc/apt/sources.list.d", "usr/share/keyrings", "real"):
        (folder / path).mkdir(parents=True)
    (folder / "var/lib/dpkg/status").write_text(installed(*names))
    shutil.copy(signer.keyring, folder / "real/site.gpg")
    (folder / "usr/share/keyrings/site.gpg").symlink_to("/real/site.gpg")
    (folder / "etc/apt/sources.list.d/site.list").write_text(
        f"deb [signed-by=/usr/share/keyrings/site.gpg] {server.url('/repo')} ./\n")
    return folder


def test_a_root_describes_the_target(site, server, signer, tmp_path):
    root = make_root(tmp_path / "root", server, signer, "core")
    assert names_of(site.fetch("--target-root", root)) == ["perf", "verbs"]
    (root / "etc/apt/preferences.d").mkdir()
    (root / "etc/apt/preferences.d/no.pref").write_text("Package: verbs\nPin: version *\nPin-Priority: -1\n")
    site.fails("verbs", "--target-root", root, "--update")


def test_a_root_that_leads_out_of_itself(site, server, signer, tmp_path):
    """Links of a root are the root's, not this host's."""
    root = make_root(tmp_path / "root", server, signer)
    (root / "real/site.gpg").unlink()
    (root / "real/site.gpg").symlink_to("../../../../../../../../.." + str(signer.keyring))
    site.fails("no such", "--target-root", root)
    (root / "real/site.gpg").unlink()
    (root / "real/site.gpg").symlink_to("/usr/share/keyrings/site.gpg")
    site.fails("too many links", "--target-root", root)
    site.fails("neither var/lib/dpkg/status nor an rpm database", "--target-root", tmp_path)


# The same in a disk image


@pytest.fixture(name="root")
def root_fixture(server, signer, tmp_path):
    """A root that has core."""
    root = make_root(tmp_path / "root", server, signer, "core")
    (root / "usr/lib").mkdir()
    (root / "usr/lib/os-release").write_text("ID=debian\n")
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    for name in ("loop", "nowhere"):
        (root / "etc/apt" / name).symlink_to(name)
    return root


def of_image(image, kind="raw", *more):
    """The options that name an image."""
    return ("--target-image", image, "--image-format", kind, *more)


def test_an_image_describes_the_target(site, root, tmp_path):
    """Closure and lock are those of the same root in a folder, whatever the image's form."""
    site.fetch("--target-root", root)
    expected, lock = site.fetch("--frozen", "--target-root", root)["closures"], site.lock()
    assert names_of({"closures": expected}) == ["perf", "verbs"]
    raw, bare = make_image(tmp_path / "disk.raw", root), make_image(tmp_path / "bare.raw", root, table=False)
    for options in (of_image(raw), of_image(raw, "raw", "--image-partition", "2"), of_image(bare),
                    of_image(to_vhd(raw, tmp_path / "disk.vhd"), "vhd")):
        assert site.fetch("--frozen", *options)["closures"] == expected
        site.fetch("--update", *options)
        assert site.lock() == lock and left_behind(site) == []
    (root / "var/lib/dpkg/status").write_text(installed("core", "verbs"))
    assert names_of(site.fetch(*of_image(make_image(tmp_path / "more.raw", root)))) == ["perf"]


def test_an_image_is_read_without_privileges_and_stays_as_it_is(site, root, tmp_path):
    image = make_image(tmp_path / "disk.raw", root)
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    image.chmod(0o400)
    trace = tmp_path / "trace"
    site.fetch(*of_image(image), prefix=("strace", "-f", "-qq", "-o", trace, "-e", "trace=mount,openat,setresuid"))
    said = trace.read_text()
    assert "mount(" not in said and "/dev/loop" not in said and "setresuid(65534" in said
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before


def test_images_that_are_not_read(site, root, tmp_path):
    raw = make_image(tmp_path / "disk.raw", root)
    site.fails("no partition 7; there are: 1 of no known kind, 2 ext4", *of_image(raw, "raw", "--image-partition", "7"))
    site.fails("partition 1 holds nothing known, and only ext4 is read here: mount it read-only yourself",
               *of_image(raw, "raw", "--image-partition", "1"))
    site.fails("no VHD ends here", *of_image(raw, "vhd"))
    site.fails("not a VHD of fixed size", *of_image(to_vhd(raw, tmp_path / "dynamic.vhd", "dynamic"), "vhd"))
    fixed = to_vhd(raw, tmp_path / "fixed.vhd").read_bytes()
    (tmp_path / "cut.vhd").write_bytes(fixed[:1 << 20] + fixed[-512:])
    site.fails("it was cut or put together", *of_image(tmp_path / "cut.vhd", "vhd"))
    for size in (1000, 3 << 20, 20 << 20):
        (tmp_path / "cut.raw").write_bytes(raw.read_bytes()[:size])
        site.fails("cut", *of_image(tmp_path / "cut.raw"))
    site.fails("partitions 2 and 3 both hold a root", *of_image(make_image(tmp_path / "two.raw", root, root)))
    (root / "etc/os-release").unlink()
    (root / "usr/lib/os-release").unlink()
    site.fails("no root file system (etc/os-release) of kind ext4", *of_image(make_image(tmp_path / "none.raw", root)))
    set_needs_recovery(raw, 17 << 20)
    site.fails("was not unmounted, and what its journal holds is not in place yet", *of_image(raw))
    assert not site.store.exists()


@pytest.mark.parametrize("options, text", [
    (("--target-image", "x"), "--target-image and --image-format raw|vhd go together"),
    (("--image-format", "raw"), "--target-image and --image-format raw|vhd go together"),
    (("--target-image", "x", "--image-format", "raw", "--target-root", "/"), "exclude each other"),
    (("--image-partition", "1"), "--image-partition: of --target-image"),
    (("--target-image", "x", "--image-format", "qcow2"), 'image-format: "qcow2": expected raw or vhd'),
])
def test_options_of_an_image(site, options, text):
    done = run("larder", *site.args(*options))
    assert done.returncode == 2 and text in done.stderr, done.stderr


# dnf


@pytest.fixture(name="rpms", scope="module")
def rpms_fixture(tmp_path_factory):
    """The same tree as rpms, in a repository made by createrepo_c; "broken" needs what nobody has."""
    folder = tmp_path_factory.mktemp("rpms")
    tree = {"perf": "verbs >= 1.0", "verbs": "core", "core": "", "alone": "", "broken": "lost"}
    for name, requires in tree.items():
        make_rpm(folder, name, requires)
    command("createrepo_c", "-q", folder)
    return folder


@pytest.fixture(name="dnf_site")
def dnf_site_fixture(tmp_path, rpms):
    """A site whose target "tiny" has that repository, and nothing installed."""
    site = Site(tmp_path / "site")
    repos = site.folder / "tiny.repos.d"
    repos.mkdir()
    (repos / "tiny.repo").write_text(f"[tiny]\nname=tiny\nbaseurl=file://{rpms}/\nenabled=1\ngpgcheck=0\n")
    site.document["repos"]["tiny"] = {"manager": "dnf", "reposdir": "tiny.repos.d", "releasever": "9"}
    site.write(manifest_of(TAKE))
    return site


def test_dnf_takes_what_the_target_lacks(dnf_site, rpms):
    assert names_of(dnf_site.fetch()) == ["core", "perf", "verbs"]
    assert dnf_site.bake() == [f"DEBS/{name}-1.0-1.noarch.rpm" for name in ("core", "perf", "verbs")]
    assert {package["origin"] for package in dnf_site.lock()["closures"]["tiny x86_64: perf"]["packages"]} == {"tiny"}
    assert left_behind(dnf_site) == []
    rpm_database(dnf_site.folder / "rpmdb", next((rpms / "noarch").glob("core-*.rpm")))
    dnf_site.document["repos"]["tiny"]["installed"] = "rpmdb"
    dnf_site.write()
    dnf_site.fails("the lock was made for another installed list", "--frozen")
    assert names_of(dnf_site.fetch()) == ["perf", "verbs"]
    assert dnf_site.fetch("--frozen") == dnf_site.fetch("--offline")


def test_rpms_are_installed_offline(dnf_site, tmp_path):
    """rpm itself finds the closure complete, and names what is left out of it."""
    dnf_site.fetch()
    dnf_site.bake()
    blobs = dnf_site.store / "blobs/sha256"
    files = {package["name"]: blobs / package["sha256"]
             for package in dnf_site.lock()["closures"]["tiny x86_64: perf"]["packages"]}
    install = ["unshare", "-n", "rpm", "--root", str(tmp_path / "root"), "-U"]
    (tmp_path / "root").mkdir()
    poor = subprocess.run([*install, *(files[name] for name in ("core", "perf"))], capture_output=True, text=True,
                          check=False)
    assert poor.returncode != 0 and "verbs >= 1.0 is needed by perf-1.0-1.noarch" in poor.stderr
    command(*install, *files.values())
    assert (tmp_path / "root/usr/share/core/made").read_text() == "core 1.0\n"


def test_dnf_names_what_is_missing(dnf_site):
    dnf_site.write(manifest_of(TAKE | {"packages": ["broken"]}))
    dnf_site.fails("nothing provides lost needed by broken-1.0-1.noarch")
    dnf_site.write(manifest_of(TAKE | {"packages": ["nosuch"]}))
    dnf_site.fails("missing packages: nosuch")


def test_dnf_refuses_what_nobody_proves(dnf_site, server):
    repo = dnf_site.folder / "tiny.repos.d/tiny.repo"
    repo.write_text(f"[tiny]\nname=tiny\nbaseurl={server.url('/repo')}\n")
    dnf_site.fails("repository tiny: plain http, and an index without a signature")
    assert server.requests == []
    repo.write_text("[tiny]\nname=tiny\nbaseurl=file:///nowhere\n")
    dnf_site.fails("closure tiny: dnf: Failed to download metadata for repo 'tiny'")


def test_dnf_believes_a_signed_index(dnf_site, rpms, server, signer, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(rpms, copy)
    key = signer.sign_apart(copy / "repodata/repomd.xml")
    for path in copy.rglob("*"):
        if path.is_file():
            server.answers[f"/repo/{path.relative_to(copy)}"] = Answer(path.read_bytes())
    repo = dnf_site.folder / "tiny.repos.d/tiny.repo"
    repo.write_text(f"[tiny]\nname=tiny\nbaseurl={server.url('/repo')}\ngpgcheck=0\nrepo_gpgcheck=1\ngpgkey=file://{key}\n")
    assert names_of(dnf_site.fetch()) == ["core", "perf", "verbs"]
    server.answers["/repo/repodata/repomd.xml"].data += b"<!-- -->"
    dnf_site.fails("dnf: Failed to download metadata for repo 'tiny'", "--update")


def test_dnf_checks_the_packages_own_signatures(dnf_site, rpms, signer, tmp_path):
    """As RHEL has it: an index that nobody signed, and packages that are; gpgcheck is on unless a file says no."""
    copy = tmp_path / "copy"
    shutil.copytree(rpms, copy)
    key = signer.sign_apart(copy / "repodata/repomd.xml")
    (copy / "repodata/repomd.xml.asc").unlink()
    repo = dnf_site.folder / "tiny.repos.d/tiny.repo"
    text = f"[tiny]\nname=tiny\nbaseurl=file://{copy}\n"
    repo.write_text(text + f"gpgkey=file://{key}\n")
    dnf_site.fails("no good signature by a key that repository tiny names (gpgcheck=1)")
    assert not (dnf_site.folder / "rdma.lock.json").exists()
    for rpm in (copy / "noarch").iterdir():
        command("rpmsign", "--define", "_gpg_name site@example.org", "--define", "__gpg /usr/bin/gpg",
                "--addsign", rpm, env=signer.env)
    command("createrepo_c", "-q", copy)
    assert names_of(dnf_site.fetch()) == ["core", "perf", "verbs"]
    other = tmp_path / "other"
    other.mkdir()
    stranger = Signer(other)
    repo.write_text(text + f"gpgkey=file://{stranger.sign_apart(copy / 'repodata/repomd.xml')}\n")
    dnf_site.fails("no good signature", "--update")
    repo.write_text(text)
    dnf_site.fails("no good signature", "--update")


def rewrite_index(repository, change):
    """Change primary.xml, and repomd.xml so that it fits."""
    for path in (repository / "repodata").glob("*-primary.xml.gz"):
        text = change(gzip.decompress(path.read_bytes()).decode())
        primary = repository / "primary.xml"
        primary.write_text(text)
        path.unlink()
        command("modifyrepo_c", "--mdtype=primary", "--compress-type=gz", primary, repository / "repodata")
        primary.unlink()


def test_dnf_an_index_says_nothing_of_signatures(dnf_site, rpms, signer, tmp_path):
    """A place of a package that goes on in what larder reads behind it: that it need not be signed."""
    copy = tmp_path / "copy"
    shutil.copytree(rpms, copy)
    key = signer.sign_apart(copy / "repodata/repomd.xml")
    (copy / "repodata/repomd.xml.asc").unlink()
    rewrite_index(copy, lambda text: text.replace('.noarch.rpm"', '.noarch.rpm&#9;-&#10;"'))
    (dnf_site.folder / "tiny.repos.d/tiny.repo").write_text(
        f"[tiny]\nname=tiny\nbaseurl=file://{copy}\ngpgkey=file://{key}\n")
    dnf_site.fails("closure tiny: dnf: a package with a control character in what the index says of it")
    assert not (dnf_site.folder / "rdma.lock.json").exists()


def test_dnf_packages_with_other_bytes(dnf_site, rpms, tmp_path):
    """The index says what a package is, also where the repository is a folder."""
    copy = tmp_path / "copy"
    shutil.copytree(rpms, copy)
    (dnf_site.folder / "tiny.repos.d/tiny.repo").write_text(f"[tiny]\nname=tiny\nbaseurl=file://{copy}\ngpgcheck=0\n")
    broken = next((copy / "noarch").glob("core-*.rpm"))
    data = bytearray(broken.read_bytes())
    data[-1] ^= 1
    broken.write_bytes(data)
    dnf_site.fails("core-1.0-1.noarch.rpm: wrong content")


def test_dnf_target_from_a_root(dnf_site, rpms, tmp_path):
    root = tmp_path / "root"
    (root / "etc/yum.repos.d").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=rocky\nVERSION_ID="9.4"\n')
    (root / "var/lib").mkdir(parents=True)
    rpm_database(root / "var/lib/rpm", next((rpms / "noarch").glob("verbs-*.rpm")))
    (root / "etc/yum.repos.d/tiny.repo").write_text(f"[tiny]\nname=tiny\nbaseurl=file://{rpms}/\ngpgcheck=0\n")
    assert names_of(dnf_site.fetch("--target-root", root)) == ["perf"]
    image = make_image(tmp_path / "disk.raw", root)
    assert names_of(dnf_site.fetch("--update", "--target-image", image, "--image-format", "raw")) == ["perf"]


def test_dnf_root_that_leads_out_of_itself(dnf_site, rpms, signer, tmp_path):
    """Its files of repositories and its keys are the root's own, not this host's."""
    root, copy = tmp_path / "root", tmp_path / "copy"
    shutil.copytree(rpms, copy)
    key = signer.sign_apart(copy / "repodata/repomd.xml")
    for path in ("etc/yum.repos.d", "etc/pki", "var/lib/rpm"):
        (root / path).mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=rocky\nVERSION_ID="9.4"\n')
    repo = root / "etc/yum.repos.d/tiny.repo"
    text = f"[tiny]\nname=tiny\nbaseurl=file://{copy}\n"
    repo.symlink_to(dnf_site.folder / "tiny.repos.d/tiny.repo")
    dnf_site.fails("no such folder", "--target-root", root)
    repo.unlink()
    repo.write_text(text + f"gpgkey=file://{key}\n")
    dnf_site.fails(f"file://{root}{key}", "--target-root", root)
    shutil.copy(key, root / "etc/pki/KEY")
    for rpm in (copy / "noarch").iterdir():
        command("rpmsign", "--define", "_gpg_name site@example.org", "--define", "__gpg /usr/bin/gpg",
                "--addsign", rpm, env=signer.env)
    command("createrepo_c", "-q", copy)
    repo.write_text(text + "gpgkey=file:///etc/pki/KEY\n")
    assert names_of(dnf_site.fetch("--target-root", root)) == ["core", "perf", "verbs"]
    (root / "etc/pki/KEY").unlink()
    (root / "etc/pki/KEY").symlink_to(key)
    dnf_site.fails("a key outside of the root", "--target-root", root, "--update")


def test_dnf_mirrors_that_prove_nothing(dnf_site, rpms, server, tmp_path):
    """A list of mirrors leads to plain http: then the packages have to be signed, or the index."""
    for path in rpms.rglob("*"):
        if path.is_file():
            server.answers[f"/repo/{path.relative_to(rpms)}"] = Answer(path.read_bytes())
    mirrors = tmp_path / "mirrors"
    mirrors.write_text(server.url("/repo") + "\n")
    repo = dnf_site.folder / "tiny.repos.d/tiny.repo"
    repo.write_text(f"[tiny]\nname=tiny\nmirrorlist=file://{mirrors}\ngpgcheck=0\n")
    dnf_site.fails("repository tiny: plain http")
    repo.write_text(f"[tiny]\nname=tiny\nmirrorlist=file://{mirrors}\n")
    dnf_site.fails("no good signature")


def test_dnf_believes_no_stranger(dnf_site, rpms, tmp_path):
    """sslverify=0: whoever answers would be believed, as over plain http."""
    (tmp_path / "tls").mkdir()
    with Server(tls_folder=tmp_path / "tls") as server:
        for path in rpms.rglob("*"):
            if path.is_file():
                server.answers[f"/repo/{path.relative_to(rpms)}"] = Answer(path.read_bytes())
        repo = dnf_site.folder / "tiny.repos.d/tiny.repo"
        repo.write_text(f"[tiny]\nname=tiny\nbaseurl={server.url('/repo')}\ngpgcheck=0\nsslverify=0\n")
        dnf_site.fails("dnf: repository tiny: sslverify=0 believes whoever answers")
        assert server.requests == []
        repo.write_text(f"[tiny]\nname=tiny\nbaseurl=file://{rpms}\nsslverify=0\n"
                        f"gpgkey={server.url('/key')}\n")
        dnf_site.fails("dnf: repository tiny: sslverify=0 believes whoever answers")


# A repository inside a vendor's package, as doca-host is one


def take_inside(site, host, glob="usr/share/host-*/repo", packages=("perf",)):
    """The manifest that takes a closure from host, which is pinned."""
    url = f"file://{host}"
    document = manifest_of({"file": "host", "repo": glob, "packages": list(packages), "closure": "tiny", "into": "DEBS"})
    document["files"] = {"host": {"url": url}}
    document["pins"] = {url: {"sha256": hashlib.sha256(host.read_bytes()).hexdigest()}}
    site.write(document)
    return url


def flat_payload(debs, at="usr/share/host-1.0/repo"):
    """A flat repository without a Release, as vendors ship them."""
    files = {f"{at}/{deb.name}": deb.read_bytes() for deb in debs}
    return files | {f"{at}/Packages.gz": gzip.compress(index_of(debs).encode(), mtime=0)}


def dists_payload(debs, at="usr/share/host-1.0/repo"):
    """One suite with one component."""
    index = index_of(debs).replace("Filename: ./", "Filename: pool/")
    files = {f"{at}/pool/{deb.name}": deb.read_bytes() for deb in debs}
    return files | {f"{at}/dists/tiny/main/binary-amd64/Packages": index.encode(),
                    f"{at}/dists/tiny/Release": b"Suite: tiny\nComponents: main\n"}


def vendor(debs, *names):
    """The packages of these names."""
    return [deb for deb in debs if deb.name.split("_")[0] in names]


@pytest.mark.parametrize("payload", [flat_payload, dists_payload])
@pytest.mark.parametrize("make", [make_deb, make_rpm])
def test_a_repository_in_a_file_beside_the_sites_own(site, server, signer, debs, tmp_path, payload, make):
    """perf and verbs come from the vendor's file, core from the site."""
    serve_flat(server, signer, vendor(debs, "core"))
    host = make(tmp_path, "host", payload=payload(vendor(debs, "perf", "verbs", "alone")))
    url = take_inside(site, host)
    result = site.fetch()
    assert names_of(result) == ["core", "perf", "verbs"]
    key = f"tiny x86_64: perf from usr/share/host-*/repo in {url}"
    packages = {package["name"]: package for package in site.lock()["closures"][key]["packages"]}
    assert packages["core"]["url"] == server.url("/repo/core_1.0_amd64.deb")
    assert packages["perf"]["member"].startswith("usr/share/host-1.0/repo/")
    assert packages["perf"]["origin"] == f"inside {host.name}"
    assert site.bake() == [f"DEBS/{name}_1.0_amd64.deb" for name in ("core", "perf", "verbs")]
    assert left_behind(site) == []
    for package in packages.values():
        (site.store / "blobs/sha256" / package["sha256"]).unlink()
    server.answers.pop("/repo/./InRelease")
    assert names_of(site.fetch("--frozen")) == ["core", "perf", "verbs"]


@pytest.mark.parametrize("make", [make_deb, make_rpm])
def test_an_rpm_repository_in_a_file(dnf_site, rpms, tmp_path, make):
    """The site's repository has all; the file has a newer verbs, and dnf takes the newest."""
    newer = tmp_path / "newer"
    newer.mkdir()
    make_rpm(newer, "verbs", "core", version="2.0")
    command("createrepo_c", "-q", newer)
    host = make(tmp_path, "host", payload=below(newer, "usr/share/host-1.0/repo"))
    take_inside(dnf_site, host)
    packages = {package["name"]: package for package in dnf_site.fetch()["closures"][0]["packages"]}
    assert {name: package["version"] for name, package in packages.items()} == {
        "core": "1.0-1", "perf": "1.0-1", "verbs": "2.0-1"}
    assert packages["verbs"]["origin"] == f"inside {host.name}"
    assert "DEBS/verbs-2.0-1.noarch.rpm" in dnf_site.bake()


def test_a_user_who_shares_nothing(site, server, signer, debs, tmp_path):
    """Whatever the umask says, apt reads what larder puts before it."""
    serve_flat(server, signer, vendor(debs, "core"))
    take_inside(site, make_deb(tmp_path, "host", payload=flat_payload(vendor(debs, "perf", "verbs"))))
    prefix = ("sh", "-c", 'umask 077; exec "$@"', "sh")
    assert names_of(site.fetch(prefix=prefix)) == ["core", "perf", "verbs"]


def test_the_repository_in_the_file_is_not_there(site, debs, tmp_path):
    host = make_deb(tmp_path, "host", payload=flat_payload(vendor(debs, "perf")))
    take_inside(site, host, glob="usr/share/hots-*/repo")
    site.fails('no folder that fits "usr/share/hots-*/repo" holds Packages, dists or repodata')
    payload = flat_payload(vendor(debs, "perf")) | flat_payload(vendor(debs, "perf"), "usr/share/host-2.0/repo")
    take_inside(site, make_deb(tmp_path, "host", version="2", payload=payload))
    site.fails("two repositories fit")


def test_a_file_whose_index_lies(site, server, signer, debs, tmp_path):
    serve_flat(server, signer, vendor(debs, "alone"))
    payload = flat_payload(vendor(debs, "perf", "verbs", "core"))
    payload["usr/share/host-1.0/repo/verbs_1.0_amd64.deb"] += b"more"
    take_inside(site, make_deb(tmp_path, "host", payload=payload))
    site.fails("usr/share/host-1.0/repo/verbs_1.0_amd64.deb is not what the index beside it says")
    payload.pop("usr/share/host-1.0/repo/verbs_1.0_amd64.deb")
    take_inside(site, make_deb(tmp_path, "host", version="2", payload=payload))
    site.fails("its index names usr/share/host-1.0/repo/verbs_1.0_amd64.deb, which is not there")


def test_a_missing_package_beside_a_file(site, server, signer, debs, tmp_path):
    serve_flat(server, signer, vendor(debs, "alone"))
    take_inside(site, make_deb(tmp_path, "host", payload=flat_payload(vendor(debs, "perf", "verbs"))))
    site.fails("verbs wants core, but it is not installable")
