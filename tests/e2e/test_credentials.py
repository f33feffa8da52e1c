"""Credentials of the site file: told to the hosts that it names, and to nobody and nothing else."""

import base64
import hashlib
import json
import shutil

import pytest

from closures import Signer, Site, make_deb, manifest_of, names_of, serve_flat
from server import Answer, Server

SECRET = "hush-hush-7391"
BASIC = "Basic " + base64.b64encode(f"builder:{SECRET}".encode()).decode()
DATA = b"driver " * 100


@pytest.fixture(name="server")
def server_fixture():
    """A server that has one file."""
    with Server() as server:
        server.answers["/nic.bin"] = Answer(DATA)
        yield server


def pinned(url):
    """A manifest that takes one file."""
    document = manifest_of({"file": "nic", "into": "DEBS"})
    document["files"] = {"nic": {"url": url}}
    document["pins"] = {url: {"sha256": hashlib.sha256(DATA).hexdigest(), "size": len(DATA)}}
    return document


@pytest.fixture(name="site")
def site_fixture(tmp_path, server):
    """A site with a login for 127.0.0.1 in a netrc beside it."""
    site = Site(tmp_path / "site")
    (site.folder / "secrets").mkdir()
    (site.folder / "secrets/netrc").write_text(f"machine 127.0.0.1 login builder password {SECRET}\n")
    site.document["credentials"] = [{"host": "127.0.0.1", "netrc": "secrets/netrc"}]
    site.write(pinned(server.url("/nic.bin")))
    return site


def told(server):
    """What each request said, path -> Authorization or None."""
    return {request.path: request.headers.get("Authorization") for request in server.requests}


def check_nowhere(site, said=""):
    """No file that fetch wrote, and no word that it said, holds the secret or its spelling in base64."""
    words = (SECRET, BASIC.split()[1])
    assert not any(word in said for word in words)
    for path in site.folder.rglob("*"):
        if path.is_file() and "secrets" not in path.parts and path.suffix != ".sh":
            assert not any(word.encode() in path.read_bytes() for word in words), path


def script(site, text):
    """A header_command beside the site file."""
    path = site.folder / "token.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    site.document["credentials"] = [{"host": "127.0.0.1", "header_command": ["./token.sh", "a b"]}]
    site.write()


def test_a_login_is_told_to_its_host(site, server):
    site.fetch()
    assert told(server) == {"/nic.bin": BASIC}
    check_nowhere(site)


def test_other_hosts_hear_nothing(site, server):
    site.document["credentials"][0]["host"] = "127.0.0.2"
    site.write()
    site.fetch()
    assert told(server) == {"/nic.bin": None}


def test_a_redirect_takes_nothing_along(site, server):
    """Another port is another origin, though the host is named."""
    with Server() as other:
        other.answers["/there.bin"] = Answer(DATA)
        server.answers["/nic.bin"] = Answer(redirect=other.url("/there.bin"))
        site.fetch()
        assert told(server) == {"/nic.bin": BASIC}
        assert told(other) == {"/there.bin": None}


def test_a_redirect_within_the_origin(site, server):
    server.answers["/there.bin"] = Answer(DATA)
    server.answers["/nic.bin"] = Answer(redirect="/there.bin")
    site.fetch()
    assert told(server) == {"/nic.bin": BASIC, "/there.bin": BASIC}


def test_a_login_for_a_mirror(site, server):
    """It belongs to the host that is asked; the canonical URL stays what is written down."""
    site.document["mirrors"] = [{"prefix": "https://vendor.example/", "use": server.url("/")}]
    site.write(pinned("https://vendor.example/nic.bin"))
    site.fetch()
    assert told(server) == {"/nic.bin": BASIC}
    assert list(site.lock()["files"]) == ["https://vendor.example/nic.bin"]


def test_a_command_gives_headers_once(site, server):
    script(site, f'echo run >> ran; echo "Authorization: Bearer {SECRET}"; echo "x-version: $1"')
    document = pinned(server.url("/nic.bin"))
    second = server.url("/second.bin")
    server.answers["/second.bin"] = Answer(DATA)
    document["files"]["two"] = {"url": second}
    document["pins"][second] = document["pins"][server.url("/nic.bin")]
    document["bundles"][0]["take"].append({"file": "two", "into": "DEBS"})
    site.write(document)
    site.fetch()
    assert told(server) == dict.fromkeys(("/nic.bin", "/second.bin"), f"Bearer {SECRET}")
    assert {request.headers["x-version"] for request in server.requests} == {"a b"}
    assert (site.folder / "ran").read_text() == "run\n"
    check_nowhere(site)


@pytest.mark.parametrize("text, said", [
    (f"echo {SECRET}", 'header_command ./token.sh: expected lines "Name: value"'),
    (f"echo 'A: {SECRET}'; exit 3", "header_command ./token.sh: ended with code 3"),
    ("true", "header_command ./token.sh: printed nothing"),
    (f"printf 'A: {SECRET}\\001\\n'", 'expected lines "Name: value"'),
])
def test_commands_that_fail(site, server, text, said):
    script(site, text)
    check_nowhere(site, site.fails(said))
    assert server.requests == []


@pytest.mark.parametrize("netrc, said", [
    (None, "netrc"),
    (f"machine elsewhere login a password {SECRET}", "no login for 127.0.0.1"),
    (f"machine 127.0.0.1 pass {SECRET}", "not in the form of a netrc file"),
])
def test_a_netrc_that_does_not_serve(site, server, netrc, said):
    path = site.folder / "secrets/netrc"
    path.write_text(netrc) if netrc else path.unlink()
    check_nowhere(site, site.fails(f"credentials for 127.0.0.1: "))
    assert said in site.fails(said) and server.requests == []


def test_no_login_over_plain_http(site):
    site.document["credentials"][0]["host"] = "nexus.invalid"
    site.write(pinned("http://nexus.invalid/nic.bin"))
    site.fails("credentials for nexus.invalid would go over plain http")


def add_repository(site, server, folder):
    """The closure of a package, out of a signed repository for apt on this server."""
    signer, deb = Signer(folder), make_deb(folder, "perf")
    serve_flat(server, signer, [deb])
    (site.folder / "tiny.list").write_text(f"deb {server.url('/repo')} ./\n")
    shutil.copy(signer.keyring, site.folder / "site.gpg")
    site.document["repos"]["tiny"] = {"manager": "apt", "sources": "tiny.list", "keyring": "site.gpg",
                                      "installed": "target.status"}
    site.write(manifest_of({"packages": ["perf"], "closure": "tiny", "into": "DEBS"}))


def test_a_login_for_a_repository(site, tmp_path):
    """apt's index and larder's own downloads, over TLS with the site's own certificate."""
    with Server(tmp_path) as server:
        add_repository(site, server, tmp_path)
        result = site.fetch(env={"SSL_CERT_FILE": str(server.certificate)})
        assert names_of(result) == ["perf"]
        assert told(server)["/repo/./InRelease"] == told(server)["/repo/perf_1.0_amd64.deb"] == BASIC
        check_nowhere(site, json.dumps(result))


def test_a_command_is_not_left_out_in_silence(site, server, tmp_path):
    """apt takes no headers: that is said before it asks a host without them."""
    add_repository(site, server, tmp_path)
    script(site, f'touch ran; echo "Authorization: Bearer {SECRET}"')
    site.fails("closure tiny: credentials for 127.0.0.1: a header_command, but apt, which fetches the index from there, "
               "takes none: give that host a netrc")
    assert server.requests == [] and not (site.folder / "ran").exists() and not site.store.exists()
    site.document["credentials"][0]["host"] = "elsewhere"
    site.write()
    assert names_of(site.fetch()) == ["perf"]


@pytest.mark.parametrize("credential", [{"netrc": "secrets/netrc"}, {"header_command": ["true"]}])
def test_dnf_takes_no_login_but_its_own(site, server, credential):
    repos = site.folder / "repos"
    repos.mkdir()
    text = f"[tiny]\nname=tiny\nbaseurl={server.url('/rpms')}\ngpgcheck=0\nrepo_gpgcheck=1\n"
    (repos / "tiny.repo").write_text(text)
    site.document["repos"]["tiny"] = {"manager": "dnf", "reposdir": "repos", "releasever": "9"}
    site.document["credentials"] = [{"host": "127.0.0.1"} | credential]
    site.write(manifest_of({"packages": ["perf"], "closure": "tiny", "into": "RPMS"}))
    site.fails("repository tiny: the site file's credentials name its host, but dnf, which fetches the index, takes "
               "neither a netrc nor a header_command: give the repository username= and password=")
    assert server.requests == []
    (repos / "tiny.repo").write_text(text + f"username=builder\npassword={SECRET}\n")
    site.fails("Failed to download metadata")
    assert {request.path for request in server.requests} == {"/rpms/repodata/repomd.xml"}
    assert set(told(server).values()) == {BASIC}
