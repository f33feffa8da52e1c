"""DKMS for real: compiler, headers, dkms and a driver's source out of the cache, built in the guest without a network."""

import tarfile

import pytest

import guest
import story
from story import bundle_cache, full_root, moment

SOURCE = guest.GUEST_FILES / "dkms-demo"
BUILT = f"/lib/modules/{guest.kernel_release()}/updates/dkms/larder_edu.ko"
LOOK = f"""dkms status 2>/dev/null
readlink /sys/bus/pci/devices/*/driver | grep larder_edu
modinfo -F vermagic {BUILT}
dmesg | grep larder_edu
"""


def dkms_manifest(folder):
    """What a vendor with sources ships, and what it needs on a bare image."""
    release, archive = guest.kernel_release(), folder / "larder-edu.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        for path in sorted(SOURCE.iterdir()):
            out.add(path, path.name)
    return story.write_manifest(folder, "larder-edu", {
        "kernels": [release], "devices": ["pci:v00001234d000011E8sv*sd*bc*sc*i*"],
        "take": [{"packages": ["dkms", f"linux-headers-{release}"], "closure": "debian-12", "into": "DEBS"},
                 {"file": "source", "members": ["*"], "tree": True, "into": "source"}],
        "install": [{"do": "packages", "files": ["DEBS/*.deb"]},
                    {"do": "dkms", "module": "larder-edu", "version": "1.0", "files": ["source"]},
                    {"do": "load", "modules": ["larder_edu"]}],
        "expect": {"driver": "larder_edu"}}, {"source": archive})


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_dkms_without_a_network(made, tmp_path):
    """The image has no compiler; in the end the module is loaded and the device bound."""
    _, _, key, trust = made
    root = full_root(tmp_path, bundle_cache(tmp_path, key, dkms_manifest(tmp_path)), trust)
    assert not (root / "usr/bin/gcc").exists() and not (root / "usr/sbin/dkms").exists()
    guest.add_report(root, "look", LOOK)
    disk = guest.make_disk(root, tmp_path / "disk.raw", size_mib=3072)
    result = guest.boot(disk, nic=None, extra=("-device", "edu"), timeout=1500, wait=1)
    assert result.complete, result.console
    main = moment(result, "main")
    assert (main["state"], main["reason"]) == ("done", "done"), main
    status, driver, vermagic, said = result.text["look"].splitlines()[:4]
    assert status.startswith("larder-edu/1.0, ") and status.endswith("installed"), status
    assert driver.endswith("/larder_edu") and vermagic.split()[0] == guest.kernel_release()
    assert "answers" in result.text["look"], result.text["look"]
    took = [row["at_ms"] / 1000 for row in main["timeline"]]
    print(f"from agent start to done: {took[-1] - took[0]:.0f} s; {said}")
    assert guest.check_disk(disk)[0] == 0
