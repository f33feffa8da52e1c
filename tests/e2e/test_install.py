"""test_install.py - the targets that people call ask for packages first, and what is installed works where it lies."""

import os
import shutil
import subprocess

import pytest

from larder import BUILD, TOP, Workshop

ASKS = "for package in "
GROUPS = {"install": ["gcc"], "man": ["gcc"], "unit": ["gcc", "libcmocka-dev"], "lint": ["gcc", "clang"],
          "werror": ["gcc", "clang"], "e2e": ["gcc", "qemu-system-x86"], "sweep": ["gcc", "qemu-system-x86"],
          "vm-check": ["gcc", "qemu-system-x86"], "check": ["gcc", "qemu-system-x86"]}


@pytest.mark.parametrize("target", GROUPS)
def test_targets_ask_once_for_packages(target, tmp_path):
    """In a fresh clone; and nothing that such a target runs asks again."""
    done = subprocess.run(["make", "-n", "-C", TOP, target, f"BUILD={tmp_path}/build"], capture_output=True, text=True,
                          env={**os.environ, "MAKEFLAGS": "", "MAKELEVEL": "0"}, check=True)
    asked = [line.split(ASKS)[1].split()[0].rstrip(";") for line in done.stdout.splitlines() if ASKS in line]
    assert asked == GROUPS[target]


@pytest.fixture
def installed(tmp_path):
    """The programs as make install PREFIX=... puts them; the ones that stand in /usr must not be found."""
    prefix = tmp_path / "opt"
    for name, folder in {"larder": "bin", "larder-verify": "bin", "larder-verify-registry": "libexec/larder",
                         "larder-firstboot": "libexec/larder", "larder-download": "libexec/larder"}.items():
        (prefix / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(BUILD / name, prefix / folder)
    return prefix


def test_any_prefix(installed, tmp_path):
    shop = Workshop(tmp_path / "shop")
    shop.bake()
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run([installed / "bin/larder", "embed", shop.cache, "--trust", shop.trust, "--root", root], check=True,
                   capture_output=True)
    for name in ("larder-firstboot", "larder-download"):
        assert (root / "usr/libexec/larder" / name).read_bytes() == (BUILD / name).read_bytes()
    done = subprocess.run([installed / "bin/larder-verify", "oci://127.0.0.1:1/x:1", "--trust", shop.trust],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "onnect" in done.stdout + done.stderr, done  # it was asked, and is not there
