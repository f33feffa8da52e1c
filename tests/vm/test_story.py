"""The main story in real guests: a driver from the cache, and everything that must not be used."""

import json
import shutil

import pytest

import guest
import story

RUN_EARLY = "/usr/libexec/larder/larder-firstboot run --early\n"


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """One folder with the NIC cache: (folder, cache, key, trust)."""
    folder = tmp_path_factory.mktemp("story")
    return (folder, *story.nic_cache(folder))


def full_root(tmp_path, cache, trust):
    """A Debian root without e1000e, with a cache embedded."""
    root = guest.make_root(tmp_path / "root")
    story.embed(cache, trust, root)
    return root


def tiny_root(tmp_path, cache, trust, script=RUN_EARLY):
    """The same for a guest of three seconds, where a script is the whole boot."""
    root = guest.make_tiny_root(tmp_path / "tiny")
    story.embed(cache, trust, root)
    guest.write(root, "test.sh", script)
    return root


def copy_cache(made, tmp_path):
    """A cache that a test may break."""
    return shutil.copytree(made[1], tmp_path / "cache")


def swap_cache(root, cache):
    """What an attacker with write access to the image's cache can do, and nothing else."""
    place = root / "usr/lib/larder/cache"
    shutil.rmtree(place)
    shutil.copytree(cache, place)


def moment(result, name):
    """What status.json says of a moment, with the console where it does not."""
    found = story.moments(result.report.get("status"))
    assert name in found, result.console
    return found[name]


def assert_nothing_installed(result):
    """No module, no driver, no link."""
    assert not any("larder" in path for path in result.report["updates"])
    assert "e1000e" not in result.drivers.values()
    assert not result.ipv4


def test_hit_then_idle(made, tmp_path):
    """First boot: link, address and ping through a driver that only the cache had. Second: idle."""
    _, cache, _, trust = made
    disk = guest.make_disk(full_root(tmp_path, cache, trust), tmp_path / "disk.raw")
    first = guest.boot(disk)
    assert first.complete and first.pinged, first.console
    early = moment(first, "early")
    assert (early["state"], early["reason"], early["code"]) == ("done", "done", 0)
    events = [row["event"] for row in early["timeline"]]
    for event in ("agent start", "cache verified", "module installed", "device bound", "carrier"):
        assert event in events, events
    assert first.report["updates"] and first.report["cycles"] == []
    assert first.report["online"] == "inactive"
    assert first.unit("larder-early.service")["StatusText"].startswith("early: done (done, exit 0)")
    assert guest.check_disk(disk)[0] == 0
    second = guest.boot(disk)
    assert second.complete and second.pinged, second.console
    assert moment(second, "early")["state"] == "idle"
    assert moment(second, "main")["state"] == "idle"
    assert second.report["failed"] == [] and second.report["state"] == "running"


def test_cache_removed(made, tmp_path):
    """No cache: no link, the reason says why, and the boot completes."""
    _, cache, _, trust = made
    root = full_root(tmp_path, cache, trust)
    shutil.rmtree(root / "usr/lib/larder/cache")
    result = guest.boot(guest.make_disk(root, tmp_path / "disk.raw"))
    assert result.complete, result.console
    assert_nothing_installed(result)
    for name in ("early", "main"):
        found = moment(result, name)
        assert (found["reason"], found["code"]) == ("not_carried", 14)
        assert "/usr/lib/larder/cache" in found["text"] and found["remedy"]
    assert result.unit("multi-user.target")["ActiveState"] == "active"
    assert result.unit("larder-early.service")["ExecMainStatus"] == "14"


def package_manifest(folder):
    """A real package, whose script starts services, for the guest's second NIC."""
    bundle = {"id": "packages", "version": "1", "rank": 50, "os": ["debian:12"], "arch": ["x86_64"],
              "kernels": ["*"], "devices": ["pci:v00001AF4d00001000sv*sd*bc02sc*i*"],
              "take": [{"packages": ["rdma-core", "libnl-3-200"], "into": "DEBS"}],
              "install": [{"do": "packages", "files": ["DEBS/*.deb"]}],
              "expect": {"driver": "virtio-pci"}}
    manifest = folder / "rdma.json"
    manifest.write_text(json.dumps({
        "format": "larder.manifest.v1", "name": "debian-rdma", "template": {}, "bundles": [bundle],
        "licence": {"id": "GPL-2.0-only", "url": "https://spdx.org/licenses/GPL-2.0-only.html",
                    "redistribute": "yes", "accept": False}}))
    return manifest


def test_packages_in_the_main_moment(made, tmp_path):
    """dpkg runs scripts that start services while the boot goes on: no deadlock, installed."""
    folder, _, key, trust = made
    manifest, site = package_manifest(tmp_path), story.write_site(tmp_path)
    story.fetch(manifest, site)
    cache = story.bake(manifest, site, tmp_path / "cache", "--key", key)
    root = full_root(tmp_path, cache, trust)
    guest.add_report(root, "package", "dpkg-query -W -f '${Status}\\n' rdma-core; "
                                      "systemctl show rdma-hw.target -p LoadState")
    result = guest.boot(guest.make_disk(root, tmp_path / "disk.raw"), nic="virtio-net-pci")
    assert result.complete, result.console
    main = moment(result, "main")
    assert (main["state"], main["reason"]) == ("done", "done"), main
    assert "install ok installed" in result.text["package"]
    assert "LoadState=loaded" in result.text["package"]
    assert result.report["state"] == "running", result.report["failed"]
    assert moment(result, "early")["reason"] == "done"


def test_hit_in_the_tiny_guest(made, tmp_path):
    """The harness itself: what the next tests refuse is accepted when nobody touched it."""
    _, cache, _, trust = made
    result = guest.boot_tiny(tiny_root(tmp_path, cache, trust))
    assert result.code["test"] == 0, result.console
    assert "e1000e" in result.drivers.values() and result.pinged


def test_one_byte_of_a_blob_flipped(made, tmp_path):
    """Refused before anything is installed."""
    _, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust)
    story.flip_byte(story.largest_blob(root / "usr/lib/larder/cache"))
    result = guest.boot_tiny(root, wait=1)
    assert result.code["test"] == 14, result.console
    assert moment(result, "early")["reason"] == "damaged"
    assert_nothing_installed(result)


def test_signed_by_another_key(made, tmp_path):
    """A whole and well signed cache, but not by a key of this machine's trust root."""
    folder, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust)
    other, _ = story.make_trust(tmp_path, "other")
    foreign = story.bake(folder / "debian-nic.json", folder / "site.json", tmp_path / "foreign",
                         "--key", other)
    swap_cache(root, foreign)
    result = guest.boot_tiny(root, wait=1)
    assert result.code["test"] == 14, result.console
    assert moment(result, "early")["reason"] == "untrusted"
    assert_nothing_installed(result)


def test_older_than_the_floor(made, tmp_path):
    """Genuine, but the image's floor is higher."""
    _, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust)
    guest.write(root, "etc/larder/floor", "7\n")
    result = guest.boot_tiny(root, wait=1)
    assert result.code["test"] == 14, result.console
    assert moment(result, "early")["reason"] == "serial"
    assert_nothing_installed(result)


def test_a_nic_that_no_bundle_covers(made, tmp_path):
    """Code 11 and a reason that names the cache's lack, not a crash."""
    _, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust)
    guest.remove_modules(root, "8139*.ko")
    result = guest.boot_tiny(root, nic="rtl8139", wait=1)
    assert result.code["test"] == 11, result.console
    assert moment(result, "early")["reason"] == "no_device"
    assert_nothing_installed(result)


def test_early_on_a_full_disk(made, tmp_path):
    """No room for staging: said so, and nothing half installed."""
    _, cache, _, trust = made
    script = ("mkdir -p /var/lib/larder && mount -t tmpfs -o size=64k,mode=700 x /var/lib/larder\n"
              + RUN_EARLY)
    result = guest.boot_tiny(tiny_root(tmp_path, cache, trust, script), wait=1)
    assert result.code["test"] == 14, result.console
    assert moment(result, "early")["reason"] == "no_space"
    assert_nothing_installed(result)


def test_power_cut_while_installing(made, tmp_path):
    """A run that was killed leaves nothing that stops the next one."""
    _, cache, _, trust = made
    script = ("/usr/libexec/larder/larder-firstboot run --early & pid=$!\n"
              "sleep 0.03; kill -9 $pid; wait $pid\n" + RUN_EARLY)
    result = guest.boot_tiny(tiny_root(tmp_path, cache, trust, script))
    assert result.code["test"] == 0, result.console
    assert "e1000e" in result.drivers.values()

