"""test_fuzz.py - the runner of the fuzz targets: each target has a seed, and none is run without one."""

import subprocess

import pytest

from larder import TOP

RUN = TOP / "tests/fuzz/run.py"
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in (TOP / "tests/fuzz").glob("fuzz_*.c"))


@pytest.mark.parametrize("name", TARGETS)
def test_target_has_a_seed(name):
    folders = [TOP / "tests/fuzz/seeds" / name, TOP / "tests/cases/fuzz" / name, TOP / "tests/cases" / name]
    assert any(path.is_file() for folder in folders for path in folder.rglob("*"))


def test_target_without_a_seed_is_refused(tmp_path):
    """With no file to run, libFuzzer fuzzes until somebody stops it."""
    done = subprocess.run(["/usr/bin/python3", "-B", RUN, tmp_path, "0", "no-such-target"], capture_output=True,
                          text=True, check=False, timeout=20)
    assert done.returncode == 1 and "no seed in tests/fuzz/seeds for: no-such-target" in done.stderr, done
