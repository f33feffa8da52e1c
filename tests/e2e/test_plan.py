"""larder plan: the agent's decision, made somewhere else from a machine's facts; and requires, excludes, likeness."""

import copy
import json

import pytest

from larder import DEVICE, KERNEL, Workshop, good, run
from test_firstboot import ADDRESS, device, firstboot, installed, make_root, only_files

CX6 = "pci:v000015B3d0000101Csv000015B3sd00000019bc02sc07i00"
ACCELNET = "pci:v000015B3d0000101Csv000015B3sd00000019bc02sc00i00"


def facts_of(folder, **changes):
    """A machine written by hand."""
    facts = {"format": "larder.facts.v1", "family": "linux", "os_id": "debian", "os_version": "12", "arch": "x86_64",
             "kernel": KERNEL, "devices": [{"bus": "pci", "address": ADDRESS, "modalias": DEVICE}], **changes}
    path = folder / "facts.json"
    path.write_text(json.dumps(facts))
    return path


def planned(*words, code=0):
    """The JSON of a plan."""
    done = run("larder", "plan", *words, "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def bundle(document, **changes):
    """One more bundle, like the first."""
    made = copy.deepcopy(document["bundles"][0])
    made.update(changes)
    document["bundles"].append(made)


@pytest.fixture
def shop(tmp_path):
    made = Workshop(tmp_path / "shop")
    made.write_manifest(only_files)
    made.bake()
    return made


def test_the_same_as_in_the_machine(shop, tmp_path):
    root = make_root(tmp_path / "root")
    device(root, "b2c3:00:02.0", CX6)
    (root / "lib/modules/6.9.0-1-other").mkdir(parents=True)
    (root / "lib/modules/6.9.0-1-other/modules.order").touch()
    shop.embed(root)
    facts = tmp_path / "facts.json"
    facts.write_text(good("larder-firstboot", "facts", "--json", "--sysroot", root))
    there = json.loads(run("larder-firstboot", "plan", "--json", "--sysroot", root).stdout)
    here = planned(shop.cache, "--facts", facts)
    ours = [row for row in there["devices"] if row["address"] == ADDRESS]
    assert [(row["bundle"], row["considered"]) for row in ours] == \
        [(row["bundle"], row["considered"]) for row in here["devices"]]
    assert here["devices"][0]["bundle"] == "nic 1.0 nic" and here["devices"][0]["carried"]
    # the kernel that is installed beside the one that runs has no driver here, and both say so
    assert here["kernels_without"] == there["kernels_without"]
    assert [row["kernel"] for row in here["kernels_without"]] == ["6.9.0-1-other"]
    text = good("larder", "plan", shop.cache, "--facts", facts)
    assert "warning: kernel 6.9.0-1-other is installed too" in text


def test_before_anything_is_fetched(shop, tmp_path):
    """Manifests alone answer, and a kernel they do not name is told."""
    assert planned(shop.manifest, "--facts", facts_of(tmp_path))["devices"][0]["bundle"] == "nic 1.0 nic"
    missed = planned(shop.manifest, "--facts", facts_of(tmp_path, kernel="6.9.9"), code=3)
    assert missed["reason"] == "kernel" and "is not for kernel 6.9.9" in missed["text"] and missed["remedy"]
    assert "no bundle: nic 1.0 nic is not for kernel 6.9.9" in run(
        "larder", "plan", shop.manifest, "--facts", facts_of(tmp_path, kernel="6.9.9"), "--explain").stdout


def test_a_slice_that_does_not_carry_it(shop, tmp_path):
    cut = shop.cache
    for path in (cut / "blobs/sha256").iterdir():
        if not path.read_bytes().startswith(b"{"):
            path.unlink()
    missed = planned(cut, "--facts", facts_of(tmp_path), code=3)
    assert missed["reason"] == "not_carried" and missed["devices"][0]["reason"] == "not_carried"
    assert "(not carried)" in run("larder", "plan", cut, "--facts", facts_of(tmp_path)).stdout


@pytest.mark.parametrize("change, text", [
    ({"format": "larder.facts.v0"}, "format: expected"),
    ({"hostname": "x"}, "hostname"),
    ({"devices": [{"bus": "pci"}]}, "devices[0]"),
    ({"kernel": "a b"}, "kernel: expected a kernel release"),
])
def test_facts_that_are_none(shop, tmp_path, change, text):
    done = run("larder", "plan", shop.cache, "--facts", facts_of(tmp_path, **change))
    assert done.returncode == 1 and "facts.json" in done.stderr and text in done.stderr


def test_accelerated_networking_gets_no_infiniband(tmp_path):
    """The same NIC twice in one machine: one function is InfiniBand, the other is the machine's Ethernet."""
    made = Workshop(tmp_path / "shop")

    def infiniband(document):
        only_files(document)
        document["bundles"][0].update(devices=["pci:v000015B3d0000101Csv*sd*bc02sc07i*"], id="ofed")
        bundle(document, id="older", version="0.9")
    made.write_manifest(infiniband)
    facts = facts_of(tmp_path, devices=[{"bus": "pci", "address": "0101:00:00.0", "modalias": CX6},
                                        {"bus": "pci", "address": "225e:00:02.0", "modalias": ACCELNET,
                                         "driver": "mlx5_core"}])
    both = planned(made.manifest, "--facts", facts)["devices"]
    assert [row["bundle"] for row in both] == ["nic 1.0 ofed", ""]
    assert [[view["rule"] for view in row["considered"]] for row in both] == [["won", "version"], ["class", "class"]]
    told = good("larder", "plan", made.manifest, "--facts", facts, "--explain")
    assert told == """\
pci 0101:00:00.0, InfiniBand 15b3:101c
  nic 1.0 ofed: rank 50, the best that fits
  not nic 0.9 older: an older version than nic 1.0 ofed
pci 225e:00:02.0, Ethernet 15b3:101c, bound to mlx5_core
  no bundle: none is for this device
  not nic 1.0 ofed: is not for this function of the NIC, which is Ethernet
  not nic 0.9 older: is not for this function of the NIC, which is Ethernet
"""
    alone = facts_of(tmp_path, devices=[{"bus": "pci", "address": "225e:00:02.0", "modalias": ACCELNET}])
    assert planned(made.manifest, "--facts", alone, code=3)["reason"] == "not_infiniband"


def test_an_os_that_is_like_another(tmp_path):
    made = Workshop(tmp_path / "shop")
    made.write_manifest(lambda document: document["template"].update(os=["rhel:9"], like=True))
    rocky = facts_of(tmp_path, os_id="rocky", os_version="9.3", os_like="rhel centos fedora")
    assert planned(made.manifest, "--facts", rocky)["devices"][0]["bundle"] == "nic 1.0 nic"
    made.write_manifest(lambda document: document["template"].update(os=["rhel:9"]))
    missed = planned(made.manifest, "--facts", rocky, code=3)
    assert missed["reason"] == "os" and "not for OSes like its own, such as rocky" in missed["text"]


def test_secure_boot(tmp_path):
    made = Workshop(tmp_path / "shop")
    made.write_manifest(lambda document: document["template"].update(secure_boot="off"))
    assert planned(made.manifest, "--facts", facts_of(tmp_path, secure_boot="off"))["reason"] == "done"
    assert planned(made.manifest, "--facts", facts_of(tmp_path, secure_boot="on"), code=3)["reason"] == "secure_boot"


def needing(tmp_path, breaks=False):
    """A machine whose driver needs another bundle first; that one may fail."""
    def change(document):
        only_files(document)
        document["template"]["rank"] = 60
        document["bundles"][0]["requires"] = ["base"]
    base = Workshop(tmp_path / "base")
    base.write_manifest(lambda document: (only_files(document), document.update(name="base"),
                                          document["bundles"][0]["install"][0].update(
                                              into="/etc/base" if not breaks else "/etc/os-release/x")))
    made = Workshop(tmp_path / "shop")
    made.write_manifest(change)
    key = made.keys()
    for one in (made, base):
        good("larder", "fetch", one.manifest, "--store", made.store)
    good("larder", "bake", made.manifest, base.manifest, "--store", made.store, "--cache", made.cache, "--key", key)
    root = make_root(tmp_path / "root")
    made.embed(root)
    return root


def test_what_is_required_is_installed_first(tmp_path):
    root = needing(tmp_path)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), status
    assert installed(root) and (root / "etc/base/nic.conf").exists()
    told = [event for event in (root / "var/log/larder.log").read_text().splitlines() if "files installed" in event]
    assert "base" in told[0] and "nic 1.0" in told[1], told


def test_what_is_required_fails_and_nothing_is_begun(tmp_path):
    root = needing(tmp_path, breaks=True)
    code, status = firstboot(root)
    assert code == 14 and not installed(root), status
    assert "needs base 1.0 nic, which failed" in json.dumps(status)
