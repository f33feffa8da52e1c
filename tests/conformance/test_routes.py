"""No route skips a check: every fault on every way a cache comes, and one answer (THREATS.md, T4)."""

import io
import json
import os
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import verifier
from faults import FAULTS
from larder import good, run
from made import make, trust_file
from made_tar import BLOBS, in_larder_s_order, mark_of
from registry_server import DockerRegistry
from routes import CANNOT_BE, JUDGED, OTHERWISE, ROUTES, make_base
from test_conformance import MEMORY, REASONS, first_answer, laid
from test_firstboot import firstboot, litter, make_root

CELLS = [
    (route, fault) for fault in FAULTS for route in ROUTES if (route, fault.name) not in CANNOT_BE
]


def agent_answer(way, refusal):
    """The agent's reason; where the cache did not even get into the machine, why it did not."""
    if refusal:
        return refusal
    code, status = firstboot(way.root)
    assert bool(laid(way.root)) == (code == 0) == (status["reason"] == "done"), status
    assert not litter(way.root)
    return status["reason"]


def ask(cell):
    """All that is said of one cell, or what went wrong on the way."""
    route, fault = cell
    with tempfile.TemporaryDirectory(prefix="larder-", dir=MEMORY) as folder:
        try:
            root = make_root(Path(folder) / "root")
            way = ROUTES[route](root, fault)
            (root / "etc/larder/floor").write_text(f"{fault.least}\n")
            with way.travel() as source:
                report = verifier.verify(source, way.trust, fault.least)
                said = first_answer(source, way.trust, fault.least)
                refusal = way.arrive(source, fault)
            return (report.verdict, report.step), said, agent_answer(way, refusal)
        except Exception as error:
            return error


@pytest.fixture(scope="module")
def answers(request):
    """All that are asked for, several at once."""
    asked = [item for item in request.session.items if item.module is request.module]
    cells = [item.callspec.params["cell"] for item in asked if hasattr(item, "callspec")]
    with ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        return {name_of(cell): answer for cell, answer in zip(cells, pool.map(ask, cells))}


def name_of(cell):
    """ROUTE: FAULT."""
    return f"{cell[0]}: {cell[1].name}"


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_refused_alike(cell, answers):
    answer, fault = answers[name_of(cell)], cell[1]
    if isinstance(answer, Exception):
        raise answer
    place = (cell[0], fault.name)
    verdict, step = JUDGED.get(place, (fault.verdict, fault.step))
    reason = OTHERWISE.get(place, fault.agent or REASONS[fault.verdict])
    assert answer == ((verdict, step), verdict, reason)


def test_the_matrix_is_whole():
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names))
    assert {name for _, name in {**CANNOT_BE, **OTHERWISE, **JUDGED}} <= set(names) and {
        route for route, _ in CANNOT_BE
    } <= set(ROUTES)
    assert len(CELLS) + len(CANNOT_BE) == len(FAULTS) * len(ROUTES) and len(CELLS) >= 150
    assert {fault.step for fault in FAULTS} == {None, 1, 2, 3, 4, 5, 6, 7, 8, 9}


def good_cache(folder):
    """A cache of two bundles and a chain, its hints written by larder; and its trust root."""
    chain = [trust_file(2, "fleet", by=("fleet",)), trust_file(3, "fleet", by=("fleet",))]
    changes = {"spare": lambda value: "carried", "chain": lambda value: chain}
    made = make(folder / "made", folder / "trust.json", changes)
    good("larder", "copy", made.folder, folder / "cache")
    return folder / "cache", made.trust


def blobs_of(folder):
    """The digests of the blobs that are there."""
    return {path.name for path in (folder / "blobs/sha256").iterdir()}


def files_of(data):
    """What Python's tarfile finds in a tar, in order: name -> bytes."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}


def test_larder_writes_the_one_tar(tmp_path):
    """The same cache is the same tar, byte for byte, and its parts are that tar, cut."""
    cache, trust = good_cache(tmp_path)
    expected = in_larder_s_order(cache)
    good("larder", "copy", cache, tmp_path / "one.tar")
    assert (tmp_path / "one.tar").read_bytes() == expected
    good("larder", "copy", tmp_path / "one.tar", tmp_path / "two.tar")
    assert (tmp_path / "two.tar").read_bytes() == expected
    good("larder", "copy", cache, tmp_path / "cut.tar", "--split", "512K")
    parts = sorted(tmp_path.glob("cut.tar.[0-9]*"))
    assert len(parts) == -(-len(expected) // (512 << 10))
    assert b"".join(part.read_bytes() for part in parts) == expected
    assert verifier.verify(tmp_path / "one.tar", trust).verdict == "clean"


def bundle_blobs(cache):
    """The layers of the bundles that a cache lists: records and blobs."""
    def load(entry):
        return json.loads((cache / BLOBS / entry["digest"].split(":")[1]).read_text())

    bundles = load(json.loads((cache / "index.json").read_text())["manifests"][0])["manifests"][1:]
    return {layer["digest"].split(":")[1] for bundle in bundles for layer in load(bundle)["layers"]}


def test_larder_writes_the_one_delta(tmp_path):
    """The mark, the whole top, and of the bundles what the base lacks; taken in, it is the new cache."""
    cache, trust = good_cache(tmp_path)
    made = make_base(tmp_path / "made base", tmp_path / "base.json")
    base = tmp_path / "base"
    good("larder", "copy", made.folder, base)
    good("larder", "copy", cache, tmp_path / "delta.tar", "--since", base)
    files = files_of((tmp_path / "delta.tar").read_bytes())
    heads = ["oci-layout", "larder-delta.json", "index.json"]
    blobs = [name.removeprefix(BLOBS) for name in list(files)[3:]]
    assert list(files)[:3] == heads and set(blobs) >= blobs_of(cache) - blobs_of(base)
    assert not bundle_blobs(cache) & blobs_of(base) & set(blobs)
    assert files["larder-delta.json"] == mark_of("sha256:" + made.names["envelope"], 6)
    assert files["index.json"] == (cache / "index.json").read_bytes()
    assert verifier.verify(tmp_path / "delta.tar", trust).verdict == "clean"
    good("larder", "copy", tmp_path / "delta.tar", base)
    report = verifier.verify(base, trust)
    assert (report.verdict, report.serial, report.blobs) == ("clean", 7, 4)
    assert blobs_of(base) == blobs_of(cache)


def test_larder_fills_a_registry(tmp_path):
    cache, trust = good_cache(tmp_path)
    with DockerRegistry(tmp_path) as registry:
        place = registry.reference("test/cache", "7")
        good("larder", "copy", cache, place)
        report = verifier.verify(place, trust)
        assert (report.verdict, report.serial, report.blobs) == ("clean", 7, 4)
        other = registry.reference("test/cache", "8")
        assert verifier.verify(other, trust).verdict == "missing"


def test_what_is_withdrawn_is_said(tmp_path):
    """No finding, and yet an auditor wants to know."""
    fault = next(fault for fault in FAULTS if fault.name == "withdrawn")
    made = make(tmp_path / "cache", tmp_path / "trust.json", fault.changes)
    done = run("larder-verify", made.folder, "--trust", made.trust)
    assert done.returncode == 0 and "withdrawn" in done.stdout
    said = json.loads(good("larder-verify", made.folder, "--trust", made.trust, "--json"))
    states = {one["name"]: one["state"] for one in said["offer"]}
    assert (said["verdict"], states["nic"]) == ("clean", "withdrawn")


def test_a_delta_alone_and_with_its_base(tmp_path):
    """Its top is whole, chain and tables too, so it can be judged before it is taken in."""
    version = trust_file(2, "fleet", by=("fleet",))
    for name, changes in (("chain", {"chain": lambda value: [version]}), ("table", {})):
        older = {"statement": lambda value: value["predicate"].update(serial=6)}
        old = make(tmp_path / name / "old", tmp_path / name / "trust.json", {**changes, **older})
        new = make(tmp_path / name / "new", tmp_path / name / "trust.json", changes)
        delta = tmp_path / name / "delta.tar"
        good("larder", "copy", new.folder, delta, "--since", old.folder)
        assert verifier.verify(delta, new.trust).verdict == "clean"
        assert first_answer(delta, new.trust, 0) == "clean"
        assert verifier.verify(delta, new.trust).blobs == 0  # the base has them all
        good("larder-verify", delta, "--base", old.folder, "--trust", new.trust)
        good("larder", "copy", delta, old.folder, "--trust", new.trust)
        assert verifier.verify(old.folder, new.trust).serial == 7
