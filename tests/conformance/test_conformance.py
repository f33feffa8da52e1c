"""larder-verify, larder-firstboot and a verifier written from docs/FORMAT.md agree on every case."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import verifier  # noqa: E402
from cases import CASES  # noqa: E402
from larder import Workshop, run  # noqa: E402
from made import make  # noqa: E402
from test_firstboot import firstboot, installed, litter, make_root  # noqa: E402

REASONS = {"clean": "done", "missing": "not_carried", "no trust root": "untrusted",
           "untrusted": "untrusted", "damaged": "damaged", "incomplete": "damaged", "stale": "serial"}


def machine(folder, case):
    """A machine with the case's cache in it, as embed would have put it there."""
    root = make_root(folder / "root")
    made = make(root / "usr/lib/larder/cache", root / "etc/larder/trust.json", case.changes)
    (root / "etc/larder/floor").write_text(f"{case.least}\n")
    return root, made


def check_second(made, case):
    """The verifier from FORMAT.md, and the step at which it stopped."""
    report = verifier.verify(made.folder, made.trust, case.least)
    assert (report.verdict, report.step) == (case.verdict, case.step), report.findings


def check_first(made, case):
    """larder-verify."""
    done = run("larder-verify", made.folder, "--trust", made.trust, "--json",
               "--serial-at-least", case.least)
    said = json.loads(done.stdout)
    assert done.returncode == said["code"] == verifier.CODES[case.verdict], (said, done.stderr)


def check_agent(root, case):
    """larder-firstboot, which reads its own branch only: done means installed, all else nothing."""
    code, status = firstboot(root)
    reason = case.agent or REASONS[case.verdict]
    assert status["reason"] == reason, status
    assert bool(installed(root)) == (reason == "done"), status
    assert (code == 0) == (reason == "done"), status
    assert not litter(root)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_all_agree(case, tmp_path):
    root, made = machine(tmp_path, case)
    check_second(made, case)
    check_first(made, case)
    if case.agent != "not asked":
        check_agent(root, case)


def test_the_table_covers_every_step():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) and len(names) >= 120
    assert {case.step for case in CASES} == {None, *range(10)}
    assert sum(case.verdict == "clean" for case in CASES) >= 40


def test_what_larder_bakes_is_clean(tmp_path):
    shop = Workshop(tmp_path / "shop")
    shop.bake()
    command = [sys.executable, "-B", HERE / "verifier.py", shop.cache, "--trust", shop.trust, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done
    said = json.loads(done.stdout)
    assert (said["verdict"], said["serial"], said["blobs"]) == ("clean", 1, 2)
    flipped = shop.cache / "blobs/sha256" / shop.record()["files"][0]["blob"]["digest"][7:]
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"?")
    assert subprocess.run(command, capture_output=True, text=True).returncode == 3
