"""The drivers of Azure's two InfiniBand extensions and of today's machines: each OS and NIC gets the driver line that its
vendor or its distribution names, out of the shipped manifests, before a byte of them is fetched."""

import json

import pytest

from larder import TOP, run

SITE = TOP / "manifests/site.example.json"
MANIFESTS = sorted((TOP / "manifests").glob("*.json"))  # as people type it: their schema and the site file are passed over

# NIC -> its virtual function as Azure shows it: device, class. One id serves ConnectX-3 and -3 Pro, and one
# ConnectX-6 Dx and all that came later.
NICS = {"cx3pro": ("1004", "0280"), "cx4": ("1014", "0207"), "cx5": ("1018", "0207"), "cx6": ("101C", "0207"),
        "cx7": ("101E", "0207")}

LTS, OFED, DOCA, INBOX, WINOF, WINOF2 = "mlnx-ofed-lts", "mlnx-ofed", "doca-ofed", "rdma", "winof", "winof2"

# OS, version, kernel -> what each NIC gets: NAME VERSION. The versions of the extensions' own table, but where its
# upstream source is a later one of the same line.
MATRIX = [
    ("centos", "7.4", "3.10.0-693.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("centos", "7.5", "3.10.0-862.11.6.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("centos", "7.6", "3.10.0-957.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("centos", "7.7", "3.10.0-1062.1.1.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("centos", "7.8.2003", "3.10.0-1127.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("centos", "7.9.2009", "3.10.0-1160.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("centos", "8.1.1911", "4.18.0-147.el8.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("centos", "8.2.2004", "4.18.0-193.el8.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "7.4", "3.10.0-693.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "7.5", "3.10.0-862.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "7.6", "3.10.0-957.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "7.7", "3.10.0-1062.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "7.8", "3.10.0-1127.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "7.9", "3.10.0-1160.el7.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "8.1", "4.18.0-147.el8.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("rhel", "8.2", "4.18.0-193.el8.x86_64", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("ubuntu", "16.04", "4.15.0-1113-azure", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 5.5-1.0.3.2", "cx6": f"{OFED} 5.5-1.0.3.2"}),
    ("ubuntu", "18.04", "5.4.0-1109-azure", {"cx3pro": f"{LTS} 4.9-4.1.7.0", "cx5": f"{OFED} 23.04-1.1.3.0", "cx6": f"{OFED} 23.04-1.1.3.0"}),
    ("ubuntu", "20.04", "5.4.0-216-generic", {"cx3pro": f"{LTS} 4.9-5.1.0.0", "cx5": f"{OFED} 24.01-0.3.3.1", "cx6": f"{OFED} 24.01-0.3.3.1"}),
    ("windows-server", "2012", "", {"cx3pro": f"{WINOF} 5.65.51000", "cx5": f"{WINOF2} 2.22.50000", "cx6": f"{WINOF2} 2.22.50000"}),
    ("windows-server", "2012R2", "", {"cx3pro": f"{WINOF} 5.65.51000", "cx5": f"{WINOF2} 2.22.50000", "cx6": f"{WINOF2} 2.22.50000"}),
    ("windows-server", "2016", "", {"cx3pro": f"{WINOF} 5.65.51000", "cx5": f"{WINOF2} 26.4.50010", "cx6": f"{WINOF2} 26.4.50010"}),
    ("windows-server", "2019", "", {"cx3pro": f"{WINOF} 5.65.51000", "cx5": f"{WINOF2} 26.4.50010", "cx6": f"{WINOF2} 26.4.50010"}),
    ("windows", "10", "", {"cx3pro": f"{WINOF} 5.65.51000", "cx5": f"{WINOF2} 25.4.50020", "cx6": f"{WINOF2} 25.4.50020"}),
    # today
    ("windows-server", "2022", "", {"cx5": f"{WINOF2} 26.4.50010", "cx6": f"{WINOF2} 26.4.50010", "cx7": f"{WINOF2} 26.4.50010"}),
    ("windows-server", "2025", "", {"cx5": f"{WINOF2} 26.4.50010", "cx6": f"{WINOF2} 26.4.50010", "cx7": f"{WINOF2} 26.4.50010"}),
    ("ubuntu", "22.04", "5.15.0-1089-azure", {"cx5": DOCA, "cx6": DOCA, "cx7": DOCA}),
    ("ubuntu", "24.04", "6.8.0-1062-azure", {"cx5": DOCA, "cx6": DOCA, "cx7": DOCA}),
    ("rhel", "8.10", "4.18.0-553.94.1.el8_10.x86_64", {"cx4": DOCA, "cx5": DOCA, "cx6": DOCA, "cx7": DOCA}),
    ("almalinux", "8.10", "4.18.0-553.94.1.el8_10.x86_64", {"cx5": DOCA, "cx6": DOCA, "cx7": DOCA}),
    ("rocky", "9.7", "5.14.0-611.5.1.el9_7.x86_64", {"cx5": DOCA, "cx6": DOCA, "cx7": DOCA}),
    ("rhel", "9.6", "5.14.0-570.12.1.el9_6.x86_64", {"cx5": DOCA, "cx6": DOCA, "cx7": DOCA}),
    ("ol", "9.7", "5.14.0-611.5.1.el9_7.x86_64", {"cx5": DOCA, "cx6": DOCA, "cx7": DOCA}),
    ("sles", "15.7", "6.4.0-150700.20.3-azure", {"cx5": INBOX, "cx6": INBOX}),
    ("azurelinux", "3.0", "6.6.104.2-1.azl3", {"cx5": INBOX, "cx6": INBOX}),
    ("debian", "12", "6.1.0-40-cloud-amd64", {"cx5": INBOX, "cx6": INBOX}),
]

LIKE = {"centos": "rhel fedora", "rocky": "rhel centos fedora", "almalinux": "rhel centos fedora", "ol": "fedora rhel"}


def device(nic, os_id):
    """What a machine shows of a NIC."""
    number, kind = NICS[nic]
    if os_id.startswith("windows"):
        kind = "0207" if kind == "0280" else kind
        return {"bus": "pci", "address": "7f3a:00:02.0", "modalias": f"PCI\\VEN_15B3&DEV_{number}&CC_{kind}"}
    return {"bus": "pci", "address": "7f3a:00:02.0",
            "modalias": f"pci:v000015B3d0000{number}sv000015B3sd00000000bc{kind[:2]}sc{kind[2:]}i00"}


def machine(os_id, version, kernel, devices, **more):
    """Facts."""
    return {"format": "larder.facts.v1", "family": "windows" if os_id.startswith("windows") else "linux", "os_id": os_id,
            "os_version": version, "os_like": LIKE.get(os_id, ""), "arch": "x86_64", "kernel": kernel, "devices": devices, **more}


def plan(tmp_path, facts, *options):
    """The plan, its exit code, and what it says to people."""
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(facts))
    words = ["plan", *MANIFESTS, "--site", SITE, "--facts", path]
    done = run("larder", *words, "--json")
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout), done.returncode, run("larder", *words, "--explain").stdout


@pytest.mark.parametrize("os_id, version, kernel, nic, wanted", [
    (os_id, version, kernel, nic, wanted) for os_id, version, kernel, row in MATRIX for nic, wanted in row.items()])
def test_resolves(tmp_path, os_id, version, kernel, nic, wanted):
    found, code, _ = plan(tmp_path, machine(os_id, version, kernel, [device(nic, os_id)]))
    assert code == 0, found
    assert found["devices"][0]["bundle"].startswith(wanted + " "), found["devices"][0]


@pytest.mark.parametrize("changes, reason, text", [
    ({"os_id": "fedora", "os_version": "40"}, "os", "nothing for fedora 40"),
    ({"os_id": "ubuntu", "os_version": "14.04"}, "os_version", "not version 14.04"),
    ({"os_id": "ubuntu", "os_version": "16.04", "arch": "aarch64"}, "arch", "not for aarch64"),
    ({"kernel": "5.15.0-1-not-this"}, "kernel", "is not for kernel"),
    ({"os_version": "22.04", "kernel": "5.15.0-1089-azure", "devices": [device("cx3pro", "ubuntu")]}, "no_device",
     "no bundle"),  # OFED dropped ConnectX-3 with 5.1
    ({"devices": []}, "no_device", "no bundle"),
    ({"devices": [], "azure": True}, "hv_services_missing", "VMBus"),
    ({"devices": [{"bus": "pci", "modalias": "pci:v000015B3d00001018sv000015B3sd00000000bc02sc00i00"}]},
     "not_infiniband", "which is Ethernet"),
    ({"os_id": "windows-server", "os_version": "2012R2", "family": "windows", "kernel": "",
      "devices": [{"bus": "pci", "modalias": "PCI\\VEN_15B3&DEV_101E&CC_0207"}]}, "no_device", "no bundle"),
])
def test_does_not_resolve(tmp_path, changes, reason, text):
    facts = {**machine("ubuntu", "18.04", "5.4.0-1109-azure", [device("cx5", "ubuntu")]), **changes}
    found, code, _ = plan(tmp_path, facts)
    assert (code, found["reason"]) == (3, reason), found
    assert text in found["text"] and found["remedy"]


def test_the_story(tmp_path):
    """An HB120rs_v3 with Accelerated Networking: one InfiniBand driver for the one, none for the other, and why."""
    accelnet = {"bus": "pci", "address": "225e:00:02.0", "driver": "mlx5_core", "link_layer": "Ethernet",
                "modalias": "pci:v000015B3d0000101Asv000015B3sd00000127bc02sc00i00"}
    facts = machine("ubuntu", "20.04", "5.15.0-1089-azure", [{**device("cx6", "ubuntu"), "address": "0101:00:00.0"}, accelnet],
                    vm_size="Standard_HB120rs_v3", azure=True)
    found, code, told = plan(tmp_path, facts)
    assert code == 0 and [row["bundle"].split(" ")[0] for row in found["devices"]] == [OFED, ""]
    assert "pci 0101:00:00.0, InfiniBand 15b3:101c\n  mlnx-ofed 24.01-0.3.3.1" in told
    assert "pci 225e:00:02.0, Ethernet 15b3:101a, bound to mlx5_core\n  no bundle: none is for this device" in told
    assert "is not for this function of the NIC, which is Ethernet" in told


def test_two_generations(tmp_path):
    """An NC24rs_v3: one ConnectX-3 function is InfiniBand (class 0280), the other Ethernet."""
    ethernet = {"bus": "pci", "address": "afb6:00:02.0", "driver": "mlx4_core",
                "modalias": "pci:v000015B3d00001004sv000015B3sd000061B0bc02sc00i00"}
    found, _, _ = plan(tmp_path, machine("centos", "7.8.2003", "3.10.0-1127.el7.x86_64",
                                         [ethernet, {**device("cx3pro", "centos"), "address": "86fc:00:02.0"}]))
    assert {row["address"]: row["bundle"].split(" ")[0] for row in found["devices"]} == \
        {"86fc:00:02.0": LTS, "afb6:00:02.0": ""}


def test_two_versions_of_one_stack(tmp_path):
    """A ConnectX-4 and a ConnectX-5, for which DOCA-OFED has two releases: the newer is installed alone, and that is told."""
    found, code, told = plan(tmp_path, machine("rhel", "8.10", "4.18.0-553.94.1.el8_10.x86_64", [
        {**device("cx4", "rhel"), "address": "0101:00:00.0"}, {**device("cx5", "rhel"), "address": "0102:00:00.0"}]))
    assert (code, found["reason"]) == (3, "device")
    assert {row["address"]: row["bundle"].split(" ")[:2] for row in found["devices"]} == \
        {"0101:00:00.0": [""], "0102:00:00.0": [DOCA, "3.2.0"]}
    assert "doca-ofed 2.8.0 el8.10-cx4 is another version of doca-ofed 3.2.0 el8, which comes first" in told


@pytest.mark.parametrize("os_id, version, kernel, modalias", [
    ("centos", "7.6", "3.10.0-957.el7.x86_64", "vmbus:3daf2e8ca732094bab99bd1f1c86b501"),
    ("windows-server", "2016", "", "VMBUS\\{8c2eaf3d-32a7-4b09-ab99-bd1f1c86b501}"),
])
def test_network_direct_has_no_pci_device(tmp_path, os_id, version, kernel, modalias):
    found, code, _ = plan(tmp_path, machine(os_id, version, kernel, [{"bus": "vmbus", "modalias": modalias}]))
    assert code == 0 and found["devices"][0]["bundle"].startswith("network-direct ")
