"""larder coverage and larder wanted: which machines a cache serves, and what to get for the others."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from larder import KERNEL as NIC_KERNEL
from larder import Workshop, good, refused, run
from page import CHROMIUM, STATES, Page, Picture, browse, caption_of, contrast, numbers, place_of, places_page
from test_firstboot import firstboot, make_root
from test_select import KERNEL, OTHER, Family

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from made import make  # noqa: E402

VF = "pci:v000015B3d00001018sv000015B3sd00000003bc02sc07i00"
SOURCE = "https://mirror.lan/larder"


@pytest.fixture
def family(tmp_path, monkeypatch):
    """Three bundles, baked; and slices of them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "notes"))
    (tmp_path / "family").mkdir()
    made = Family(tmp_path / "family")
    made.fetch()
    made.bake()
    return made


def with_site(family, **site):
    """The cache, baked anew with a site file."""
    path = family.folder / "site.json"
    path.write_text(json.dumps({"format": "larder.site.v1"} | site))
    family.bake("--site", path)
    return family.cache


def coverage(cache, *options, code=0):
    """The document."""
    done = run("larder", "coverage", cache, *options, "--json")
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def states(document):
    """(os, kernel, NIC, size) -> state, or state and reason."""
    return {(c["os"], c["kernel"], c["nic"], c["size"]):
            c["state"] if c["state"] == "carried" else (c["state"], c["reason"]) for c in document["cells"]}


ASKED = ("--os", "debian:12", "--kernel", KERNEL, "--nic", "15b3:1018")
CELL = ("debian:12", KERNEL, "15b3:1018", "")


def test_carried(family, tmp_path):
    document = coverage(family.cache, *ASKED)
    assert states(document) == {CELL: "carried"}
    assert document["counts"] == {"carried": 1, "download": 0, "miss": 0}
    assert document["cells"][0]["bundles"] == ["nics 1.0 cx5"]
    good("larder", "copy", family.cache, tmp_path / "x.tar")
    assert coverage(tmp_path / "x.tar", *ASKED) == document


@pytest.mark.parametrize("options, cell, reason", [
    (["--kernel", OTHER], ("debian:12", OTHER, "15b3:1018", ""), "kernel"),
    (["--os", "debian:13"], ("debian:13", KERNEL, "15b3:1018", ""), "os_version"),
    (["--os", "debian:13", "--nic", "15b3:1013"], ("debian:13", KERNEL, "15b3:1013", ""), "os_version"),
    (["--nic", "15b3:1013"], ("debian:12", KERNEL, "15b3:1013", ""), "no_device"),
    (["--nic", "cx5"], ("debian:12", KERNEL, "cx5", ""), "no_device"),
    (["--os", "ubuntu:22.04", "--nic", "15b3:101c", "--size", "St_D2"], ("ubuntu:22.04", KERNEL, "15b3:101c", "St_D2"),
     "vm_size"),
])
def test_a_gap_is_exit_3(family, options, cell, reason):
    given = dict(zip(ASKED[::2], ASKED[1::2]))
    given |= dict(zip(options[::2], options[1::2]))
    document = coverage(family.cache, *[word for pair in given.items() for word in pair], code=3)
    assert states(document) == {cell: ("miss", reason)}
    assert document["cells"][0]["remedy"] and document["cells"][0]["devices"]


def test_secure_boot(family):
    coverage(family.cache, *ASKED, "--secure-boot")
    family.write(lambda document: document["bundles"][0].update(secure_boot="off"))
    family.bake()
    coverage(family.cache, *ASKED)
    assert states(coverage(family.cache, *ASKED, "--secure-boot", code=3)) == {CELL: ("miss", "secure_boot")}


def test_a_slice_and_a_source(family, tmp_path):
    """What is not carried is a gap, unless there is a source, and that is enough."""
    nics = ("--os", "debian:12,ubuntu:22.04", "--kernel", KERNEL, "--nic", "15b3:1018,15b3:101c,1414:00ba")
    good("larder", "copy", family.cache, tmp_path / "slice", "--nic", "cx5")
    found = states(coverage(tmp_path / "slice", *ASKED))
    assert found == {CELL: "carried"}
    mana = ("debian:12", KERNEL, "1414:00ba", "")
    assert states(coverage(tmp_path / "slice", *nics, code=3))[mana] == ("miss", "not_carried")
    with_site(family, sources=[SOURCE])
    good("larder", "copy", family.cache, tmp_path / "other", "--nic", "cx5")
    document = coverage(tmp_path / "other", *nics, code=3)
    assert states(document)[mana] == ("download", "not_carried") and document["sources"] == [SOURCE]
    only = ("--os", "debian:12", "--kernel", KERNEL, "--nic", "15b3:1018,1414:00ba")
    assert coverage(tmp_path / "other", *only, "--allow-download")["counts"] == \
        {"carried": 1, "download": 1, "miss": 0}
    coverage(tmp_path / "other", *only, code=3)
    coverage(tmp_path / "other", *nics, "--allow-download", code=3)


def test_withdrawn(family):
    cache = with_site(family, withdrawn=["nics@1.0"])
    assert states(coverage(cache, *ASKED, code=3)) == {CELL: ("miss", "withdrawn")}


def test_lists_of_the_cache_itself(family):
    found = states(coverage(family.cache, code=3))
    assert found[CELL] == "carried"
    assert found["debian:12", "*", "1414:00ba", ""] == "carried"
    assert found["ubuntu:22.04", "5.15.*", "15b3:101c", ""] == "carried"
    assert found["ubuntu:22.04", "5.15.*", "15b3:1018", ""] == ("miss", "no_device")
    assert ("debian:12", "*", "15b3:1018", "") not in found  # other kernels of a glob are no machines


@pytest.mark.parametrize("options, text, code", [
    (["--nic", "cx6x"], '--nic "cx6x": expected one of', 2),
    (["--kernel", "5.15.*"], "expected an exact kernel release", 2),
    (["--os", "debian:12", "--image-root", "/"], "--os and --image-root", 2),
    (["--facts", "/dev/null"], "/dev/null: ", 1),
    (["--image-root", "/proc"], "no etc/os-release", 1),
])
def test_what_cannot_be_asked(family, options, text, code):
    refused(text, "larder", "coverage", family.cache, *options, code=code)


# machines that are known


def facts(folder, *modaliases, **more):
    """A file as a person writes it."""
    path = folder / "facts.json"
    path.write_text(json.dumps({"format": "larder.facts.v1", "family": "linux", "os_id": "debian", "os_version": "12",
                                "arch": "x86_64", "kernel": KERNEL,
                                "devices": [{"bus": "pci", "modalias": text} for text in modaliases]} | more))
    return path


def test_facts(family, tmp_path):
    path = facts(tmp_path, VF, VF.replace("sc07", "sc00"), kernels=[KERNEL, OTHER])
    document = coverage(family.cache, "--facts", path, code=3)
    assert states(document) == {CELL: "carried", ("debian:12", OTHER, "15b3:1018", ""): ("miss", "kernel")}
    assert {cell["facts"] for cell in document["cells"]} == {str(path)}
    for kernel, code in ((KERNEL, 0), (OTHER, 3)):  # as larder plan says
        path = facts(tmp_path, VF, kernel=kernel)
        assert run("larder", "plan", family.cache, "--facts", path).returncode == code
        coverage(family.cache, "--facts", path, code=code)


def image(folder, *kernels):
    """The folder of an image, as far as coverage looks."""
    for name, data in {"etc/os-release": b"ID=debian\nVERSION_ID=\"12\"\n",
                       "usr/bin/bash": b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + b"\x3e\0" + b"\0" * 44}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "bin").symlink_to("usr/bin")
    (folder / "usr/lib").mkdir()
    (folder / "lib").symlink_to("/usr/lib")  # absolute: stays inside
    for kernel in kernels:
        (folder / "usr/lib/modules" / kernel).mkdir(parents=True)
        (folder / "usr/lib/modules" / kernel / "modules.order").touch()
    return folder


def test_image_root(family, tmp_path):
    root = image(tmp_path / "root", KERNEL)
    (root / "usr/lib/modules/not-a-kernel").mkdir()
    document = coverage(family.cache, "--image-root", root, "--nic", "15b3:1018")
    assert states(document) == {CELL: "carried"} and document["cells"][0]["arch"] == "x86_64"
    shutil.rmtree(root)
    document = coverage(family.cache, "--image-root", image(root, KERNEL, OTHER), "--nic", "15b3:1018", code=3)
    assert states(document) == {CELL: "carried", ("debian:12", OTHER, "15b3:1018", ""): ("miss", "kernel")}
    (root / "etc/os-release").unlink()
    (root / "etc/os-release").symlink_to("/etc/os-release")  # of the host: not followed
    refused("no etc/os-release", "larder", "coverage", family.cache, "--image-root", root)
    shutil.rmtree(root)
    refused("no kernel in lib/modules", "larder", "coverage", family.cache, "--image-root", image(root))


# three ways to say it

MANY = ("--os", "debian:12,ubuntu:22.04,plan9:4", "--kernel", f"{KERNEL},{OTHER}", "--nic",
        "15b3:1018,15b3:101c,cx5,1414:00ba,mana", "--size", "St_HB60,St_D2")


def sliced(family, tmp_path):
    """A cache with all three states in it."""
    with_site(family, sources=[SOURCE])
    good("larder", "copy", family.cache, tmp_path / "slice", "--nic", "cx5")
    return tmp_path / "slice"


def test_the_table_says_what_the_document_says(family, tmp_path):
    cache = sliced(family, tmp_path)
    document = coverage(cache, *MANY, code=3)
    text = run("larder", "coverage", cache, *MANY).stdout
    assert max(map(len, text.split("\n\n1 ")[0].splitlines())) <= 100
    found, nics, caption = {}, [], ""
    for line in text.split("\n\n1  ")[0].splitlines():
        if line and not line.startswith(" "):
            caption = line
        elif line.split()[:1] == ["kernel"]:
            nics = line.split()[1:]
        elif line:
            row = re.split(r"  +", line.strip())
            for nic, state in zip(nics, row[1:], strict=True):
                found[caption, row[0], nic] = state
    assert {key: state.split()[0] for key, state in found.items()} == \
        {(caption_of(c), c["kernel"], c["nic"]): c["state"] for c in document["cells"]}
    notes = dict(re.findall(r"^(\d+)  (\w+): ", text, re.M))
    for cell in document["cells"]:
        state = found[caption_of(cell), cell["kernel"], cell["nic"]].split()
        assert len(state) == 1 or notes[state[1]] == cell["reason"]
    assert f"{len(document['cells'])} cells: " in text


def check_page(text, document):
    """The page says of every cell what the document says, and needs nothing from elsewhere."""
    page = Page(text)
    assert len(page.cells) == len(document["cells"]) > 0
    for shown, cell in zip(page.cells, document["cells"]):
        assert (shown["caption"], shown["kernel"], shown["nic"], shown["state"], shown["class"]) == \
            (caption_of(cell), cell["kernel"], cell["nic"], cell["state"], cell["state"])
        assert all(bundle in shown["text"] for bundle in cell["bundles"])
        if cell["state"] != "carried":
            note = re.search(r"(\w+) \((\d+)\)", shown["text"])
            assert note[1] == cell["reason"]
            assert page.notes[f"note-{note[2]}"] == \
                " ".join(f"{cell['state']}, {cell['reason']}: {cell['text']}{cell['remedy']}".split())
    assert [(state, name) for state, name, _ in page.legend] == [(state, state) for state in STATES] + [("none", "-")]
    assert not page.tags & {"script", "img", "iframe", "object", "svg", "link"}
    assert "url(" not in page.style and "@import" not in page.style and "prefers-color-scheme: dark" in page.style
    return page


def test_the_page_says_what_the_document_says(family, tmp_path):
    cache, page = sliced(family, tmp_path), tmp_path / "page.html"
    document = coverage(cache, *MANY, "--html", page, code=3)
    assert set(document["counts"]) == set(STATES) and all(document["counts"].values())
    check_page(page.read_text(), document)
    before = page.read_bytes()
    coverage(cache, *MANY, "--html", page, code=3)
    assert page.read_bytes() == before
    refused("--html", "larder", "coverage", cache, "--html", tmp_path / "none/page.html")


HOSTILE = "</td></table><script>x</script><img src=x onerror=y>\"'&\x9b31m\u202e"


def test_names_of_a_cache_are_no_markup(tmp_path):
    """Nor of the command line."""
    def row(value):
        value["kernels"] = ["</td><script>alert(1)</script>", "a\"onclick='x'&lt;"]
        return value
    make(tmp_path / "evil", tmp_path / "t.json", {"row": row})
    page = tmp_path / "page.html"
    path = facts(tmp_path, VF, kernel="6.1", os_version=HOSTILE, vm_size=HOSTILE)
    document = coverage(tmp_path / "evil", "--html", page, "--facts", path, "--arch", "x86_64", code=3)
    kernels = {cell["kernel"] for cell in document["cells"]}
    assert {"</td><script>alert(1)</script>", "a\"onclick='x'&lt;"} <= kernels
    assert any("<script>" in cell["os"] for cell in document["cells"])
    text = page.read_text()
    assert "<script" not in text and "<img" not in text and not {"\x9b", "\u202e"} & set(text)
    assert len(Page(text).cells) == len(document["cells"])
    assert "\x9b" not in run("larder", "coverage", tmp_path / "evil", "--facts", path).stdout


@pytest.mark.skipif(not CHROMIUM, reason="no chromium here")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(family, tmp_path, scheme):
    """Headless Chromium: cells as the document has them, and each in the colour of its state, where it stands."""
    cache, page, placed = sliced(family, tmp_path), tmp_path / "page.html", tmp_path / "placed.html"
    document = coverage(cache, *MANY[:-2], "--html", page, code=3)
    scheme_option = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    check_page(browse(tmp_path, scheme_option, "--dump-dom", page.as_uri()), document)
    placed.write_text(places_page(page.read_text()))
    laid = browse(tmp_path, scheme_option, "--dump-dom", placed.as_uri())
    seen = Page(laid.replace(laid[laid.index("<script>"):laid.index("</script>") + 9], ""))
    shot = tmp_path / "shot.png"
    browse(tmp_path, scheme_option, f"--screenshot={shot}", page.as_uri())
    picture = Picture(shot.read_bytes())
    assert picture.colours() > 20, "the screenshot is blank"
    colours = {}
    for state, _, attrs in seen.legend:
        colours[state] = numbers(attrs["data-colour"])
        assert contrast(colours[state], numbers(attrs["data-ink"])) >= 4.5 or state == "none"
    assert len(set(colours.values())) == 4
    paper = picture.pixel(2, 2)
    assert (sum(paper) > 600) == (scheme == "light") and paper not in colours.values()
    assert len(seen.cells) == len(document["cells"])
    for shown, cell in zip(seen.cells, document["cells"]):
        left, top, right, bottom = place_of(shown["attrs"])
        assert right - left > 20 and bottom - top > 10 and bottom < picture.height, "a cell is not to be seen"
        assert numbers(shown["attrs"]["data-colour"]) == colours[cell["state"]]
        for x, y in ((left + 3, top + 3), (right - 4, bottom - 4)):
            assert picture.pixel(x, y) == colours[cell["state"]], (cell, x, y)
        inks = {picture.pixel(x, y) for x in range(int(left) + 2, int(right) - 2)
                for y in range(int(top) + 2, int(bottom) - 2)}
        assert len(inks) > 3, "a cell without text"


# the shopping list


def wanted(folder, *options):
    """The list, and the file it is in."""
    path = folder / "wanted.json"
    path.write_text(good("larder", "wanted", *options, "--json"))
    return json.loads(path.read_text())["wanted"], path


def test_from_coverage_to_fetch(family, tmp_path):
    """What a slice lacks is fetched; what no manifest has is said."""
    good("larder", "copy", family.cache, tmp_path / "slice", "--nic", "cx5")
    gaps = tmp_path / "coverage.json"
    gaps.write_text(json.dumps(coverage(tmp_path / "slice", "--os", "debian:12", "--kernel", f"{KERNEL},{OTHER}",
                                        "--nic", "15b3:1018,1414:00ba", code=3)))
    items, path = wanted(tmp_path, "--from-coverage", gaps)
    assert {(i["kernel"], i["nic"], i["reason"], i["machines"]) for i in items} == \
        {(OTHER, "15b3:1018", "kernel", 1), (KERNEL, "1414:00ba", "not_carried", 1),
         (OTHER, "1414:00ba", "not_carried", 1)}
    shutil.rmtree(family.store)
    done = run("larder", "fetch", family.manifest, "--store", family.store, "--wanted", path, "--json")
    assert done.returncode == 3, done.stderr
    assert family.stored() == {"mana"}
    assert [i["nic"] for i in json.loads(done.stdout)["not_closed"]] == ["15b3:1018"]
    text = run("larder", "fetch", family.manifest, "--store", family.store, "--wanted", path).stdout
    assert text.count("no manifest has: ") == 1 and OTHER in text

    def newer(document):
        document["bundles"][0]["kernels"] = [OTHER]
    family.write(newer)
    assert "fetched 2 of 3" in family.fetch("--wanted", path)
    assert family.stored() == {"mana", "cx5", "shared"}
    assert wanted(tmp_path, "--from-coverage", gaps, "--from-coverage", gaps)[0][0]["machines"] == 2
    assert "3 wanted; " in good("larder", "wanted", "--from-coverage", gaps)


def test_the_best_is_fetched_and_no_more(family, tmp_path):
    """Of three bundles for one device the one that a machine would choose; the next where that is withdrawn."""
    def three(document):
        first, cx6, mana = document["bundles"]
        first["kernels"] = [OTHER]
        document["bundles"] = [first, {**first, "id": "worse", "rank": 1, "take": mana["take"]},
                               {**first, "id": "better", "version": "2.0", "take": cx6["take"]}]
    gaps, site = tmp_path / "gaps.json", tmp_path / "site.json"
    gaps.write_text(json.dumps(coverage(family.cache, "--os", "debian:12", "--kernel", OTHER, "--nic", "15b3:1018", code=3)))
    family.write(three)
    _, path = wanted(tmp_path, "--from-coverage", gaps)
    shutil.rmtree(family.store)
    family.fetch("--wanted", path)
    assert family.stored() == {"cx6", "shared"}
    machine = facts(tmp_path, VF, kernel=OTHER)
    assert good("larder", "plan", family.manifest, "--facts", machine).endswith(": nics 2.0 better\n")
    site.write_text(json.dumps({"format": "larder.site.v1", "withdrawn": ["nics@2.0"]}))
    assert good("larder", "plan", family.manifest, "--facts", machine, "--site", site).endswith(": nics 1.0 cx5\n")
    shutil.rmtree(family.store)
    family.fetch("--wanted", path, "--site", site)
    assert family.stored() == {"cx5", "shared"}
    done = run("larder", "fetch", family.manifest, "--store", family.store, "--wanted", path, "--os", "ubuntu:22.04")
    assert done.returncode == 2 and "is selected" in done.stderr


@pytest.mark.parametrize("change, reason, found", [
    ({"proc/sys/kernel/osrelease": "6.9.9\n"}, "kernel", ("debian:12", "6.9.9", "8086:10d3")),
    ({"etc/os-release": "ID=debian\nVERSION_ID=11\n"}, "os_version", ("debian:11", NIC_KERNEL, "8086:10d3")),
])
def test_from_the_status_of_machines(tmp_path, change, reason, found):
    """The agent's own status files: one of a machine that is served, two of machines that are not."""
    shop = Workshop(tmp_path / "shop")
    shop.bake()
    files = []
    for number in range(3):
        root = make_root(tmp_path / f"root{number}", driver=None if number else "nic")
        shop.embed(root)
        for name, text in change.items() if number else ():
            (root / name).write_text(text)
        code, status = firstboot(root)
        assert not number or (code, status["reason"]) != (0, "done")
        files.append(root / "run/larder/status.json")
    items, path = wanted(tmp_path, "--from-status", ",".join(map(str, files)))
    assert [((i["os"], i["kernel"], i["nic"]), i["reason"], i["machines"]) for i in items
            if i["reason"] == reason] == [(found, reason, 2)]
    refused_by = run("larder", "fetch", shop.manifest, "--store", tmp_path / "store", "--wanted", path)
    assert refused_by.returncode == 3 and "no manifest has: " + found[0] in refused_by.stdout


def test_a_kernel_that_did_not_run_yet_is_wanted(tmp_path):
    """A machine that is well now, and will not be after its next boot."""
    shop = Workshop(tmp_path / "shop")
    shop.bake()
    root = make_root(tmp_path / "root")
    (root / "lib/modules/6.9.9").mkdir(parents=True)
    (root / "lib/modules/6.9.9/modules.order").touch()
    shop.embed(root)
    firstboot(root)
    items, _ = wanted(tmp_path, "--from-status", root / "run/larder/status.json")
    assert ("debian:12", "6.9.9", "8086:10d3", "kernel") in \
        {(i["os"], i["kernel"], i["nic"], i["reason"]) for i in items}


def test_lists_that_are_none(family, tmp_path):
    path = tmp_path / "x.json"
    refused("--from-coverage or --from-status is needed", "larder", "wanted", code=2)
    for text in ("", "{}", "[]", '{"format":"larder.status.v1"}', "[" * 100000):
        path.write_text(text)
        refused("x.json: ", "larder", "wanted", "--from-status", path)
        refused("x.json: ", "larder", "wanted", "--from-coverage", path)
        refused("x.json: ", "larder", "fetch", family.manifest, "--store", family.store, "--wanted", path)
