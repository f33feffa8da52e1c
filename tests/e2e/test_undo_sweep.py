"""The sweep of test_sweep for the way back: every call that writes fails once, or kills the agent there; also kill -9 at each
step of the way there, with programs that the agent started. Afterwards the next boot goes on: installed, or as it was."""

import subprocess

import pytest

from larder import BUILD, Workshop, good
from test_firstboot import installed, litter, make_root
from test_packages import FAILS, Deb, bake, deb_root, files_of
from test_sweep import ENV, Job, places, strace, sweep
from test_undo import journal, make, standing, that_fails, two_folders


class TakeOff(Job):
    """The owner takes a bundle off: each file is the new one or the old one, and then all are the old ones."""

    change, words = staticmethod(two_folders), ("undo",)

    def prepare(self, folder):
        self.shop.embed(make_root(folder / "root"))
        (folder / "root/etc/larder-test").mkdir()
        (folder / "root/etc/larder-test/nic.conf").write_text("the owner's")
        (folder / "before").write_text(repr(standing(folder / "root")))
        if self.words == ("undo",):
            good("larder-firstboot", "run", "--sysroot", folder / "root")

    def command(self, folder):
        return [BUILD / "larder-firstboot", *self.words, "--sysroot", folder / "root"]

    def check_whole(self, folder):
        ours = self.shop.files["vendor/nic.conf"]
        drafts = {name for name in installed(folder / "root") if ".draft" in name}
        for name, data in installed(folder / "root").items():
            assert name in drafts or data in (ours, b"the owner's"), name

    def check_done(self, folder):
        root = folder / "root"
        assert repr(standing(root)) == (folder / "before").read_text()
        assert not litter(root) and not list((root / "var/lib/larder/undo").rglob("*"))


class RollBack(TakeOff):
    """A step fails, and the others are undone."""

    change, words, code = staticmethod(that_fails), ("run",), 14

    def check_done(self, folder):
        super().check_done(folder)
        assert journal(folder / "root")[0][0] == "undone"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [TakeOff, RollBack])
def test_as_it_was_in_the_end(tmp_path, kind):
    shop = Workshop(tmp_path / "shop")
    shop.write_manifest(kind.change)
    shop.bake()
    assert sweep(kind(shop), tmp_path) > 10
