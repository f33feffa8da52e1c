"""An undo that cannot end is bounded as an install is: so many tries, then it is left and told, until somebody asks."""

import signal
import subprocess

import pytest

from larder import BUILD, good, own_mounts, run
from test_firstboot import ADDRESS, firstboot
from test_packages import make_tools
from test_undo import crashed, journal, kept, make, standing, two_folders

# The machine dies with the undo: here its agent does. Once it is mended, it works.
DEADLY = "echo x >>/tmp/undone; [ -e /tmp/mended ] || kill -9 $PPID"


def deadly(document):
    """A file, then a command whose undo kills the machine; and a step that fails, so that both are undone."""
    document["template"]["early"] = False
    document["bundles"][0]["install"] = [
        {"do": "files", "files": ["nic/*.conf"], "into": "/etc/larder-test"},
        {"do": "command", "argv": ["/bin/sh", "-c", "exit 0"], "undo": ["/bin/sh", "-c", DEADLY]},
        {"do": "load", "modules": ["nic"]}]


def undone_times(root):
    """How often the deadly undo was begun."""
    return (root / "tmp/undone").read_text().count("x")


def dies(root, *words):
    """Does the agent die of its own run?"""
    done = subprocess.run([BUILD / "larder-firstboot", *words, "--sysroot", root], capture_output=True, check=False)
    return done.returncode == -signal.SIGKILL


def make_deadly(folder):
    shop, root, _ = make(folder, deadly)
    make_tools(root, ("sh",))
    before = standing(root)
    for boot in (1, 2, 3):
        assert dies(root, "run")
        assert undone_times(root) == boot and journal(root) == [("undoing", 1)]
    return shop, root, before


def assert_left(root):
    """The next boots say so, and touch nothing."""
    times = undone_times(root)
    for _ in range(2):
        code, status = firstboot(root)
        assert (code, status["reason"]) == (14, "step_failed") and status["remedy"], status
        for words in ("given up after 3 tries", "step 2 of 3 (command)", "larder-firstboot undo", "run --again"):
            assert words in status["text"], status
        assert undone_times(root) == times and journal(root) == [("undoing", 1)]
        assert (root / "etc/larder-test/nic.conf").read_text() != "the owner's"


def forget_undone(root):
    """What the test itself has put into the machine."""
    (root / "tmp/undone").unlink()
    (root / "tmp/mended").unlink()


@pytest.mark.parametrize("word, code, state", [("undo", 0, "removed"), ("again", 14, "undone")])
def test_an_undo_that_kills_the_machine_is_given_up(tmp_path, word, code, state):
    """Three boots die of it; then it is left, until its owner asks."""
    _, root, before = make_deadly(tmp_path)
    assert_left(root)
    words = ("undo",) if word == "undo" else ("run", "--again")
    assert dies(root, *words)
    (root / "tmp/mended").touch()
    assert run("larder-firstboot", *words, "--sysroot", root).returncode == code
    forget_undone(root)
    assert standing(root) == before and journal(root)[0][0] == state and not kept(root)


def test_a_newer_cache_tries_an_undo_anew(tmp_path):
    shop, root, before = make_deadly(tmp_path)
    assert_left(root)
    shop.write_manifest(lambda document: (deadly(document), document["template"].update(rank=51)))
    shop.bake()
    shop.embed(root)
    assert dies(root, "run")
    assert undone_times(root) == 4
    (root / "tmp/mended").touch()
    assert firstboot(root)[0] == 14
    forget_undone(root)
    assert standing(root) == before and journal(root) == [("undone", 1)]


def test_reset_forgets_an_undo_that_was_given_up(tmp_path):
    _, root, _ = make_deadly(tmp_path)
    assert_left(root)
    good("larder-firstboot", "reset", "--sysroot", root)
    (root / "tmp/mended").touch()
    code, status = firstboot(root)
    assert code == 14 and "what it had changed was put back" in status["text"], status


def test_a_part_of_a_bundle_that_nobody_wants_is_told(tmp_path):
    """Its undo fails each time: the machine has all its drivers, and is not as it should be."""
    _, root, _ = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    crashed(root, "running", 1, 1)
    (root / "sys/bus/pci/devices" / ADDRESS).unlink()
    (root / "opt/new/folder/nic.ko").unlink()
    (root / "opt/new/folder").rmdir()
    (root / "opt/new/folder").write_text("in the way")
    for text in ("tried again at the next run", "tried again at the next run", "given up after 3 tries", "given up after 3 tries"):
        _, status = firstboot(root)
        told = [point["detail"] for point in status["timeline"] if point["event"] == "not undone"]
        assert len(told) == 1 and text in told[0], status
    assert "step 2 of 2 (files)" in told[0]


def test_what_the_machine_lacks_costs_the_undo_no_try(tmp_path):
    """A folder that is read-only, as often as it takes."""
    _, root, before = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    crashed(root, "undoing", 1, 3)
    folder = root / "etc/larder-test"
    shut = (*own_mounts(), "sh", "-c", f'mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec "$0" "$@"')
    for _ in range(5):
        code, status = firstboot(root, prefix=shut)
        assert code == 14 and "not put back yet" in status["text"], status
    assert firstboot(root)[0] == 14
    assert standing(root) == before and journal(root) == [("undone", 3)]
