"""larder bump: a version set anew, byte for byte around it, with its pins and its lock."""

import hashlib
import json

import pytest

from larder import TOP, good, refused, run

SITE = TOP / "manifests" / "site.example.json"


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(name="shelf")
def shelf_fixture(tmp_path):
    """Two versions of a driver, and a manifest of the first, pinned and locked."""
    class Shelf:
        folder, manifest, store = tmp_path, tmp_path / "driver.json", tmp_path / "store"
        lock = tmp_path / "driver.lock.json"

        def url(self, version):
            return f"file://{self.folder}/driver-{version}.bin"

        def bump(self, *args, **options):
            return run("larder", "bump", self.manifest, *args, **options)

    shelf = Shelf()
    for version in ("1.0", "2.0"):
        (tmp_path / f"driver-{version}.bin").write_bytes(version.encode())
    shelf.manifest.write_text(
        '{"format": "larder.manifest.v1",\n\t"name": "driver",\n'
        ' "licence": {"id": "X", "url": "https://example.com/l", "redistribute": "yes", "accept": true},\n'
        f' "files": {{"f": {{"url": "file://{tmp_path}/driver-${{v}}.bin"}}}},\n\n'
        ' "bundles": [{"id": "a", "vars": {"v":   "1.0"}, "version": "${v}", "rank": 1,\n'
        '   "os": ["any"], "arch": ["x86_64"], "kernels": ["*"], "devices": ["pci:v000015B3d00001018sv*"],\n'
        '   "take": [{"file": "f", "into": "."}], "install": [{"do": "load", "modules": ["m"]}]}]}\n')
    good("larder", "fetch", shelf.manifest, "--store", shelf.store, "--pin")
    return shelf


def test_pins_are_written_into_the_text_as_it_stands(shelf):
    text = shelf.manifest.read_text()
    assert '\n\t"name": "driver",\n' in text and '"vars": {"v":   "1.0"}' in text
    assert json.loads(text)["pins"] == {shelf.url("1.0"): {"sha256": digest(b"1.0"), "size": 3}}


def test_without_a_network(shelf):
    before = shelf.manifest.read_text()
    done = shelf.bump("--set", "v=2.0")
    assert (done.returncode, done.stderr) == (0, "")
    for line in ("variable bundles[0].vars.v: 1.0 -> 2.0", "version a: 1.0 -> 2.0", f"gone    {shelf.url('1.0')}",
                 f"new     {shelf.url('2.0')}", f"dropped pin {shelf.url('1.0')}", f"to pin  {shelf.url('2.0')}",
                 "licence X: https://example.com/l - read it again"):
        assert line in done.stdout
    after = shelf.manifest.read_text()
    assert after.split('"pins"')[0] == before.split('"pins"')[0].replace('"v":   "1.0"', '"v":   "2.0"')
    assert json.loads(after)["pins"] == {}
    assert json.loads(shelf.lock.read_text())["files"] == {}
    good("larder", "show", "--expand", shelf.manifest)


def test_with_pin(shelf):
    done = shelf.bump("--set", "v=2.0", "--pin", "--store", shelf.store, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert (report["pinned"], report["to_pin"]) == ([shelf.url("2.0")], [])
    assert f"trust begins here: {shelf.url('2.0')} sha256 {digest(b'2.0')} size 3" in done.stderr
    assert json.loads(shelf.manifest.read_text())["pins"] == {shelf.url("2.0"): {"sha256": digest(b"2.0"), "size": 3}}
    assert list(json.loads(shelf.lock.read_text())["files"]) == [shelf.url("2.0")]
    assert "nothing to fetch" in good("larder", "fetch", shelf.manifest, "--store", shelf.store, "--frozen")


@pytest.mark.parametrize("args, text", [
    (("--set", "v=3.0", "--pin", "--store", "STORE"), "driver-3.0.bin"),
    (("--set", "v=a/b"), "bundles[0].version"),
    (("--set", "v=2.0,w=1"), "no bundle has a variable"),
])
def test_what_fails_changes_nothing(shelf, args, text):
    before = shelf.manifest.read_bytes(), shelf.lock.read_bytes()
    args = [str(shelf.store) if arg == "STORE" else arg for arg in args]
    done = shelf.bump(*args)
    assert done.returncode in (1, 2) and text in done.stderr
    assert (shelf.manifest.read_bytes(), shelf.lock.read_bytes()) == before


def test_a_dry_run_changes_nothing(shelf):
    before = shelf.manifest.read_bytes(), shelf.lock.read_bytes()
    done = shelf.bump("--set", "v=2.0", "--dry-run")
    assert done.returncode == 0 and "1.0 -> 2.0" in done.stdout
    assert (shelf.manifest.read_bytes(), shelf.lock.read_bytes()) == before


def test_nothing_to_change(shelf):
    stamp = shelf.manifest.stat().st_mtime_ns
    assert "nothing to change" in shelf.bump("--set", "v=1.0").stdout
    assert shelf.manifest.stat().st_mtime_ns == stamp


def test_there_and_back_is_the_same_text(tmp_path):
    """Of our own manifests, but for the pins that went."""
    path = tmp_path / "mlnx-ofed.json"
    text = (TOP / "manifests" / "mlnx-ofed.json").read_text()
    path.write_text(text)
    for version in ("24.10-3.2.5.0", "24.01-0.3.3.1"):
        good("larder", "bump", path, "--set", f"v={version}", "--bundle", "ubuntu20.04", "--site", SITE)
    gone = [line for line in text.splitlines() if line not in path.read_text().splitlines()]
    assert len(gone) == 2 and "ubuntu20.04-x86_64.tgz" in gone[0] and "sha256" in gone[1]


def test_wrong_usage(shelf):
    refused("--set NAME=VALUE is needed", "larder", "bump", shelf.manifest, code=2)
    refused("go together", "larder", "bump", shelf.manifest, "--set", "v=1", "--pin", code=2)
    refused("does not go with --dry-run", "larder", "bump", shelf.manifest, "--set", "v=1", "--pin", "--dry-run",
            "--store", "x", code=2)
    refused("no/such", "larder", "bump", "no/such.json", "--set", "v=1")
