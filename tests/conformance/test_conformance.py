"""larder-verify, larder-firstboot and a verifier made from docs/FORMAT.md agree on every case."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import verifier
from cases import CASES
from larder import Workshop, run
from made import make
from made_tar import ball_of
from test_firstboot import firstboot, litter, make_root

HERE = Path(__file__).resolve().parent
REASONS = {
    "clean": "done",
    "missing": "not_carried",
    "no trust root": "untrusted",
    "untrusted": "untrusted",
    "damaged": "damaged",
    "incomplete": "not_carried",
    "stale": "serial",
}
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no case is about a disk that is slow


def machine(folder, case):
    """A machine with the case's cache in it, as embed would have put it there."""
    root = make_root(folder / "root")
    place = root / "usr/lib/larder/cache"
    made = make(place, root / "etc/larder/trust.json", case.changes)
    (root / "etc/larder/floor").write_text(f"{case.least}\n")
    if case.tar:
        ball = ball_of(made)
        data = case.tar(ball)
        shutil.rmtree(place)
        made.folder = place.with_name("cache.tar")
        ball.write(made.folder) if data is None else made.folder.write_bytes(data)
    return root, made


def second_answer(made, case):
    """The verifier from FORMAT.md: its verdict, and the step that failed."""
    report = verifier.verify(made.folder, made.trust, case.least)
    return report.verdict, report.step


def first_answer(cache, trust, least):
    """larder-verify: its verdict."""
    done = run("larder-verify", cache, "--trust", trust, "--json", "--serial-at-least", least)
    if done.returncode == 1:
        return "missing" if "index.json" in done.stdout + done.stderr else "no trust root"
    said = json.loads(done.stdout)
    assert said["code"] == done.returncode == verifier.CODES[said["verdict"]], said
    return said["verdict"]


def laid(root):
    """What the bundle's one step laid down."""
    place = root / "etc/larder-test"
    return sorted(path.name for path in place.iterdir()) if place.exists() else []


def agent_answer(root, case):
    """larder-firstboot, which reads its own branch only: done means installed, all else nothing."""
    if case.agent == "not asked":
        return case.agent
    code, status = firstboot(root)
    done = status["reason"] == "done"
    assert bool(laid(root)) == (code == 0) == done, status
    assert not litter(root)
    kept = (root / "var/lib/larder/trust.json").exists()
    assert done or not kept, "an unproven chain was kept"
    assert case.kept in (None, kept)
    if case.after:
        case.after(root)
    return status["reason"]


def ask(case):
    """The three answers, or what went wrong on the way to them."""
    with tempfile.TemporaryDirectory(prefix="larder-", dir=MEMORY) as folder:
        try:
            root, made = machine(Path(folder), case)
            return (
                second_answer(made, case),
                first_answer(made.folder, made.trust, case.least),
                agent_answer(root, case),
            )
        except Exception as error:
            return error


@pytest.fixture(scope="module")
def answers(request):
    """All that are asked for, several at once: most of the time goes to other programs."""
    asked = [item for item in request.session.items if item.module is request.module]
    cases = [item.callspec.params["case"] for item in asked if hasattr(item, "callspec")]
    with ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        return dict(zip((case.name for case in cases), pool.map(ask, cases)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_all_agree(case, answers):
    answer = answers[case.name]
    if isinstance(answer, Exception):
        raise answer
    assert answer == ((case.verdict, case.step), case.verdict, case.agent or REASONS[case.verdict])


def test_the_table_covers_every_step():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) and len(names) >= 120
    assert {case.step for case in CASES} == {None, *range(10)}
    assert sum(case.verdict == "clean" for case in CASES) >= 40


def test_what_larder_bakes_is_clean(tmp_path):
    shop = Workshop(tmp_path / "shop")
    shop.bake()
    command = [
        sys.executable,
        "-B",
        HERE / "verifier.py",
        shop.cache,
        "--trust",
        shop.trust,
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done
    said = json.loads(done.stdout)
    assert (said["verdict"], said["serial"], said["blobs"]) == ("clean", 1, 2)
    flipped = shop.cache / "blobs/sha256" / shop.record()["files"][0]["blob"]["digest"][7:]
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"?")
    assert subprocess.run(command, capture_output=True, text=True).returncode == 3
