"""RDMA for real: packages whose scripts start services, and soft RoCE over the NIC whose driver came from the cache."""

import re

import pytest

import guest
import story
from story import bundle_cache, full_root, moment

NAMES = ["rdma-core", "ibverbs-utils", "perftest"]
BANDWIDTH = r"^ *65536 +([1-9]\d*) +\S+ +(\d+\.\d+) "  # its MB/s are 0.00 where its clock test fails, on a busy host

# rxe: RDMA over Ethernet by the kernel alone; its checksum is a module that it asks for by name. Server and
# client are this machine, by its own address.
MEASURE = """
. /usr/lib/guest/report-lib.sh
nic=$(for name in $(net_names); do [ "$(driver_of /sys/class/net/$name/device)" != e1000e ] || echo $name; done)
rdma link add rxe0 type rxe netdev $nic && rdma link
ibv_devinfo -d rxe0
address=$(ip -o -4 addr show dev $nic | awk '{ split($4, part, "/"); print part[1] }')
ib_write_bw -d rxe0 -x 1 -F -D 2 >/run/server 2>&1 &
for try in 1 2 3 4 5; do
	sleep 1
	ib_write_bw -d rxe0 -x 1 -F -D 2 "$address" && break
done
"""


def rdma_manifest(folder):
    """rdma-core and what it needs, and rxe out of the kernel's package, for the guest's second NIC."""
    modules = sorted("*/" + path.removeprefix("kernel/") for path in guest.closure(("rdma_rxe", "crc32_generic")))
    release = guest.kernel_release()
    return story.write_manifest(folder, "debian-rdma", {
        "kernels": [release], "devices": ["pci:v00001AF4d00001000sv*sd*bc02sc*i*"],
        "take": [{"packages": NAMES, "closure": "debian-12", "into": "DEBS"},
                 {"packages": [f"linux-image-{release}"], "members": modules, "into": "modules"}],
        "install": [{"do": "packages", "files": ["DEBS/*.deb"]},
                    {"do": "modules", "files": ["modules/*.ko"]},
                    {"do": "load", "modules": ["ib_uverbs", "rdma_rxe"]}],
        "expect": {"driver": "virtio-pci"}})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_rdma_over_the_nic_from_the_cache(made, tmp_path):
    """Early: the NIC's driver. Main: dpkg, whose scripts start services while the boot goes on. Then bytes are written."""
    _, _, key, trust = made
    cache = bundle_cache(tmp_path, key, story.bring_manifest(tmp_path), rdma_manifest(tmp_path))
    root = full_root(tmp_path, cache, trust)
    guest.add_report(root, "package", f"dpkg-query -W -f '${{Status}}\\n' {' '.join(NAMES)}; "
                                      "systemctl show rdma-hw.target -p LoadState; dpkg --audit")
    guest.add_report(root, "measure", MEASURE)
    disk = guest.make_disk(root, tmp_path / "disk.raw")
    result = guest.boot(disk, nic=("e1000e", "virtio-net-pci"), timeout=400)
    assert result.complete, result.console
    for name in ("early", "main"):
        found = moment(result, name)
        assert (found["state"], found["reason"]) == ("done", "done"), found
    assert "e1000e" in result.drivers.values()
    assert result.text["package"].splitlines() == ["install ok installed"] * len(NAMES) + ["LoadState=loaded"]
    assert result.report["state"] == "running", result.report["failed"]
    found = re.search(BANDWIDTH, result.text["measure"], re.MULTILINE)
    assert found, result.text["measure"]
    print(f"ib_write_bw over rxe over e1000e: {found[1]} messages, {found[2]} MB/s; main moment took "
          f"{(main_end(result) - main_start(result)):.1f} s")
    assert guest.check_disk(disk)[0] == 0


def main_start(result):
    """Seconds of the guest's uptime."""
    return int(result.unit("larder-firstboot.service")["ExecMainStartTimestampMonotonic"]) / 1e6


def main_end(result):
    return int(result.unit("larder-firstboot.service")["ExecMainExitTimestampMonotonic"]) / 1e6
