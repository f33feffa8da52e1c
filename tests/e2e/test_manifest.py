"""The manifests as users meet them: larder show --expand, its errors, and the editor's schema."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "vm"))
import pieces  # pylint: disable=wrong-import-position

LARDER = TOP / os.environ.get("LARDER_BUILD", "build") / "larder"
CASES = TOP / "tests" / "cases" / "manifest"
SITE = CASES / "site.json"
EXAMPLE_SITE = TOP / "manifests" / "site.example.json"
ACCEPTED = sorted(path for path in (CASES / "accept").glob("*.json")
                  if not path.name.endswith(".flat.json"))
MANIFESTS = sorted(path for path in (TOP / "manifests").glob("*.json")
                   if path.name not in ("schema.json", "site.example.json"))


def show(*arguments):
    return subprocess.run([LARDER, "show", *map(str, arguments)], capture_output=True, text=True,
                          cwd=TOP, timeout=30)


def shown(path, site):
    done = show("--expand", path, "--site", site)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture(name="manifest")
def manifest_fixture(tmp_path):
    """Write a small good manifest, changed by a function, and return its path."""
    def write(change=lambda document: None, name="m.json"):
        document = json.loads((CASES / "accept" / "minimal.json").read_text())
        change(document)
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path
    return write


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_shows_the_flat_document(path):
    done = show("--expand", path, "--site", SITE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == path.with_suffix(".flat.json").read_text()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_our_manifests_expand(path):
    flat = shown(path, EXAMPLE_SITE)
    assert flat["format"] == "larder.manifest.v1"
    assert flat["bundles"]
    text = json.dumps(flat)
    assert "${" not in text and '"@' not in text


def test_a_flat_document_is_the_same_from_anywhere(manifest, tmp_path):
    """The result holds nothing of where and when it was made."""
    first = show("--expand", manifest())
    second = show("--expand", manifest(name="other.json"))
    assert first.stdout == second.stdout
    assert str(tmp_path) not in first.stdout


def test_options_in_any_order():
    path = CASES / "accept" / "full.json"
    orders = (("--expand", path, "--site", SITE), ("--site", SITE, path, "--expand"),
              (f"--site={SITE}", "--expand", "--", path))
    assert len({show(*order).stdout for order in orders}) == 1


def refusals():
    lines = (CASES / "refuse" / "expected.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines]


@pytest.mark.parametrize("name, expected", refusals(), ids=lambda value: value.split(".json")[0][:40])
def test_refuses_with_the_place_and_the_reason(name, expected):
    path = f"tests/cases/manifest/refuse/{name}"
    if name.startswith("site-"):
        done = show("--expand", CASES / "accept" / "minimal.json", "--site", path)
    else:
        done = show("--expand", path, "--site", SITE)
    said = done.stderr.rstrip("\n")
    want = f"larder: show: {path}: {expected}"
    assert (done.returncode, done.stdout) == (1, "")
    if want.endswith("*"):
        assert said.startswith(want[:-1])
    else:
        assert said == want


def test_secrets_in_urls_are_not_repeated():
    for name in ("url-user", "url-query", "pin-url", "site-mirror-user"):
        path = CASES / "refuse" / f"{name}.json"
        arguments = ("--expand", path) if not name.startswith("site-") else \
            ("--expand", CASES / "accept" / "minimal.json", "--site", path)
        said = show(*arguments).stderr
        assert "secret" not in said and ":pw" not in said


def test_a_site_file_is_missed(manifest):
    def use_site(document):
        document["bundles"][0]["kernels"] = ["@site-kernels"]
    done = show("--expand", manifest(use_site))
    assert done.returncode == 1
    assert 'bundles[0].kernels[0]: unknown set "@site-kernels"; no site file was given (--site)' \
        in done.stderr


def test_no_such_file():
    for arguments in (("--expand", "no/such.json"),
                      ("--expand", CASES / "accept" / "minimal.json", "--site", "no/such.json")):
        done = show(*arguments)
        assert done.returncode == 1
        assert "no/such.json" in done.stderr


def test_too_large(tmp_path):
    path = tmp_path / "large.json"
    path.write_text(" " * ((8 << 20) + 1))
    done = show("--expand", path)
    assert done.returncode == 1
    assert str(path) in done.stderr


def test_wrong_usage():
    for arguments, text in (((), "expected CACHE"), (("a.json",), "--expand"),
                            (("--expand", "a.json", "b.json"), "too many operands"),
                            (("--expnad", "a.json"), "did you mean --expand?")):
        done = show(*arguments)
        assert done.returncode == 2
        assert text in done.stderr


def test_every_device_id_of_our_manifests_is_whole():
    """A set that was cut or pasted twice would leave cards without a driver."""
    for path in MANIFESTS:
        for name, devices in json.loads(path.read_text())["sets"].items():
            assert len(set(devices)) == len(devices), name
            assert devices == sorted(devices), name


def glob_fits(glob, path):
    parts = [re.escape(part) for part in glob.split("*")]
    return re.fullmatch(".*".join(parts), path) is not None


def aliases(folder, module):
    lines = (folder / "modules.alias").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith("alias ") and
            line.split()[2] == module}


def needed(module):
    """Paths of the module and of all modules that it needs."""
    names, needs = pieces.module_paths()
    return [names[module], *needs[names[module]]]


def test_debian_nic_fits_the_kernel_package(tmp_path):
    """Each bundle carries its module with all that module needs, and claims only its devices."""
    site = tmp_path / "site.json"
    site.write_text(json.dumps({"format": "larder.site.v1",
                                "sets": {"site-kernels": [pieces.kernel_release()]}}))
    folder = pieces.kernel_files()[1]
    for bundle in shown(TOP / "manifests" / "debian-nic.json", site)["bundles"]:
        module, = bundle["install"][-1]["modules"]
        paths = [f"lib/modules/x/{path}" for path in needed(module)]
        members = [glob for take in bundle["take"] for glob in take["members"]]
        for path in paths:
            assert any(glob_fits(glob, path) for glob in members), path
        for glob in members:
            assert any(glob_fits(glob, path) for path in paths), glob
        assert set(bundle["devices"]) <= aliases(folder, module)


# The schema is for editors: it must take whatever larder takes.

@pytest.fixture(name="schema", scope="module")
def schema_fixture():
    schema = json.loads((TOP / "manifests" / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", ACCEPTED + MANIFESTS, ids=lambda path: path.stem)
def test_schema_takes_good_manifests(schema, path):
    schema.validate(json.loads(path.read_text()))


SCHEMA_SEES = ("format", "format-missing", "unknown-key", "no-bundles", "bundle-type", "bundle-key",
               "licence-accept", "licence-redistribute", "rank", "early", "os-empty", "os-type",
               "build", "take-key", "take-no-into", "take-form", "take-repo-alone", "take-url",
               "file-key", "url-scheme", "url-query", "pin-sha256", "pin-no-sha256", "pin-key",
               "set-nested", "set-empty", "var-type", "each-two", "each-none", "template-key",
               "step-empty", "step-unknown", "step-key", "step-files-into", "step-dkms",
               "step-exe-code", "step-exe-timeout", "step-command-shell", "step-command-key", "step-dkms-source",
               "step-hold", "step-rdma-names", "expect-empty", "expect-port", "expect-key")


@pytest.mark.parametrize("name", SCHEMA_SEES)
def test_schema_refuses_what_an_editor_can_see(schema, name):
    document = json.loads((CASES / "refuse" / f"{name}.json").read_text())
    assert not schema.is_valid(document)
