"""larder coverage --image-root: what a cache carries, held against the image that it is for; and coverage of manifests."""

import json

import pytest

from larder import KERNEL, Workshop, good, refused, run
from made_ko import made_ko
from page import Page
from test_coverage import coverage, image, wanted
from test_loadable import CLOSURE, HEADERS, MODULE, NEEDS, STATUS, deb, headers, put, symvers
from test_loadable import real  # noqa: F401  pylint: disable=unused-import

UNFORCED = "CONFIG_MODULES=y\n# CONFIG_MODULE_SIG_FORCE is not set\n"
CONFIG = f"boot/config-{KERNEL}"
KNOWN = {HEADERS: symvers(NEEDS), CONFIG: UNFORCED}
MISSING = "not installable without a repository; missing: "


def shop_of(folder, files, step, more=None):
    """A cache with one bundle of these files."""
    shop = Workshop(folder / "shop", {f"vendor/nic.{name}": data for name, data in files.items()})

    def change(document):
        document["template"] |= {"early": False}
        document["bundles"][0]["install"] = [step]
        if more:
            more(document)
    shop.write_manifest(change)
    shop.bake()
    return shop


def modules(folder, **files):
    """A cache whose bundle is modules."""
    return shop_of(folder, files, {"do": "modules", "files": ["nic/*.ko*"]})


def packages(folder, debs):
    """A cache whose bundle is packages."""
    files = {f"{name}.deb": deb(folder / "made", name, more) for name, more in debs.items()}
    return shop_of(folder, files, {"do": "packages", "files": ["nic/*.deb"]})


def root_of(folder, files=None, kernels=(KERNEL,)):
    """An image."""
    root = image(folder / "root", *kernels)
    put(root, files or {})
    return root


def one(shop, root, *options, code=0):
    """The one cell."""
    document = coverage(shop.cache, "--image-root", root, "--nic", "8086:10d3", *options, code=code)
    assert len(document["cells"]) == 1
    return document["cells"][0]


def test_a_module_that_fits(tmp_path):
    cell = one(modules(tmp_path, ko=MODULE), root_of(tmp_path, KNOWN))
    assert (cell["state"], cell["compared"], cell["reason"]) == ("carried", True, "done")
    assert cell["text"] == f"nic/nic.ko: vermagic and 3 symbols fit kernel {KERNEL}"


OTHER_VERMAGIC = made_ko("6.1.0-2-test", {}, flags="SMP mod_unload ").replace(b"__versions", b"__nothing_")


@pytest.mark.parametrize("module, files, options, reason, text", [
    (OTHER_VERMAGIC, KNOWN, (), "kernel", f"it was built for kernel 6.1.0-2-test, not for {KERNEL}"),
    (MODULE, {HEADERS: symvers(NEEDS | {"_printk": 1})}, (), "kernel", "the version of symbol _printk differs"),
    (MODULE, KNOWN, ("--secure-boot",), "secure_boot", "it has no signature, and Secure Boot is on"),
    (MODULE, KNOWN | {CONFIG: "x\nCONFIG_MODULE_SIG_FORCE=y\n"}, (), "module_unsigned", "it has no signature"),
    (b"no module", KNOWN, (), "step_failed", "no kernel module"),
])
def test_a_module_that_would_not_load(tmp_path, module, files, options, reason, text):
    """A gap of the image build, in all three forms; and the cache alone cannot know it."""
    shop, page = modules(tmp_path, ko=module), tmp_path / "page.html"
    root = root_of(tmp_path, files)
    cell = one(shop, root, *options, "--html", page, code=3)
    assert (cell["state"], cell["reason"], cell["compared"]) == ("miss", reason, False)
    assert text in cell["text"] and cell["bundles"] == ["nic 1.0 nic"] and cell["devices"] and cell["remedy"]
    told = run("larder", "coverage", shop.cache, "--image-root", root, "--nic", "8086:10d3", *options).stdout
    assert f"1  {reason}: nic/nic.ko: " in told
    assert Page(page.read_text()).cells[0]["state"] == "miss" and text in page.read_text()
    alone = coverage(shop.cache, "--nic", "8086:10d3")["cells"][0]
    assert (alone["state"], alone["compared"], alone["text"]) == ("carried", False, "")


def test_where_nothing_can_be_compared(tmp_path):
    """No headers, no modules of the kernel's own: it stays carried, and each form says that it was not compared."""
    shop, page = modules(tmp_path, ko=MODULE), tmp_path / "page.html"
    root = root_of(tmp_path)
    cell = one(shop, root, "--html", page)
    assert (cell["state"], cell["compared"]) == ("carried", False)
    assert "3 of 3 symbol versions were not compared" in cell["text"]
    told = good("larder", "coverage", shop.cache, "--image-root", root, "--nic", "8086:10d3")
    assert "carried 1" in told and "\n1  not compared: nic/nic.ko: " in told
    assert "1 carried (1 of them not compared with an image)" in told
    assert "not compared (1)" in Page(page.read_text()).cells[0]["text"]


def test_each_kernel_of_the_image_is_asked(tmp_path):
    """Of two installed kernels the module fits one."""
    def both(document):
        document["template"]["kernels"] = ["6.1.*"]
    shop = shop_of(tmp_path, {"ko": MODULE}, {"do": "modules", "files": ["nic/*.ko"]}, both)
    newer = HEADERS.replace(KERNEL, "6.1.0-2-test")
    root = root_of(tmp_path, KNOWN | {newer: symvers(NEEDS | {"register_netdev": 0xb})}, (KERNEL, "6.1.0-2-test"))
    document = coverage(shop.cache, "--image-root", root, "--nic", "8086:10d3", code=3)
    assert {c["kernel"]: (c["state"], c["reason"]) for c in document["cells"]} == \
        {KERNEL: ("carried", "done"), "6.1.0-2-test": ("miss", "kernel")}


def test_debian_s_own_module_and_two_of_its_kernels(tmp_path, real):  # noqa: F811
    """e1000e of Debian's kernel, in an image that has that kernel and its cloud flavour, each with its headers."""
    release, cloud, module, _ = real

    def both(document):
        document["template"]["kernels"] = [release, cloud]
    shop = shop_of(tmp_path, {"ko": module}, {"do": "modules", "files": ["nic/*.ko"]}, both)
    unforced = {f"boot/config-{name}": UNFORCED for name in (release, cloud)}
    root = root_of(tmp_path, headers(real, release) | headers(real, cloud) | unforced, (release, cloud))
    document = coverage(shop.cache, "--image-root", root, "--nic", "8086:10d3", code=3)
    cells = {cell["kernel"]: cell for cell in document["cells"]}
    assert (cells[release]["state"], cells[release]["compared"]) == ("carried", True), cells[release]
    assert f"symbols fit kernel {release}" in cells[release]["text"]
    assert (cells[cloud]["state"], cells[cloud]["reason"]) == ("miss", "kernel")
    assert "the version of symbol" in cells[cloud]["text"] and cells[cloud]["devices"]


@pytest.mark.parametrize("left_out, text", [("helper", "helper for app"), ("base", "base (>= 1) for app")])
def test_packages_that_lack_one(tmp_path, left_out, text):
    debs = {name: more for name, more in CLOSURE.items() if name != left_out}
    root = root_of(tmp_path, {"var/lib/dpkg/status": STATUS})
    cell = one(packages(tmp_path, debs), root, code=3)
    assert (cell["state"], cell["reason"], cell["text"]) == ("miss", "step_failed", MISSING + text)
    assert "closure" in cell["remedy"]
    assert {p.name for p in (root / "var/lib/dpkg").iterdir()} == {"status"}  # nothing was changed


def test_packages_that_lack_nothing(tmp_path):
    shop = packages(tmp_path, CLOSURE)
    root = root_of(tmp_path, {"var/lib/dpkg/status": STATUS})
    cell = one(shop, root)
    assert (cell["state"], cell["compared"], cell["text"]) == ("carried", True, "installable without a repository")
    (root / "var/lib/dpkg/status").unlink()
    cell = one(shop, root)
    assert (cell["state"], cell["compared"]) == ("carried", False) and "no list of dpkg" in cell["text"]


def test_what_another_bundle_brings(tmp_path):
    """A bundle that is required is installed first: its packages count."""
    def alone(document):
        document["bundles"][0]["take"][0]["members"] = ["*/nic.app.deb"]
    debs = {f"{name}.deb": deb(tmp_path / "made", name, more) for name, more in CLOSURE.items()}
    shop = shop_of(tmp_path, debs, {"do": "packages", "files": ["nic/*.deb"]}, alone)
    root = root_of(tmp_path, {"var/lib/dpkg/status": STATUS})
    assert one(shop, root, code=3)["text"] == MISSING + "base (>= 1) for app, helper for app"
    document, needed = json.loads(shop.manifest.read_text()), shop.folder / "base.json"
    document["template"].pop("rank")
    document["bundles"][0] |= {"rank": 50, "requires": ["base"]}
    shop.manifest.write_text(json.dumps(document))
    document["name"] = "base"
    document["bundles"][0].pop("requires")
    document["bundles"][0]["rank"] = 10
    document["bundles"][0]["take"][0]["members"] = ["*/nic.base.deb", "*/nic.helper.deb"]
    needed.write_text(json.dumps(document))
    words = (shop.manifest, needed, "--store", shop.store)
    good("larder", "fetch", *words)
    good("larder", "bake", *words, "--cache", shop.cache, "--unsigned")
    cell = one(shop, root)
    assert (cell["state"], cell["compared"]) == ("carried", True), cell
    assert cell["bundles"] == ["base 1.0 nic", "nic 1.0 nic"]


def test_a_damaged_blob_is_no_answer(tmp_path):
    shop = modules(tmp_path, ko=MODULE)
    for blob in (shop.cache / "blobs/sha256").iterdir():
        if not blob.read_bytes().startswith(b"{"):
            blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    cell = one(shop, root_of(tmp_path, KNOWN), code=3)
    assert (cell["state"], cell["reason"]) == ("miss", "damaged")


# manifests


def test_of_manifests(tmp_path):
    """Before a byte is fetched: what they offer, and nothing is held against an image yet."""
    shop = Workshop(tmp_path / "shop")
    words = (shop.manifest, "--nic", "8086:10d3", "--os", "debian:12")
    document = coverage(*words, "--kernel", f"{KERNEL},6.9.9", code=3)
    assert {c["kernel"]: (c["state"], c["reason"], c["compared"]) for c in document["cells"]} == \
        {KERNEL: ("carried", "done", False), "6.9.9": ("miss", "kernel", False)}
    assert document["name"] == "manifests"
    cell = coverage(shop.manifest, "--nic", "8086:10d3", "--image-root", root_of(tmp_path))["cells"][0]
    assert (cell["state"], cell["text"]) == ("carried", "nothing of the manifests is fetched yet")
    shop.write_manifest(lambda document: document["template"].update(kernels=["@site-kernels"]))
    refused("site-kernels", "larder", "coverage", *words)
    site = tmp_path / "site.json"
    site.write_text(json.dumps({"format": "larder.site.v1", "sets": {"site-kernels": [KERNEL]}}))
    assert coverage(*words, "--site", site)["counts"]["carried"] == 1
    refused("expected one cache, or manifests alone", "larder", "coverage", tmp_path, tmp_path, code=2)


def test_what_an_image_refuses_is_wanted(tmp_path):
    """A module for another kernel is a driver that the image lacks."""
    gaps = tmp_path / "gaps.json"
    gaps.write_text(json.dumps(coverage(modules(tmp_path, ko=OTHER_VERMAGIC).cache, "--image-root",
                                        root_of(tmp_path, KNOWN), "--nic", "8086:10d3", code=3)))
    items, _ = wanted(tmp_path, "--from-coverage", gaps)
    assert [(i["nic"], i["kernel"], i["reason"]) for i in items] == [("8086:10d3", KERNEL, "kernel")]
