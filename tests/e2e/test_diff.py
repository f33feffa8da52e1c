"""larder diff: what two caches offer and carry; exit 0 the same, 3 they differ."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from larder import good, refused, run
from test_select import CX5, Family

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from made import make  # noqa: E402


def diff(old, new, code=3):
    """The JSON report."""
    done = run("larder", "diff", old, new, "--report", "json")
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture
def family(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "notes"))
    (tmp_path / "family").mkdir()
    made = Family(tmp_path / "family")
    made.fetch()
    made.bake()
    shutil.copytree(made.cache, tmp_path / "old")
    made.old = tmp_path / "old"
    return made


def change(family, function):
    """The cache after a change of its manifest."""
    family.write(function)
    family.fetch()
    family.bake()
    return family.cache


def test_same(family, tmp_path):
    report = diff(family.old, family.cache, 0)
    assert report["same"] and not report["added"] + report["removed"] + report["changed"]
    good("larder", "copy", family.cache, tmp_path / "x.tar")
    assert diff(family.old, tmp_path / "x.tar", 0)["same"]
    assert "the same offer, and the same of it carried" in good("larder", "diff", family.old, family.cache)


def test_serial_alone_is_no_difference(family, tmp_path):
    family.bake("--serial", "7", cache=tmp_path / "seven")
    report = diff(family.old, tmp_path / "seven", 0)
    assert report["serial"] == {"from": 1, "to": 7}
    assert "serial 1, now serial 7" in good("larder", "diff", family.old, tmp_path / "seven").replace("nics ", "")


def test_name_is(family, tmp_path):
    family.bake("--name", "other", cache=tmp_path / "other")
    assert diff(family.old, tmp_path / "other")["name"]["to"] == "other"


def test_carried(family, tmp_path):
    good("larder", "copy", family.cache, tmp_path / "slice", "--nic", "cx5")
    report = diff(family.cache, tmp_path / "slice")
    assert sorted(report["carried"]["removed"]) == ["nics 1.0 cx6", "nics 1.0 mana"] and not report["carried"]["added"]
    assert not report["added"] + report["removed"] + report["changed"]
    assert len(diff(tmp_path / "slice", family.cache)["carried"]["added"]) == 2


def test_added_and_removed(family):
    def edit(document):
        document["bundles"][0]["id"] = "cx5b"
    report = diff(family.old, change(family, edit))
    assert [b["id"] for b in report["added"]] == ["cx5b"] and [b["id"] for b in report["removed"]] == ["cx5"]
    text = run("larder", "diff", family.old, family.cache).stdout
    assert "removed\n  nics 1.0 cx5, " in text and "added\n  nics 1.0 cx5b, " in text


def edit_rank(document):
    document["bundles"][0]["rank"] = 70


def edit_kernels(document):
    document["bundles"][0]["kernels"] = ["5.15.0-1051-azure"]


def edit_devices(document):
    document["bundles"][0]["devices"] = [CX5, "pci:v000015B3d00001019sv*sd*bc02sc07i*"]


def edit_early(document):
    document["bundles"][0]["early"] = True
    document["bundles"][0]["install"] = [{"do": "files", "files": ["D/*.deb"], "into": "/opt"}]


def edit_os(document):
    document["bundles"][0]["os"] = ["debian:12", "debian:13"]


def edit_expect(document):
    document["bundles"][0]["expect"] = {"driver": "mlx5_core"}


def edit_licence(document):
    document["licence"]["id"] = "MIT"


@pytest.mark.parametrize("edit, fields", [
    (edit_rank, {"rank": {"from": 50, "to": 70}}),
    (edit_kernels, {"kernels": {"added": ["5.15.0-1051-azure"], "removed": ["5.15.0-1050-azure"]}}),
    (edit_devices, {"devices": {"added": ["pci:v000015B3d00001019sv*sd*bc02sc07i*"], "removed": []}}),
    (edit_os, {"tables": {"added": ["linux/debian-13/x86_64"], "removed": []}}),
    (edit_expect, {"expect": {"from": {"carrier": False}, "to": {"carrier": False, "driver": "mlx5_core"}}}),
    (edit_licence, {"licence": {"from": "GPL-2.0-only", "to": "MIT"}}),
])
def test_fields(family, edit, fields):
    report = diff(family.old, change(family, edit))
    assert report["changed"][0]["bundle"] == "nics 1.0 cx5" or edit is edit_licence
    assert report["changed"][0]["fields"] == fields
    assert len(report["changed"]) == (3 if edit is edit_licence else 1)
    assert not report["added"] + report["removed"]


def test_install(family):
    report = diff(family.old, change(family, edit_early))
    fields = report["changed"][0]["fields"]
    assert set(fields) == {"early", "install"}
    assert fields["install"]["to"][0]["into"] == "/opt" and fields["early"] == {"from": False, "to": True}


def test_files(family):
    family.files["new"] = family.folder / "new.deb"
    family.files["new"].write_bytes(b"new")
    family.files["cx5"].write_bytes(b"another cx5")

    def edit(document):
        document["bundles"][0]["take"] = [{"file": "cx5", "into": "D"}, {"file": "new", "into": "D"}]
    family.manifest.with_name("nics.lock.json").unlink()
    report = diff(family.old, change(family, edit))
    files = report["changed"][0]["fields"]["files"]
    assert [f["path"] for f in files["added"]] == ["D/new.deb"]
    assert [f["path"] for f in files["removed"]] == ["D/shared.deb"]
    assert [(f["from"]["size"], f["to"]["size"]) for f in files["changed"]] == [(300, 11)]
    text = run("larder", "diff", family.old, family.cache).stdout
    assert "file - D/shared.deb (600 B)" in text and "file + D/new.deb (3 B)" in text
    assert "file ~ D/cx5.deb (300 B, now 11 B)" in text


def test_record_that_is_not_here(family, tmp_path):
    """Its digest says that something changed, though not what."""
    change(family, edit_licence)
    good("larder", "copy", family.old, tmp_path / "slice", "--nic", "cx6")
    changed = {b["bundle"]: b["fields"] for b in diff(tmp_path / "slice", family.cache)["changed"]}
    assert set(changed["nics 1.0 cx5"]) == {"record"} and set(changed["nics 1.0 cx6"]) == {"licence"}


def test_markdown(family):
    change(family, edit_rank)
    done = run("larder", "diff", family.old, family.cache, "--report", "markdown")
    assert done.returncode == 3
    assert done.stdout == ("# `nics` serial 1, now serial 2\n\n## changed\n\n- `nics 1.0 cx5`\n"
                           "  - rank: 50, now 70\n").replace("# `nics`", done.stdout.split(" serial")[0])
    refused("expected markdown or json, got 'html'", "larder", "diff", family.old, family.cache, "--report", "html",
            code=2)


HOSTILE = "x\n\n# forged \x9b31mred\u202egpj\u2066 ` <img src=x> ![x](https://evil.example/t.png)"
SHOWN = "x??# forged ??31mred???gpj??? {} <img src=x> ![x](https://evil.example/t.png)"


@pytest.fixture
def hostile(tmp_path):
    """(a cache, the same whose record says what it should not)."""
    def record(value):
        value["licence"] = HOSTILE
        value["origins"][0]["from"] = HOSTILE
        return value

    def row(value):
        value["kernels"] = ["*", "</summary><h1>`x"]
        return value
    make(tmp_path / "good", tmp_path / "t.json", {})
    make(tmp_path / "evil", tmp_path / "t2.json", {"record": record, "row": row})
    return tmp_path / "good", tmp_path / "evil"


def test_texts_steer_no_terminal(hostile):
    shown = SHOWN.format("`")
    for text in (run("larder", "diff", *hostile).stdout, good("larder", "show", hostile[1], "nic")):
        assert not {"\x9b", "\u202e", "\u2066"} & set(text) and "\n#" not in text
        assert text.count(shown) == 2, text


def test_texts_are_no_markdown(hostile):
    """Outside of code spans there is nothing of theirs."""
    text = run("larder", "diff", *hostile, "--report", "markdown").stdout
    assert not {"\x9b", "\u202e", "\u2066"} & set(text)
    shown = SHOWN.format("'")
    assert f"licence: `\"GPL-2.0-only\"`, now `\"{shown}\"`\n" in text
    assert "  - kernels + `</summary><h1>'x`\n" in text
    assert "\n- `nic 1.0 nic`\n" in text and text.startswith("# `test` serial 7, now serial 7\n")
    for line in text.splitlines():
        outside = "".join(line.split("`")[::2])
        assert line.count("`") % 2 == 0 and not set("<>[]!") & set(outside), line


def test_not_a_cache(family, tmp_path):
    refused("none: no such folder", "larder", "diff", family.old, tmp_path / "none")
