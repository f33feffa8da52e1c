"""Machines as they were recorded: each is laid out as a sysroot, the agent says its facts, and the shipped manifests answer, device
by device. Figures of files that others published, in a form of our own: os-release files, listings of PCI devices, udev's and
ibv_devinfo's words, Azure's metadata, a pool of KVP, /sys/class/infiniband. Where a recording does not name a kernel or a class, the row has
one of that OS or card."""

import json

import pytest

from larder import good, run
from test_firstboot import device
from test_matrix import DOCA, INBOX, LTS, MANIFESTS, OFED, SITE

EL7, EL8, EL9 = "3.10.0-1160.el7.x86_64", "4.18.0-553.94.1.el8_10.x86_64", "5.14.0-611.5.1.el9_7.x86_64"
EL10 = "6.12.0-55.9.1.el10_0.x86_64"

# Recording, what its os-release says, quoted as there, a kernel of that OS, what an InfiniBand ConnectX-5 gets: NAME VERSION ID, or a reason.
OSES = [
    ("alma_10", 'ID="almalinux" VERSION_ID="10.0" ID_LIKE="rhel centos fedora"', EL10, "os_version"),
    ("alma_8", 'ID="almalinux" VERSION_ID="8.10" ID_LIKE="rhel centos fedora"', EL8, f"{DOCA} 3.2.0 el8"),
    ("alma_9", 'ID="almalinux" VERSION_ID="9.6" ID_LIKE="rhel centos fedora"', "5.14.0-570.12.1.el9_6.x86_64", f"{DOCA} 3.2.2 el9"),
    ("amazon_2", 'ID="amzn" VERSION_ID="2" ID_LIKE="centos rhel fedora"', "5.10.245-241.976.amzn2.x86_64", "no_device"),
    ("amazon_2018", 'ID="amzn" VERSION_ID="2018.03" ID_LIKE="rhel fedora"', "4.14.336-180.566.amzn1.x86_64", "os_version"),
    ("amazon_2023", 'ID="amzn" VERSION_ID="2023" ID_LIKE="fedora"', "6.1.156-177.286.amzn2023.x86_64", "no_device"),
    ("azurelinux_3", 'ID=azurelinux VERSION_ID="3.0"', "6.6.104.2-1.azl3", f"{INBOX} 3.0 azurelinux-3"),
    ("cbl-mariner_2", 'ID=mariner VERSION_ID="2.0"', "5.15.186.1-1.cm2", "os"),
    ("centos_7", 'ID="centos" VERSION_ID="7" ID_LIKE="rhel fedora"', EL7, f"{OFED} 5.5-1.0.3.2 el7.9"),
    ("centos_8", 'ID="centos" VERSION_ID="8" ID_LIKE="rhel fedora"', "4.18.0-193.el8.x86_64", f"{OFED} 5.5-1.0.3.2 el8.2"),
    ("centos_stream_8", 'ID="centos" VERSION_ID="8" ID_LIKE="rhel fedora"', "4.18.0-552.el8.x86_64", f"{INBOX} 8 rhel-8"),
    ("centos_stream_9", 'ID="centos" VERSION_ID="9" ID_LIKE="rhel fedora"', "5.14.0-639.el9.x86_64", f"{INBOX} 9 rhel-9"),
    ("debian_10", 'ID=debian VERSION_ID="10"', "4.19.0-27-amd64", "os_version"),
    ("debian_11", 'ID=debian VERSION_ID="11"', "5.10.0-35-amd64", "os_version"),
    ("debian_12", 'ID=debian VERSION_ID="12"', "6.1.0-40-cloud-amd64", f"{INBOX} 12 debian-12"),
    ("debian_13", 'ID=debian VERSION_ID="13"', "6.12.48+deb13-cloud-amd64", f"{INBOX} 13 debian-13"),
    ("fedora_40", "ID=fedora VERSION_ID=40", "6.14.5-100.fc40.x86_64", "os"),
    ("fedora_41", "ID=fedora VERSION_ID=41", "6.17.4-100.fc41.x86_64", "os"),
    ("fedora_42", "ID=fedora VERSION_ID=42", "6.17.4-200.fc42.x86_64", "os"),
    ("fedora_43", "ID=fedora VERSION_ID=43", "6.17.4-300.fc43.x86_64", "os"),
    ("flatcar", "ID=flatcar VERSION_ID=4459.0.0 ID_LIKE=coreos", "6.12.51-flatcar", "os"),
    ("opensuse_13", 'ID=opensuse VERSION_ID="13.2" ID_LIKE="suse"', "3.16.7-53-default", "os"),
    ("opensuseleap_15", 'ID="opensuse-leap" VERSION_ID="15.6" ID_LIKE="suse opensuse"', "6.4.0-150600.23.73-default", "os"),
    ("opensuseleap_16", 'ID="opensuse-leap" VERSION_ID="16.0" ID_LIKE="suse opensuse"', "6.12.0-160000.5-default", "os"),
    ("opensuseleap_42_3", 'ID=opensuse VERSION_ID="42.3" ID_LIKE="suse"', "4.4.180-102-default", "os"),
    ("opensusetumbleweed", 'ID="opensuse-tumbleweed" VERSION_ID="20240823" ID_LIKE="opensuse suse"', "6.10.5-1-default", "os"),
    ("oracle_7", 'ID="ol" VERSION_ID="7.9" ID_LIKE="fedora"', EL7, f"{OFED} 5.5-1.0.3.2 el7.9"),
    ("oracle_8", 'ID="ol" VERSION_ID="8.7" ID_LIKE="fedora"', "4.18.0-425.3.1.el8.x86_64", f"{OFED} 24.01-0.3.3.1 el8.7"),
    ("oracle_9", 'ID="ol" VERSION_ID="9.1" ID_LIKE="fedora"', EL9, f"{DOCA} 3.2.2 el9"),
    ("redhat_10", 'ID="rhel" VERSION_ID="10.0" ID_LIKE="centos fedora"', EL10, "os_version"),
    ("redhat_7", 'ID="rhel" VERSION_ID="7.5" ID_LIKE="fedora"', "3.10.0-862.el7.x86_64", f"{OFED} 5.5-1.0.3.2 el7.5"),
    ("redhat_8", 'ID="rhel" VERSION_ID="8.10" ID_LIKE="fedora"', EL8, f"{DOCA} 3.2.0 el8"),
    ("redhat_9", 'ID="rhel" VERSION_ID="9.6" ID_LIKE="fedora"', "5.14.0-570.12.1.el9_6.x86_64", f"{DOCA} 3.2.2 el9"),
    ("rocky_8", 'ID="rocky" VERSION_ID="8.9" ID_LIKE="rhel centos fedora"', EL8, f"{DOCA} 3.2.0 el8"),
    ("rocky_9", 'ID="rocky" VERSION_ID="9.3" ID_LIKE="rhel centos fedora"', EL9, f"{DOCA} 3.2.2 el9"),
    ("sled_12_3", 'ID="sled" VERSION_ID="12.3"', "4.4.180-94.100-default", "os"),
    ("sled_15", 'ID="sled" VERSION_ID="15" ID_LIKE="suse"', "4.12.14-150.52-default", "os"),
    ("sles_11", 'ID="sles" VERSION_ID="11.4"', "3.0.101-108.129-default", "os_version"),
    ("sles_12", 'ID="sles" VERSION_ID="12.5"', "4.12.14-122.222-default", "no_device"),
    ("sles_15", 'ID="sles" VERSION_ID="15.7" ID_LIKE="suse"', "6.4.0-150700.20.3-azure", f"{INBOX} 15 sles-15"),
    ("sles_sap_12_0", 'ID="sles_sap" VERSION_ID="12.0.1"', "3.12.74-60.64.124-default", "os"),
    ("sles_sap_12_1", 'ID="sles_sap" VERSION_ID="12.1.0.1"', "3.12.74-60.64.124-default", "os"),
    ("sles_sap_12_2", 'ID="sles_sap" VERSION_ID="12.2"', "4.4.121-92.188-default", "os"),
    ("sles_sap_12_3", 'ID="sles" VERSION_ID="12.3"', "4.4.180-94.100-default", "no_device"),
    ("ubuntu_1404", 'ID=ubuntu VERSION_ID="14.04" ID_LIKE=debian', "4.4.0-148-generic", "os_version"),
    ("ubuntu_1604", 'ID=ubuntu VERSION_ID="16.04" ID_LIKE=debian', "4.15.0-1113-azure", f"{OFED} 5.5-1.0.3.2 ubuntu16.04"),
    ("ubuntu_1804", 'ID=ubuntu VERSION_ID="18.04" ID_LIKE=debian', "5.4.0-1109-azure", f"{OFED} 23.04-1.1.3.0 ubuntu18.04"),
    ("ubuntu_2004", 'ID=ubuntu VERSION_ID="20.04" ID_LIKE=debian', "5.15.0-1089-azure", f"{OFED} 24.01-0.3.3.1 ubuntu20.04"),
    ("ubuntu_2204", 'ID=ubuntu VERSION_ID="22.04" ID_LIKE=debian', "5.15.0-1089-azure", f"{DOCA} 3.2.2 ubuntu22.04"),
    ("ubuntu_2404", 'ID=ubuntu VERSION_ID="24.04" ID_LIKE=debian', "6.8.0-1062-azure", f"{DOCA} 3.2.3 ubuntu24.04"),
    ("ubuntu_2504", 'ID=ubuntu VERSION_ID="25.04" ID_LIKE=debian', "6.14.0-1015-azure", "os_version"),
    ("ubuntu_2510", 'ID=ubuntu VERSION_ID="25.10" ID_LIKE=debian', "6.17.0-1003-azure", "os_version"),
    ("ubuntubudgie_24_04", 'ID=ubuntu VERSION_ID="24.04" ID_LIKE=debian', "6.8.0-1062-azure", f"{DOCA} 3.2.3 ubuntu24.04"),
    ("ubuntumate_24_04", 'ID=ubuntu VERSION_ID="24.04" ID_LIKE=debian', "6.8.0-1062-azure", f"{DOCA} 3.2.3 ubuntu24.04"),
    ("ubuntuunity_22_04", 'ID=ubuntu VERSION_ID="22.04" ID_LIKE=debian', "5.15.0-1089-azure", f"{DOCA} 3.2.2 ubuntu22.04"),
    ("ubuntuunity_24_04", 'ID=ubuntu VERSION_ID="24.04" ID_LIKE=debian', "6.8.0-1062-azure", f"{DOCA} 3.2.3 ubuntu24.04"),
]

# Shorthands of the rows below.
CX3_VF, CX5_VF = "15b3:1004", "15b3:1018"
UBUNTU_16 = 'ID=ubuntu VERSION_ID="16.04" ID_LIKE=debian'
UBUNTU_18 = 'ID=ubuntu VERSION_ID="18.04" ID_LIKE=debian'
UBUNTU_20 = 'ID=ubuntu VERSION_ID="20.04" ID_LIKE=debian'
UBUNTU_22 = 'ID=ubuntu VERSION_ID="22.04" ID_LIKE=debian'
CENTOS_7 = 'ID="centos" VERSION_ID="7" ID_LIKE="rhel fedora"'
NETVSC = "vmbus:635161f83edfc546913ff2d2f965ed0e"
VENDOR_ONLY = "not_infiniband"  # a Mellanox device, and none that a bundle is for

# Recording -> os-release, kernel, devices: (address, vendor:device, class, more), what each gets (address -> NAME VERSION ID, "" for none
# though one is nearly for it; a device that nothing is for is not told), the plan's reason, more of the machine.
MACHINES = {
    "lspci, an EC2 c5n: EFA beside ENA and NVMe": (
        'ID="amzn" VERSION_ID="2" ID_LIKE="centos rhel fedora"', "5.10.245-241.976.amzn2.x86_64",
        [("0000:00:00.0", "8086:1237", "0600", {}), ("0000:00:03.0", "1d0f:1111", "0300", {}), ("0000:00:04.0", "1d0f:8061", "0108", {}),
         ("0000:00:05.0", "1d0f:ec20", "0200", {"driver": "ena"}), ("0000:00:06.0", "1d0f:efa0", "0200", {})],
        {"0000:00:06.0": "efa 1.34.0 alinux2"}, "done", {}),
    "lspci, an NC24rs_v3 with CentOS 7.8: four V100 and a ConnectX-3": (
        CENTOS_7, "3.10.0-1127.el7.x86_64",
        [(f"000{i}:00:00.0", "10de:1db4", "0302", {}) for i in range(1, 5)] + [("86fc:00:02.0", CX3_VF, "0280", {})],
        {"86fc:00:02.0": f"{LTS} 4.9-4.1.7.0 el7.8"}, "done", {"azure": True, "release": "7.8.2003"}),
    "lspci, Accelerated Networking on a ConnectX-3": (
        UBUNTU_18, "5.4.0-1109-azure", [("afb6:00:02.0", CX3_VF, "0200", {})], {"afb6:00:02.0": ""}, VENDOR_ONLY, {"azure": True}),
    "udev's properties of a ConnectX-5 of Accelerated Networking": (
        UBUNTU_20, "5.15.0-1089-azure", [("89a5:00:02.0", CX5_VF, "0200", {"driver": "mlx5_core"})], {"89a5:00:02.0": ""},
        VENDOR_ONLY, {"azure": True}),
    "lspci, a Gen2 VM that shows no PCI device": (UBUNTU_20, "5.15.0-1089-azure", [], {}, "no_device", {"azure": True}),
    "a pool of KVP that holds 162 words of cloud-init and no driver version": (
        UBUNTU_20, "5.15.0-1089-azure", [], {}, "no_device", {"azure": True, "pool": 162}),
    "metadata of an NC24rs_v3 with Ubuntu 20.04": (
        UBUNTU_20, "5.4.0-216-generic", [("86fc:00:02.0", CX3_VF, "0280", {})], {"86fc:00:02.0": f"{LTS} 4.9-5.1.0.0 ubuntu20.04"}, "done",
        {"azure": True, "vm_size": "Standard_NC24rs_v3"}),
    "metadata of a D2_V2 with Ubuntu 16.04": (
        UBUNTU_16, "4.15.0-1113-azure", [], {}, "no_device", {"azure": True, "vm_size": "Standard_D2_V2"}),
    "ibv_devinfo of a ConnectX-5 (part 4120) whose port is InfiniBand": (
        UBUNTU_20, "5.15.0-1089-azure", [("0101:00:02.0", CX5_VF, "0207", {"driver": "mlx5_core", "mlx5_0": ["InfiniBand"]})],
        {"0101:00:02.0": f"{OFED} 24.01-0.3.3.1 ubuntu20.04"}, "done", {"azure": True}),
    "/sys/class/infiniband: an iWARP card that says InfiniBand, and a ConnectX-3 (MT4099) with two ports": (
        CENTOS_7, EL7, [("0000:3d:00.0", "8086:37d2", "0200", {"driver": "i40e", "i40iw0": ["InfiniBand"]}),
                        ("0000:5e:00.0", "15b3:1003", "0207", {"driver": "mlx4_core", "mlx4_0": ["InfiniBand", "InfiniBand"]})],
        {"0000:5e:00.0": f"{LTS} 4.9-4.1.7.0 el7.9"}, "done", {"release": "7.9.2009"}),
    "a session in an Ubuntu 22.04 with two ConnectX-5 of Accelerated Networking": (
        UBUNTU_22, "6.8.0-1029-azure",
        [(address, CX5_VF, "0200", {"driver": "mlx5_core", "subsystem": "15b3:0080"}) for address in ("1a65:00:02.0", "927a:00:02.0")],
        {"1a65:00:02.0": "", "927a:00:02.0": ""}, VENDOR_ONLY, {"azure": True}),
}


def put(root, name, text):
    """A file of the machine."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def lay_out(root, release, kernel):
    """os-release among the lines that stand there beside these, and the kernel."""
    said = release.replace(" VERSION_ID", "\nVERSION_ID").replace(" ID_LIKE", "\nID_LIKE")
    put(root, "etc/os-release", f'# VERSION="0"\nNAME="A name"\n{said}\nPRETTY_NAME="ID=other"\nVARIANT_ID=cloud\n')
    put(root, "proc/sys/kernel/osrelease", kernel + "\n")
    put(root, "proc/sys/kernel/arch", "x86_64\n")
    put(root, f"lib/modules/{kernel}/modules.order", "")


def add_pci(root, address, number, kind, more):
    """A device as sysfs has it; RDMA devices of it with their ports."""
    vendor, part = (int(word, 16) for word in number.split(":"))
    own = [int(word, 16) for word in more.get("subsystem", "0:0").split(":")]
    place = device(root, address, f"pci:v{vendor:08X}d{part:08X}sv{own[0]:08X}sd{own[1]:08X}bc{kind[:2]}sc{kind[2:]}i00",
                   more.get("driver"))
    for name in set(more) - {"driver", "subsystem"}:
        for port, layer in enumerate(more[name], 1):
            put(place, f"infiniband/{name}/ports/{port}/link_layer", layer + "\n")


def add_azure(root):
    """DMI, and the network device of the VMBus."""
    put(root, "sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n")
    put(root, "sys/class/dmi/id/product_name", "Virtual Machine\n")
    put(root, "sys/class/dmi/id/chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n")
    put(root, "sys/bus/vmbus/devices/7c1e5225-55d2-7c1e-5225-55d27c1e5225/modalias", NETVSC + "\n")


def pool(count):
    """Records as cloud-init writes them."""
    return b"".join(f"CLOUD_INIT|1632761091|start|stage/{i}".encode().ljust(512, b"\0") +
                    json.dumps({"type": "start", "name": f"stage/{i}", "ts": "2021-09-27T16:45:10Z"}).encode().ljust(2048, b"\0")
                    for i in range(count))


def answer(root, tmp_path, **more):
    """What the agent says of the machine, and what the manifests have for that."""
    facts = json.loads(good("larder-firstboot", "facts", "--json", "--sysroot", root)) | more
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(facts))
    done = run("larder", "plan", *MANIFESTS, "--site", SITE, "--facts", path, "--json")
    plan = json.loads(done.stdout)
    assert done.returncode == (0 if plan["reason"] == "done" else 3), done.stderr
    return facts, plan


@pytest.mark.parametrize("release, kernel, wanted", [row[1:] for row in OSES], ids=[row[0] for row in OSES])
def test_an_os(tmp_path, release, kernel, wanted):
    root = tmp_path / "root"
    lay_out(root, release, kernel)
    add_pci(root, "0101:00:02.0", CX5_VF, "0207", {})
    facts, plan = answer(root, tmp_path)
    assert all(facts[key] and facts[key] in release for key in ("os_id", "os_version")), facts
    assert facts["kernel"] == kernel and facts["kernels"] == [kernel]
    if " " in wanted:
        assert [row["bundle"] for row in plan["devices"]] == [wanted], plan["text"]
    else:
        assert (plan["reason"], plan["devices"]) == (wanted, []), plan
        assert plan["text"] and plan["remedy"]


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine(tmp_path, name):
    release, kernel, devices, wanted, reason, more = MACHINES[name]
    root = tmp_path / "root"
    lay_out(root, release, kernel)
    for row in devices:
        add_pci(root, *row)
    if more.get("azure"):
        add_azure(root)
    if "release" in more:
        put(root, "etc/redhat-release", f"CentOS Linux release {more['release']} (Core)\n")
    if "pool" in more:
        put(root, "var/lib/hyperv/.kvp_pool_0", pool(more["pool"]))
    facts, plan = answer(root, tmp_path, **{key: more[key] for key in ("vm_size",) if key in more})
    assert {row["address"] for row in facts["devices"] if row["bus"] == "pci"} == {row[0] for row in devices}
    assert {row["address"]: row["bundle"] for row in plan["devices"]} == wanted, plan
    assert plan["reason"] == reason and facts["nd_version"] == "" and facts["azure"] == more.get("azure", False)
    assert all(row["reason"] == reason and row["text"] for row in plan["devices"] if not row["bundle"])
