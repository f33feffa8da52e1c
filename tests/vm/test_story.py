"""The main story in real guests: a driver from the cache, and everything that must not be used."""

import json
import shutil

import pytest

import guest
import story
from story import RUN_EARLY, full_root, moment, tiny_root


def copy_cache(made, tmp_path):
    """A cache that a test may break."""
    return shutil.copytree(made[1], tmp_path / "cache")


def swap_cache(root, cache):
    """What an attacker with write access to the image's cache can do, and nothing else."""
    place = root / "usr/lib/larder/cache"
    shutil.rmtree(place)
    shutil.copytree(cache, place)


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
    for event in ("agent start", "cache verified", "module installed", "device bound"):
        assert event in events, events
    assert "carrier" in [row["event"] for row in moment(first, "main")["timeline"]], first.console
    assert first.report["updates"] and first.report["cycles"] == []
    assert first.unit("larder-net.path")["ActiveState"] == "active" and first.report["online"] == "inactive"
    assert first.unit("larder-early.service")["StatusText"].startswith("early: done (done, exit 0)")
    assert guest.check_disk(disk)[0] == 0
    second = guest.boot(disk)
    assert second.complete and second.pinged, second.console
    story.assert_rested(moment(second, "early"))
    story.assert_rested(moment(second, "main"))
    assert second.report["failed"] == [] and second.report["state"] == "running"


@pytest.mark.slow
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


def test_hit_in_the_tiny_guest(made, tmp_path):
    """The harness itself: what the next tests refuse is accepted when nobody touched it."""
    _, cache, _, trust = made
    result = guest.boot_tiny(tiny_root(tmp_path, cache, trust))
    assert result.code["test"] == 0, result.console
    assert "e1000e" in result.drivers.values() and result.pinged


def volume(cache, place):
    """A disk that begins with the cache's tar; old bytes follow it."""
    tar = place.with_suffix(".tar")
    story.larder("copy", cache, tar)
    place.write_bytes(tar.read_bytes() + b"\xa5" * ((1 << 20) - tar.stat().st_size % 512))
    return place


def test_miss_in_the_image_and_hit_on_a_second_disk(made, tmp_path):
    """The image has the statement and no blobs of the driver; a disk that is only attached has them."""
    _, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust)
    story.largest_blob(root / "usr/lib/larder/cache").unlink()
    missed = guest.boot_tiny(root, wait=1, log=tmp_path / "missed.console")
    assert missed.code["test"] == 14 and moment(missed, "early")["reason"] == "not_carried", missed.console
    result = guest.boot_tiny(root, disks=[volume(cache, tmp_path / "disk")])
    assert result.code["test"] == 0, result.console
    assert "e1000e" in result.drivers.values() and result.pinged


def test_a_second_disk_that_nobody_trusts(made, tmp_path):
    """A newer cache by another key on a disk: said, and the image's own serves as without the disk."""
    folder, cache, _, trust = made
    root = tiny_root(tmp_path, cache, trust)
    other, _ = story.make_trust(tmp_path, "other")
    foreign = story.bake(folder / "debian-nic.json", folder / "site.json", tmp_path / "foreign",
                         "--key", other, "--serial", "99")
    result = guest.boot_tiny(root, disks=[volume(foreign, tmp_path / "disk")])
    assert result.code["test"] == 0, result.console
    assert "e1000e" in result.drivers.values() and result.pinged
    early = moment(result, "early")
    assert "volume vda" in str(early["timeline"]), early
    assert result.report["status"]["statement"]["serial"] == 1


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

