"""larder import: lists that others keep become manifests that larder takes."""

import json

import jsonschema
import pytest

from larder import TOP, good, refused, run

CASES = TOP / "tests" / "cases" / "import"
SCHEMA = json.loads((TOP / "manifests" / "schema.json").read_text())


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    """A site file with every set that the manifests may ask for."""
    def write(documents):
        names = {value[1:] for document in documents for bundle in document["bundles"]
                 for value in bundle.get("each", {}).get("kernel", [])}
        path = tmp_path / "site.json"
        path.write_text(json.dumps({"format": "larder.site.v1", "sets": {name: ["5.0-1"] for name in names}}))
        return path
    return write


@pytest.mark.parametrize("name", ["resources", "versions"])
def test_what_is_imported_is_taken(name, site, tmp_path):
    said = json.loads(good("larder", "import", "--json", CASES / f"{name}.json"))
    assert set(said) == {"format", "manifests", "findings"} and said["findings"]
    folder = tmp_path / "out"
    done = run("larder", "import", CASES / f"{name}.json", "--into", folder)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == len(said["findings"])
    path = site(said["manifests"].values())
    for family, document in said["manifests"].items():
        written = folder / f"{family}.json"
        assert json.loads(written.read_text()) == document
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
        good("larder", "show", "--expand", written, "--site", path)
        linted = json.loads(run("larder", "lint", "--json", "--site", path, written).stdout)
        assert {finding["kind"] for finding in linted["findings"]} <= {"to-pin"}, linted
    refused("is there already", "larder", "import", CASES / f"{name}.json", "--into", folder)


def test_manifests_on_standard_output():
    texts = good("larder", "import", CASES / "versions.json")
    first, end = json.JSONDecoder().raw_decode(texts)
    second = json.loads(texts[end:])
    assert [first["name"], second["name"]] == ["mlnx-ofed", "doca-ofed"]


def test_what_is_no_list(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    refused("neither a resources.json", "larder", "import", path)
    refused("no/such", "larder", "import", "no/such.json")
    refused("expected LIST", "larder", "import", code=2)
