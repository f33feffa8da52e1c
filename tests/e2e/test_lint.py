"""larder lint: our own manifests are clean, and what upstream lists got wrong is found."""

import json

import pytest

from larder import TOP, good, refused, run

MANIFESTS = sorted((TOP / "manifests").glob("*.json"))
SITE = TOP / "manifests" / "site.example.json"


def lint(*args, code=0):
    done = run("larder", "lint", "--json", *args)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def kinds(document):
    return sorted({finding["kind"] for finding in document["findings"]})


@pytest.fixture(name="manifest")
def manifest_fixture(tmp_path):
    """Write a manifest of one bundle, changed by a function."""
    def write(change=lambda document: None, name="m.json"):
        url = "https://example.com/driver-1.0.tgz"
        document = {
            "format": "larder.manifest.v1", "name": "driver",
            "licence": {"id": "MIT", "url": "https://example.com/l", "redistribute": "yes", "accept": False},
            "files": {"f": {"url": url}}, "pins": {url: {"sha256": "a" * 64}},
            "template": {"version": "1.0", "rank": 50, "os": ["ubuntu:24.04"], "arch": ["x86_64"], "kernels": ["*"],
                         "take": [{"file": "f", "into": "."}],
                         "install": [{"do": "packages", "files": ["*.deb"]}]},
            "bundles": [{"id": "a", "devices": ["pci:v000015B3d0000101Csv*sd*bc02sc07i*"]}]}
        change(document)
        path = tmp_path / name
        path.write_text(json.dumps(document, indent=1))
        return path
    return write


def move(document, url, digest="a" * 64):
    document["files"]["f"]["url"] = url
    document["pins"] = {url: {"sha256": digest}} if digest else {}


def test_our_manifests_have_no_fault():
    document = lint(*MANIFESTS)
    assert document["clean"] and document["faults"] == 0
    assert kinds(document) == ["to-pin"]
    assert document["manifests"] == len(MANIFESTS) - 2  # schema.json and site.example.json are none
    assert document["to_pin"] == len(document["findings"])
    for finding in document["findings"]:
        assert set(finding) == {"kind", "file", "at", "text", "remedy"}
        assert all(finding.values())


def test_what_has_no_pin_counts_only_where_it_is_asked_for():
    assert lint("--strict", *MANIFESTS, code=3)["faults"] == 0


def test_a_good_manifest(manifest):
    assert lint(manifest())["findings"] == []
    assert good("larder", "lint", manifest()) == "1 manifest: 0 faults, 0 files to pin\n"


# What lists in the wild hold: Azure/azhpc-images' versions.json and azhpc-extensions' resources.json.
PLACEHOLDER = "34e826fea03d6505b50909959ed029282a6238c75830fbe5b2bc15442cf8f8b5"
OFED = "https://content.mellanox.com/ofed/MLNX_OFED-24.01-0.3.3.1/MLNX_OFED_LINUX-24.01-0.3.3.1-rhel8.7-x86_64.tgz"


def azurelinux_has_a_file_for_rhel(document):
    document["template"]["os"] = ["azurelinux:3"]
    move(document, "https://www.mellanox.com/downloads/DOCA/DOCA_v2.7.0/host/doca-host-2.7.0-209000_24.04_rhel87.x86_64.rpm")


def ubuntu_has_a_file_for_an_older_one(document):
    move(document, "https://www.mellanox.com/downloads/DOCA/DOCA_v3.3.0/host/doca-host_3.3.0-088000-26.01-ubuntu2204_amd64.deb")


def arm_has_a_file_for_intel(document):
    document["template"]["arch"] = ["aarch64"]
    move(document, "https://example.com/doca-host_3.2.2-035000-25.10-ubuntu2404_amd64.deb")


def a_digest_stands_in_for_another(document):
    other = "https://example.com/mlnx-ofa_kernel-24.10-20.x86_64.rpm"
    document["template"]["os"] = ["almalinux:8.7", "rocky:8.7"]
    move(document, OFED, PLACEHOLDER)
    document["files"]["g"] = {"url": other}
    document["pins"][other] = {"sha256": PLACEHOLDER}
    document["template"]["take"].append({"file": "g", "into": "g"})


def plain_http_without_a_digest(document):
    move(document, "http://content.mellanox.com/ofed/MLNX_OFED-5.5-1.0.3.2/"
                   "MLNX_OFED_LINUX-5.5-1.0.3.2-ubuntu24.04-x86_64.tgz", None)


def a_token_in_a_url(document):
    move(document, "https://store.blob.core.windows.net/x/driver.tgz?sig=SECRET")


def a_password_in_a_pin(document):
    document["pins"] = {"https://me:SECRET@example.com/driver-1.0.tgz": {"sha256": "a" * 64}}


def a_pin_for_nothing(document):
    document["pins"]["https://example.com/driver-0.9.tgz"] = {"sha256": "b" * 64}


def an_installer_that_flashes(document):
    document["template"]["install"] = [{"do": "exe", "file": "MLNX_WinOF2-26_4_50010_All_x64.exe",
                                        "command_line": "/S /v\"/qn /norestart\"", "ok": [0]}]


def a_command_in_a_shell(document):
    document["template"]["install"] = [{"do": "command", "argv": ["/bin/sh", "-c", "curl example.com | sh"]}]


def two_of_one_rank(document):
    document["bundles"].append({"id": "b", "devices": ["pci:v000015B3d0000101Csv*"]})


def one_that_never_wins(document):
    document["bundles"].append({"id": "b", "rank": 60, "devices": ["pci:v000015B3d*sv*sd*bc02sc07i*"]})


def an_unknown_key(document):
    document["bundles"][0]["devcies"] = []


@pytest.mark.parametrize("change, kind, at", [
    (azurelinux_has_a_file_for_rhel, "target", "bundles[0]"),
    (ubuntu_has_a_file_for_an_older_one, "target", "bundles[0]"),
    (arm_has_a_file_for_intel, "target", "bundles[0]"),
    (a_digest_stands_in_for_another, "pin-copied", 'pins["https://example.com/mlnx-ofa_kernel-24.10-20.x86_64.rpm"]'),
    (plain_http_without_a_digest, "http", "files.f.url"),
    (a_token_in_a_url, "secret", "files.f.url"),
    (a_password_in_a_pin, "secret", "pins (URL 1)"),
    (a_pin_for_nothing, "pin-unused", 'pins["https://example.com/driver-0.9.tgz"]'),
    (an_installer_that_flashes, "firmware", "template.install[0]"),
    (a_command_in_a_shell, "shell", "template.install[0]"),
    (two_of_one_rank, "overlap", "bundles[1]"),
    (one_that_never_wins, "unreachable", "bundles[0]"),
    (an_unknown_key, "invalid", "bundles[0].devcies"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_fault_is_found_with_its_place_and_remedy(manifest, change, kind, at):
    path = manifest(change)
    document = lint(path, code=3)
    finding = document["findings"][0]
    assert (finding["kind"], finding["at"], finding["file"]) == (kind, at, str(path))
    assert finding["remedy"] and finding["text"]
    text = run("larder", "lint", path)
    assert text.returncode == 3
    assert f"{path}: {at}: {kind}: {finding['text']}" in text.stdout
    assert f"    remedy: {finding['remedy']}" in text.stdout
    assert "SECRET" not in text.stdout + text.stderr + json.dumps(document)


def test_two_manifests_are_held_against_each_other(manifest):
    paths = manifest(), manifest(lambda document: document.update(name="other"), "n.json")
    finding, = lint(*paths, code=3)["findings"]
    assert (finding["kind"], finding["file"]) == ("overlap", str(paths[1]))
    assert str(paths[0]) in finding["text"]


def test_a_site_file_among_the_operands_serves(manifest):
    path = manifest(lambda document: document["template"].update(kernels=["@site-kernels"]))
    assert kinds(lint(path, code=3)) == ["invalid"]
    assert lint(path, SITE)["clean"]
    assert lint("--site", SITE, path)["clean"]
    assert lint("--site", SITE, SITE, path)["clean"]


def test_several_invalid_bundles_are_all_told(manifest):
    def break_both(document):
        document["bundles"] = [{"id": "a/b", "devices": ["pci:v000015B3*"]}, {"id": "b", "devices": ["*"]}]
    assert [finding["at"] for finding in lint(manifest(break_both), code=3)["findings"]] == \
        ["bundles[0].id", "bundles[1].devices[0]"]


def test_what_is_no_json(tmp_path):
    path = tmp_path / "broken.json"
    path.write_text("{\n")
    finding, = lint(path, code=3)["findings"]
    assert (finding["kind"], finding["file"]) == ("invalid", str(path))
    assert not finding["text"].startswith(str(path))


def test_wrong_usage(tmp_path):
    refused("no/such.json", "larder", "lint", "no/such.json")
    refused("expected FILE", "larder", "lint", code=2)
    other = tmp_path / "site.json"
    other.write_text(SITE.read_text())
    refused("two site files", "larder", "lint", SITE, other, code=2)


def families():
    """Our manifests, as they stand."""
    documents = [json.loads(path.read_text()) for path in MANIFESTS]
    return [document for document in documents if document.get("format") == "larder.manifest.v1"]


def test_every_row_has_its_source():
    lines = (TOP / "docs" / "manifests.md").read_text().splitlines()
    for document in families():
        told = " ".join(line for line in lines if line.startswith(f"| {document['name']} "))
        for bundle in document["bundles"]:
            words = told.replace(",", " ").replace("(", " ").split()
            ident = bundle["id"].removesuffix("-arm64") if document["name"] == "efa" else bundle["id"]
            assert ident in words, (document["name"], bundle["id"])


def test_excludes_are_mutual():
    excludes = {}
    for document in families():
        flat = json.loads(good("larder", "show", "--expand", TOP / "manifests" / f"{document['name']}.json",
                               "--site", SITE))
        excludes[document["name"]] = {name for bundle in flat["bundles"] for name in bundle.get("excludes", [])}
    for name, others in excludes.items():
        for other in others:
            assert name in excludes[other], (name, other)


def test_infiniband_drivers_claim_no_ethernet():
    """Not even what Accelerated Networking shows: class 0200 of vendor 15b3."""
    for document in families():
        if document["name"] not in ("mlnx-ofed", "mlnx-ofed-lts", "doca-ofed", "rdma", "winof", "winof2"):
            continue
        for name, devices in document["sets"].items():
            for device in devices:
                if device.startswith("pci:"):
                    assert device.endswith(("bc02sc07i*", "bc02sc80i*")), (name, device)
                elif device.startswith("PCI"):
                    assert device.endswith(("&CC_0207*", "&CC_0280*")), (name, device)
