"""A vendor's installer that takes packages of the distribution off and then fails: a real root, real packages, the real dpkg,
and no repository. Afterwards everything is as it was, with what its owner changed."""

import os

import pytest

from closures import make_deb
from larder import Workshop, run
from roots import unpack
from test_closure_real import in_root
from test_firstboot import firstboot, litter, make_root

pytestmark = pytest.mark.slow  # a root of the distribution

ASKED = ["e2fsprogs", "passwd"]  # scripts, configuration files, setuid programs, files beneath /lib
CHANGED = "/etc/mke2fs.conf"
OWN = "[defaults]\n\tblocksize = 1024\n# our own\n"
WAYS = {
    "removed": "dpkg --remove --force-all e2fsprogs passwd",
    "purged": "dpkg --purge --force-all e2fsprogs passwd",
    "another version": "dpkg -i --force-all --force-confnew /vendor.deb",
    "half unpacked": "dpkg --unpack --force-all /vendor.deb; rm -f /sbin/mke2fs /etc/mke2fs.conf",
    "nothing": "true",
}


@pytest.fixture(name="root")
def root_fixture(tmp_path):
    """A minimal Debian whose owner changed one configuration file and removed another."""
    made = make_root(unpack("bookworm", tmp_path / "root"))
    os.mknod(made / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
    os.chmod(made / "dev/null", 0o666)
    (made / CHANGED[1:]).write_text(OWN)
    (made / "etc/e2scrub.conf").unlink()
    vendor = make_deb(tmp_path, "e2fsprogs", version="99.0",
                      payload={"sbin/mke2fs": b"the vendor's", "etc/mke2fs.conf": b"the vendor's"})
    (made / "vendor.deb").write_bytes(vendor.read_bytes())
    return made


def with_installer(tmp_path, root, way, code):
    """The root gets a bundle whose one step runs an installer."""
    script = f"#!/bin/sh\n{WAYS[way]}\nexit {code}\n".encode()
    shop = Workshop(tmp_path / "shop", {"v/install": (script, 0o755)})

    def change(document):
        document["template"]["early"] = False
        bundle = document["bundles"][0]
        bundle["take"] = [{"file": "vendor", "members": ["v/install"], "into": "bin"}]
        bundle["install"] = [{"do": "command", "argv": ["%{stage}/bin/install"], "removes": [*ASKED, "rdma-core"]}]

    shop.write_manifest(change)
    shop.bake()
    shop.embed(root)


def tree(root):
    """Path -> what it is, of all that packages have; what tools note about themselves apart."""
    own = ("var/lib/dpkg", "var/lib/larder", "var/log", "var/cache", "run", "proc", "sys", "tmp", "dev",
           "etc/group-", "etc/gshadow-")
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            short = os.path.relpath(path, root)
            if short.startswith(own):
                continue
            status = os.lstat(path)
            content = open(path, "rb").read() if os.path.isfile(path) and not os.path.islink(path) else None
            found[short] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return found


def packages(root):
    """What dpkg knows of the packages, and says of their files."""
    fields = "${binary:Package} ${Version} ${db:Status-Abbrev} ${Depends} ${Conflicts}\n"
    states = in_root(root, "dpkg-query", "-W", "-f", fields).stdout
    verified = in_root(root, "dpkg", "--verify", *ASKED).stdout
    return states, [line for line in verified.splitlines() if not line.startswith("missing")]


def differences(before, after):
    """Paths that are not the same."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


@pytest.mark.parametrize("way", WAYS)
def test_what_a_failed_installer_took_off_is_back(tmp_path, root, way):
    with_installer(tmp_path, root, way, 7)
    before = tree(root), packages(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert differences(before[0], tree(root)) == []
    assert packages(root) == before[1]
    assert (root / CHANGED[1:]).read_text() == OWN and not (root / "etc/e2scrub.conf").exists()
    assert in_root(root, "dpkg", "--audit").stdout == ""
    assert not litter(root) and not (root / "var/lib/larder/putback").exists()


def test_what_a_good_installer_took_off_comes_back_when_it_is_undone(tmp_path, root):
    with_installer(tmp_path, root, "purged", 0)
    before = tree(root), packages(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), status
    assert not (root / "sbin/mke2fs").exists() and not (root / CHANGED[1:]).exists()
    kept = list((root / "var/lib/larder/undo").rglob("*package-*"))
    assert len(kept) == len(ASKED) and all(path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
                                           for path in kept)
    done = run("larder-firstboot", "undo", "--sysroot", root)
    assert done.returncode == 0, done
    assert differences(before[0], tree(root)) == [] and packages(root) == before[1]


def test_an_upgrade_after_it_keeps_what_the_owner_changed(tmp_path, root):
    with_installer(tmp_path, root, "purged", 7)
    firstboot(root)
    new = make_deb(tmp_path, "e2fsprogs", version="100.0", payload={"etc/mke2fs.conf": b"new defaults\n", "DEBIAN/conffiles": b"/etc/mke2fs.conf\n"})
    (root / "new.deb").write_bytes(new.read_bytes())
    done = in_root(root, "dpkg", "--force-depends", "--force-confdef", "--force-confold", "-i", "/new.deb")
    assert done.returncode == 0, done
    assert (root / CHANGED[1:]).read_text() == OWN


def test_a_diversion_is_known_before_anything_is_done(tmp_path, root):
    with_installer(tmp_path, root, "purged", 7)
    done = in_root(root, "dpkg-divert", "--package", "other", "--rename", "--add", "/sbin/mke2fs")
    assert done.returncode == 0, done
    before = tree(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed")
    assert "is diverted by another package" in str(status) and differences(before, tree(root)) == []
