"""A command that takes packages of the distribution off: they are kept before it runs, and put back when it fails, without any
repository. With the real dpkg and the real rpm, in roots that have little else; test_removed_real.py has a whole one."""

import hashlib
import json
import os
import signal
import subprocess
import time

import pytest

from larder import BUILD, good
from test_firstboot import firstboot, litter
from test_packages import Deb, Rpm, bake, files_of, inside

COMMAND = {"do": "command", "argv": ["/opt/remove"], "removes": ["old", "never-there"]}
OWN = b"the owner's\n"


def remover(root, text):
    """The installer: a script of the machine."""
    (root / "opt").mkdir(exist_ok=True)
    (root / "opt/remove").write_text(f"#!/bin/sh\n{text}\n")
    (root / "opt/remove").chmod(0o755)


def debian(tmp_path, text, **command):
    """A root with package old, of which the owner changed the configuration."""
    shop = bake(tmp_path, [Deb.make(tmp_path / "p", "one")], dict(COMMAND, **command))
    root = Deb.root(tmp_path / "root")
    shop.embed(root)
    Deb.put(root, Deb.make(tmp_path / "p", "old", payload={
        "etc/old/old.conf": b"packed\n", "etc/old/same.conf": b"packed\n", "usr/lib/old/program": b"old\n",
        "DEBIAN/conffiles": b"/etc/old/old.conf\n/etc/old/same.conf\n"}))
    (root / "etc/old/old.conf").write_bytes(OWN)
    os.chmod(root / "usr/lib/old/program", 0o4755)
    remover(root, text)
    return root


@pytest.mark.parametrize("how", ["purge", "remove"])
def test_dpkg_puts_it_back(tmp_path, how):
    root = debian(tmp_path, f"dpkg --{how} old; exit 7")
    before = files_of(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert Deb.installed(root) == {"old": "1.0"} and files_of(root) == before and not litter(root)
    assert (root / "usr/lib/old/program").stat().st_mode & 0o7777 == 0o4755
    known = dict(line.split() for line in inside(root, "dpkg-query", "-W", "-f=${Conffiles}\n", "old").splitlines() if line)
    here = {f"/etc/old/{path.name}": hashlib.md5(path.read_bytes()).hexdigest() for path in (root / "etc/old").iterdir()}
    assert known.keys() == here.keys()  # dpkg still knows which of them its owner changed
    assert {path for path in known if known[path] != here[path]} == {"/etc/old/old.conf"}


def test_it_stays_away_when_all_went_well_and_comes_back_when_that_is_undone(tmp_path):
    root = debian(tmp_path, "dpkg --purge old")
    before = files_of(root)
    code, status = firstboot(root)
    assert code == 0 and Deb.installed(root) == {"one": "1.0"}, status
    assert not (root / "etc/old").exists()
    good("larder-firstboot", "undo", "--sysroot", root)
    assert Deb.installed(root) == {"old": "1.0"} and files_of(root) == before


def test_a_change_after_it_is_not_lost(tmp_path):
    """The package was never touched: what its owner changed since then is not put back either."""
    root = debian(tmp_path, "true")
    code, status = firstboot(root)
    assert code == 0, status
    (root / "etc/old/old.conf").write_text("newer\n")
    good("larder-firstboot", "undo", "--sysroot", root)
    assert (root / "etc/old/old.conf").read_text() == "newer\n"


def test_killed_in_between_the_first_state_is_the_one_that_counts(tmp_path):
    root = debian(tmp_path, "dpkg --purge old\necho >/tmp/gone\n[ -e /tmp/again ] && exit 7\nsleep 1000")
    before = files_of(root)
    agent = subprocess.Popen([BUILD / "larder-firstboot", "run", "--sysroot", root], stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    while not (root / "tmp/gone").exists() and time.time() < deadline:
        time.sleep(0.02)
    agent.send_signal(signal.SIGKILL)
    agent.wait(20)
    subprocess.run(["fuser", "-s", "-k", root / "opt/remove"], check=False)
    assert "old" not in Deb.installed(root)
    (root / "tmp/again").touch()
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert Deb.installed(root) == {"old": "1.0"} and files_of(root) == before


def test_rpm_puts_back_what_the_bundle_carries(tmp_path):
    old = Rpm.make(tmp_path / "p", "old", **Rpm.shell)
    shop = bake(tmp_path, [Rpm.make(tmp_path / "p", "one"), old], COMMAND)
    root = Rpm.root(tmp_path / "root")
    shop.embed(root)
    Rpm.put(root, old)
    remover(root, "rpm -e --nodeps old; exit 7")
    before = files_of(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert Rpm.installed(root) == {"old": "1.0"} and files_of(root) == before


def test_rpm_is_not_asked_for_what_could_not_be_put_back(tmp_path):
    shop = bake(tmp_path, [Rpm.make(tmp_path / "p", "one")], COMMAND)
    root = Rpm.root(tmp_path / "root")
    shop.embed(root)
    Rpm.put(root, Rpm.make(tmp_path / "p", "old", **Rpm.shell))
    remover(root, "rpm -e --nodeps old")
    before = files_of(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed")
    assert "takes package old off, and the bundle carries none of that name" in json.dumps(status)
    assert Rpm.installed(root) == {"old": "1.0"} and files_of(root) == before


def test_what_is_kept_is_root_s_own(tmp_path):
    root = debian(tmp_path, "true")
    firstboot(root)
    kept = list((root / "var/lib/larder/undo").glob("*/*-package-old"))
    assert len(kept) == 1 and kept[0].parent.stat().st_mode & 0o777 == 0o700
    assert inside(root, "dpkg-deb", "-f", "/" + str(kept[0].relative_to(root)), "Version") == "1.0\n"
