"""The sweep of test_sweep for the way back: every call that writes fails once, or kills the agent there. And a power cut while
packages are worked on, or dkms builds. Afterwards the next boot goes on: installed, or as it was."""

import shutil
import subprocess
import time

import pytest

from larder import BUILD, KERNEL, Workshop, good
from made_ko import made_ko
from test_firstboot import installed, litter, make_root
from test_kernels import add_shell
from test_packages import FAILS, Deb, bake, copy_program, deb_root, files_of
from test_sweep import Job, sweep
from test_tree import entry, folder, make_shop, tree_take
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


# Each is a place where the power goes: in a script of a package, or at the Nth call of dpkg, before or after it did its work.
WRAPPER = """#!/bin/sh
n=$(($(cat /tmp/calls 2>/dev/null) + 1)); echo $n > /tmp/calls
hang() { if [ "$(cat /tmp/cut 2>/dev/null)" = "$n $1" ]; then touch /tmp/now; sleep 600; fi; }
hang before
/usr/bin/dpkg.real "$@"; code=$?
hang after
exit $code
"""
SCRIPT = b'#!/bin/sh\nif [ "$(cat /tmp/cut 2>/dev/null)" = script ]; then : > /tmp/now; sleep 600; fi\n'
CUTS = ["script", "1 before", "1 after", "2 before", "2 after"]


def cut(root, verb, where):
    """Run the agent in a world of its own, which ends with all in it when the place is reached. False: it was not."""
    for name in ("calls", "now"):
        (root / "tmp" / name).unlink(missing_ok=True)
    (root / "tmp/cut").write_text(where)
    agent = subprocess.Popen(["unshare", "-p", "-f", "--kill-child", BUILD / "larder-firstboot", verb, "--sysroot", root],
                             stderr=subprocess.DEVNULL)
    while not (root / "tmp/now").exists() and agent.poll() is None:
        time.sleep(0.02)
    agent.kill()
    agent.wait()
    (root / "tmp/cut").unlink()
    return (root / "tmp/now").exists()


@pytest.fixture(scope="module", name="packaged")
def packaged_fixture(tmp_path_factory):
    """(how it ends) -> a machine, not yet run: one package is new, the other replaces an older one."""
    folder = tmp_path_factory.mktemp("packaged")
    debs = [Deb.make(folder / "p", "one", payload={"DEBIAN/postinst": SCRIPT, "DEBIAN/prerm": SCRIPT}),
            Deb.make(folder / "p", "two", version="2.0")]
    made = {}
    for name, steps in {"works": [], "fails": [FAILS]}.items():
        shop = bake(folder / name, debs, *steps)
        root = deb_root(folder / name / "root")
        shop.embed(root)
        Deb.put(root, Deb.make(folder / "old", "two", version="1.0"))
        (root / "usr/bin/dpkg").rename(root / "usr/bin/dpkg.real")
        (root / "usr/bin/dpkg").write_text(WRAPPER)
        (root / "usr/bin/dpkg").chmod(0o755)
        for tool in ("sleep", "touch"):
            copy_program(root, tool)
        made[name] = root
    return made


@pytest.mark.timeout(900)
@pytest.mark.parametrize("ending", ["works", "fails", "undo"])
def test_the_power_goes_while_packages_are_worked_on(packaged, tmp_path, ending):
    """Then again, at the same place, until it is no longer reached; in the end all is there, or all as it was."""
    reached = 0
    for where in CUTS:
        root = tmp_path / where.replace(" ", "-")
        subprocess.run(["cp", "-a", packaged["fails" if ending == "fails" else "works"], root], check=True)
        before = files_of(root)
        if ending == "undo":
            good("larder-firstboot", "run", "--sysroot", root)
        reached += cut(root, "undo" if ending == "undo" else "run", where)
        reached += cut(root, "run", where)
        code = subprocess.run([BUILD / "larder-firstboot", "run", "--sysroot", root], stderr=subprocess.DEVNULL,
                              check=False).returncode
        assert code == (14 if ending == "fails" else 0), where
        if ending == "works":
            assert Deb.installed(root) == {"one": "1.0", "two": "2.0"}, where
        else:
            assert Deb.installed(root) == {"two": "1.0"} and files_of(root) == before, where
        assert not litter(root)
        shutil.rmtree(root)
    assert reached >= 3, reached


# It keeps its state where dkms does, in dkms's order, and hangs between any two changes.
DKMS = f"""
hang() {{ if [ "$(cat /tmp/cut 2>/dev/null)" = "$verb $1" ]; then : >/tmp/now; sleep 600; fi; }}
verb=$1 top=/var/lib/dkms/tiny/1.0 built=/var/lib/dkms/tiny/1.0/{KERNEL}/x86_64/module into=/lib/modules/{KERNEL}/updates/dkms
hang begun
case $verb in
add) mkdir -p $top/build; hang half; ln -s /usr/src/tiny-1.0 $top/source ;;
*) [ -e $top/source ] || {{ echo "Error! tiny/1.0 is not located in the DKMS tree."; exit 3; }} ;;
esac
case $verb in
build) mkdir -p $top/build; : >$top/build/tiny.o; hang half; rm -rf $top/build; mkdir -p $built; cp /usr/src/tiny-1.0/tiny.ko $built/ ;;
install) [ -e $built/tiny.ko ] || exit 4; mkdir -p $into; hang half; cp $built/tiny.ko $into/ ;;
remove) rm -rf $into; hang half; rm -rf /var/lib/dkms/tiny ;;
esac
hang done
"""
STAGES = ("begun", "half", "done")


@pytest.fixture(scope="module", name="builder")
def builder_fixture(tmp_path_factory):
    """(how it ends) -> a machine with headers and dkms, not yet run."""
    made = {}
    here = tmp_path_factory.mktemp("builder")
    for name, steps in {"works": [], "fails": [FAILS]}.items():
        def change(document, steps=steps):
            tree_take(document, into="src/tiny")
            document["bundles"][0]["install"] = [
                {"do": "dkms", "module": "tiny", "version": "1.0", "files": ["src/tiny"]}, *steps]

        shop = make_shop(here / name, [folder("d"), entry("dkms.conf"), entry("tiny.ko", made_ko(KERNEL, {}, "tiny"))], change)
        shop.bake()
        root = make_root(here / name / "root")
        (root / f"lib/modules/{KERNEL}/build").mkdir()
        (root / f"lib/modules/{KERNEL}/build/Makefile").touch()
        subprocess.run(["depmod", "-b", root, KERNEL], check=True, stderr=subprocess.DEVNULL)
        add_shell(root, {"dkms": DKMS})
        (root / "dev").mkdir()
        (root / "dev/null").touch()
        shop.embed(root)
        made[name] = root
    return made


def of_dkms(root):
    """The machine, but for what the tests write, and empty folders of dkms's own."""
    mine = ("var/lib/dkms", f"lib/modules/{KERNEL}/updates", "tmp/", "dev/null")
    files = {name: what for name, what in standing(root).items() if not name.startswith(mine)}
    return files, sorted(str(path.relative_to(root)) for top in mine[:2] for path in (root / top).rglob("*") if not path.is_dir())


def differing(now, before):
    """The names alone."""
    return sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("verbs, ending", [
    (("add", "build", "install"), "works"), (("add", "build", "install", "remove"), "fails"), (("remove",), "undo")])
def test_the_power_goes_while_dkms_builds(builder, tmp_path, verbs, ending):
    """The agent and dkms are killed in each of its stages, twice at the same one: then it is built, or nothing is left."""
    for where in [f"{verb} {stage}" for verb in verbs for stage in STAGES]:
        root = tmp_path / where.replace(" ", "-")
        subprocess.run(["cp", "-a", builder["fails" if ending == "fails" else "works"], root], check=True)
        before = of_dkms(root)
        if ending == "undo":
            good("larder-firstboot", "run", "--sysroot", root)
        assert cut(root, "undo" if ending == "undo" else "run", where), where
        cut(root, "run", where)
        code = subprocess.run([BUILD / "larder-firstboot", "run", "--sysroot", root], stderr=subprocess.DEVNULL,
                              check=False).returncode
        assert code == (14 if ending == "fails" else 0), where
        if ending == "works":
            assert (root / f"lib/modules/{KERNEL}/modules.dep").read_text() == "updates/dkms/tiny.ko:\n", where
            assert journal(root)[0][0] == "done", where
        else:
            assert of_dkms(root) == before, (where, differing(of_dkms(root)[0], before[0]))
            assert journal(root)[0][0] == ("removed" if ending == "undo" else "undone"), where
        assert not litter(root), where
        shutil.rmtree(root)
