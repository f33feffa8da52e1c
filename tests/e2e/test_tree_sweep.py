"""The same sweep as test_sweep for a tree: every call that writes fails once, or kills the program there."""

import json

import pytest

from test_firstboot import litter, make_root
from test_sweep import Bake, Job, sweep
from test_tree import entry, expected, folder, link, make_shop, standing, tree_take
from larder import BUILD

MEMBERS = [folder("d"), entry("d/run", b"#!/bin/sh\n", 0o755), link("d/alias", "run"), entry("f", b"f" * 700),
           folder("d/e"), entry("d/e/g", b"")]


class BakeTree(Bake):
    """The tree moves to another folder of the bundle."""

    def prepare(self, folder):  # pylint: disable=redefined-outer-name
        super().prepare(folder)
        document = json.loads((folder / "nic.json").read_text())
        document["bundles"][0]["take"][0]["members"] = ["d*"]
        document["bundles"][0]["install"][0]["files"] = ["other"]
        (folder / "nic.json").write_text(json.dumps(document))


class StageTree(Job):
    """A machine without the tree: it appears as a whole, or not at all."""

    def prepare(self, folder):  # pylint: disable=redefined-outer-name
        self.shop.embed(make_root(folder / "root"))

    def command(self, folder):  # pylint: disable=redefined-outer-name
        return [BUILD / "larder-firstboot", "run", "--sysroot", folder / "root"]

    def check_whole(self, folder):  # pylint: disable=redefined-outer-name
        top = folder / "root/opt/larder/tool"
        if top.exists():
            assert standing(top) == expected(MEMBERS)

    def check_done(self, folder):  # pylint: disable=redefined-outer-name
        root = folder / "root"
        status = json.loads((root / "run/larder/status.json").read_text())["moments"]["main"]
        assert status["reason"] == "done", status
        assert standing(root / "opt/larder") == {
            "tool": ("folder", 0o755, None),
            **{f"tool/{name}": what for name, what in expected(MEMBERS).items()}}
        assert not litter(root), litter(root)


class MendTree(StageTree):
    """A machine with an older tree: each file is the old one or the new one."""

    def prepare(self, folder):  # pylint: disable=redefined-outer-name
        super().prepare(folder)
        top = folder / "root/opt/larder/tool"
        (top / "d").mkdir(parents=True)
        (top / "d/run").write_text("old")
        (top / "d/run").chmod(0o755)
        (top / "d/alias").symlink_to("old")

    def check_whole(self, folder):  # pylint: disable=redefined-outer-name
        wanted = expected(MEMBERS)
        for name, what in standing(folder / "root/opt/larder/tool").items():
            if ".draft" in name:
                continue
            assert what == wanted[name] or what[2] in (b"old", "old"), (name, what)

    def check_done(self, folder):  # pylint: disable=redefined-outer-name
        for name, what in (("run", b"old"), ("alias", "old")):
            backup = folder / "root/opt/larder/tool/d" / f"{name}.larder-backup"
            if backup.exists() or backup.is_symlink():
                assert standing(backup.parent)[backup.name][2] == what
                backup.unlink()
        super().check_done(folder)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", [BakeTree, StageTree, MendTree])
def test_old_or_new_and_then_done(tmp_path, kind):
    shop = make_shop(tmp_path / "shop", MEMBERS, tree_take)
    shop.bake()
    assert sweep(kind(shop), tmp_path) > 10
