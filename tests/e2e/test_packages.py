"""The packages step with the real dpkg and the real rpm, in a root that has little else."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from closures import make_deb, make_rpm
from larder import BUILD, TRACED, Workshop, good
from test_firstboot import firstboot, litter, make_root
from test_undo import journal, standing

DEB = ("dpkg", "dpkg-deb", "dpkg-query", "dpkg-split", "tar", "rm", "diff", "sh", "ldconfig", "start-stop-daemon",
       "apt-mark", "true", "false", "cat", "gzip")
RPM = ("rpm", "rpmdb", "sh", "true", "false", "cat")
OWN = "the owner's\n"


def copy_program(root, name):
    """A program of this machine, and the libraries it says it needs."""
    where = Path(shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"))
    needed = subprocess.run(["ldd", where], capture_output=True, text=True, check=False).stdout
    for path in [str(where), *re.findall(r"(/\S+) \(0x", needed)]:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(path, target)


def make_tools(root, names):
    """A usrmerged root with these programs."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if (root / name).is_dir() and not (root / name).is_symlink():
            shutil.copytree(root / name, root / "usr" / name, dirs_exist_ok=True)
            shutil.rmtree(root / name)
        (root / name).symlink_to(f"usr/{name}")
    for name in names:
        copy_program(root, name)
    (root / "dev").mkdir()
    (root / "dev/null").touch()
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    return root


def deb_root(folder):
    """dpkg, with an empty database; apt-mark has what it reads."""
    root = make_tools(make_root(folder), DEB)
    for name in ("info", "updates", "triggers", "parts", "alternatives"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text("")
    (root / "etc/dpkg").mkdir()
    shutil.copytree("/usr/share/dpkg", root / "usr/share/dpkg", dirs_exist_ok=True)
    for name in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "etc/apt/apt.conf.d"):
        (root / name).mkdir(parents=True)
    return root


def rpm_root(folder):
    """rpm, with an empty database where distributions have it."""
    root = make_tools(make_root(folder), RPM)
    shutil.copytree("/usr/lib/rpm", root / "usr/lib/rpm", symlinks=True, dirs_exist_ok=True)
    (root / "etc/rpm").mkdir()
    (root / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n%_tmppath /var/tmp\n")
    (root / "var/tmp").mkdir()
    (root / "var/lib/rpm").mkdir(parents=True)
    inside(root, "rpmdb", "--initdb")
    return root


def inside(root, *words):
    """Run a program in the root; its output."""
    return subprocess.run(["chroot", root, *words], capture_output=True, text=True, check=True, timeout=60,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}).stdout


def bake(folder, packages, *steps, **more):
    """A cache with one bundle: a packages step, then others."""
    def change(document):
        urls = {f"p{i}": f"file://{path}" for i, path in enumerate(packages)}
        document["files"] = {name: {"url": url} for name, url in urls.items()}
        document["pins"] = {url: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
                            for path, url in zip(packages, urls.values())}
        document["template"]["early"] = False
        bundle = document["bundles"][0]
        bundle["take"] = [{"file": name, "into": "packages"} for name in urls]
        bundle["install"] = [{"do": "packages", "files": ["packages/*"], **more}, *steps]

    shop = Workshop(folder / "shop")
    shop.write_manifest(change)
    shop.bake()
    return shop


FAILS = {"do": "load", "modules": ["nic"]}  # there is no modprobe in these roots


class Deb:
    """What is asked of dpkg."""
    root, shell = staticmethod(deb_root), {}

    @staticmethod
    def make(folder, name, **more):
        script = more.pop("fails", None)
        payload = {f"usr/share/{name}/made": b"made\n", **more.pop("payload", {})}
        if script:
            payload["DEBIAN/postinst"] = b"#!/bin/sh\nexit 1\n"
        if more.pop("conflicts", None):
            payload["DEBIAN/preinst"] = b"#!/bin/sh\nexit 1\n"
        folder.mkdir(exist_ok=True)
        return make_deb(folder, name, payload=payload, **more)

    @staticmethod
    def installed(root):
        rows = inside(root, "dpkg-query", "-W", "-f=${Package} ${Version} ${db:Status-Abbrev}\n").splitlines()
        return {row.split()[0]: row.split()[1] for row in rows if " ii" in row or " hi" in row}

    @staticmethod
    def put(root, *files):
        for path in files:
            shutil.copy(path, root / "tmp")
            inside(root, "dpkg", "-i", f"/tmp/{path.name}")
            (root / "tmp" / path.name).unlink()


class Rpm:
    """What is asked of rpm."""
    root, shell = staticmethod(rpm_root), {"tags": "Provides: /bin/sh\n"}

    @staticmethod
    def make(folder, name, **more):
        script, conflicts = more.pop("fails", None), more.pop("conflicts", None)
        folder.mkdir(exist_ok=True)
        tags = more.pop("tags", "") + (f"Conflicts: {conflicts}\n" if conflicts else "")
        return make_rpm(folder, name, scripts="%post\nexit 1\n" if script else "", tags=tags, **more)

    @staticmethod
    def installed(root):
        rows = inside(root, "rpm", "-qa", "--qf", "%{NAME} %{VERSION}\n").splitlines()
        return dict(row.split() for row in rows)

    @staticmethod
    def put(root, *files):
        for path in files:
            shutil.copy(path, root / "tmp")
            inside(root, "rpm", "-i", f"/tmp/{path.name}")
            (root / "tmp" / path.name).unlink()


BOTH = pytest.mark.parametrize("kind", [Deb, Rpm])


def files_of(root):
    """The machine but for the databases, which no tool leaves byte for byte, and for folders that no rpm owns."""
    return {name: what for name, what in standing(root).items() if what[-1] is not None and not name.startswith(
        ("var/lib/dpkg", "var/lib/rpm", "tmp", "var/cache/ldconfig", "etc/ld.so.cache", "var/lib/apt", "var/cache/apt",
         "dev/null"))}


@BOTH
def test_in_and_out(kind, tmp_path):
    """Already there: skipped. Taken off: the machine is as it was, and what was there stays."""
    debs = [kind.make(tmp_path / "p", name) for name in ("one", "two")]
    shop = bake(tmp_path, debs)
    root = kind.root(tmp_path / "root")
    shop.embed(root)
    kind.put(root, debs[1])
    before = files_of(root)
    code, status = firstboot(root)
    assert code == 0, status
    assert set(kind.installed(root)) == {"one", "two"} and not litter(root)
    good("larder-firstboot", "undo", "--sysroot", root)
    assert set(kind.installed(root)) == {"two"} and files_of(root) == before


@BOTH
@pytest.mark.parametrize("how", ["fails", "conflicts", "later step"])
def test_what_fails_rolls_back(kind, tmp_path, how):
    """A script that fails, a package that does not get along with one that is there, a step behind: each takes all back."""
    more = {how: "old"} if how != "later step" else {}
    packages = [kind.make(tmp_path / "p", "one"), kind.make(tmp_path / "p", "two", **more)]
    shop = bake(tmp_path, packages, *([FAILS] if how == "later step" else []))
    root = kind.root(tmp_path / "root")
    shop.embed(root)
    kind.put(root, kind.make(tmp_path / "p", "old", **kind.shell))
    before = files_of(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert set(kind.installed(root)) == {"old"}, status
    assert files_of(root) == before
    assert journal(root) == [("undone", 1)] and "what it had changed was put back" in status["text"], status


@BOTH
def test_what_was_replaced_comes_back_or_is_told(kind, tmp_path):
    """dpkg: the old version, packed again out of what was installed. rpm: that cannot be."""
    packages = [kind.make(tmp_path / "p", "one", version="2.0")]
    shop = bake(tmp_path, packages, FAILS)
    root = kind.root(tmp_path / "root")
    shop.embed(root)
    kind.put(root, kind.make(tmp_path / "p", "one", version="1.0"))
    before = files_of(root)
    status = firstboot(root)[1]
    told = [point["detail"] for point in status["timeline"] if point["event"] == "package not put back"]
    assert kind.installed(root) == ({"one": "1.0"} if kind is Deb else {"one": "2.0"}), status
    assert told == [] if kind is Deb else len(told) == 1 and "one: it was" in told[0], status
    assert kind is Rpm or files_of(root) == before


def test_configuration_stays_the_owner_s(tmp_path):
    conf = {"etc/one.conf": b"ours\n", "DEBIAN/conffiles": b"/etc/one.conf\n"}
    old = Deb.make(tmp_path / "old", "one", version="1.0", payload={**conf, "etc/one.conf": b"theirs\n"})
    shop = bake(tmp_path, [Deb.make(tmp_path / "p", "one", version="2.0", payload=conf)])
    root = deb_root(tmp_path / "root")
    shop.embed(root)
    Deb.put(root, old)
    (root / "etc/one.conf").write_text(OWN)
    assert firstboot(root)[0] == 0 and Deb.installed(root) == {"one": "2.0"}
    assert (root / "etc/one.conf").read_text() == OWN


def test_held_and_let_go(tmp_path):
    """One that was held before stays so."""
    debs = [Deb.make(tmp_path / "p", name) for name in ("one", "two")]
    shop = bake(tmp_path, debs, hold=True)
    root = deb_root(tmp_path / "root")
    shop.embed(root)
    Deb.put(root, debs[1])
    inside(root, "apt-mark", "hold", "two")
    code, status = firstboot(root)
    assert code == 0, status
    assert inside(root, "apt-mark", "showhold").split() == ["one", "two"]
    (root / "etc/larder/floor").write_text("0\n")
    assert firstboot(root)[1]["state"] == "done"
    good("larder-firstboot", "undo", "--sysroot", root)
    assert inside(root, "apt-mark", "showhold").split() == ["two"]
    assert set(Deb.installed(root)) == {"two"}


def test_rpms_are_held_by_the_plugin_that_is_there(tmp_path):
    shop = bake(tmp_path, [Rpm.make(tmp_path / "p", "one")], hold=True)
    root = rpm_root(tmp_path / "root")
    shop.embed(root)
    plugins = root / "etc/dnf/plugins"
    plugins.mkdir(parents=True)
    (plugins / "versionlock.conf").write_text("[main]\nenabled = 1\n")
    (plugins / "versionlock.list").write_text("other-0:1-1.*\n")
    assert firstboot(root)[0] == 0
    assert (plugins / "versionlock.list").read_text() == "other-0:1-1.*\none-0:1.0-1.*\n"
    good("larder-firstboot", "undo", "--sysroot", root)
    assert (plugins / "versionlock.list").read_text() == "other-0:1-1.*\n"


def traced(root, trace):
    """A run that has looked at rpm's lock: its tracer, and its own process id."""
    tracer = subprocess.Popen(["strace", "-qq", "-f", "-o", trace, "-e", "trace=fcntl",
                               BUILD / "larder-firstboot", "run", "--sysroot", root],
                              stderr=subprocess.DEVNULL, env={**os.environ, **TRACED})
    while True:
        assert tracer.poll() is None
        found = trace.exists() and re.search(r"^(\d+) .*F_GETLK, \{l_type=F_WRLCK", trace.read_text(), re.M)
        if found:
            return tracer, int(found.group(1))
        time.sleep(0.01)


@contextlib.contextmanager
def waiting_for_rpm(tmp_path):
    """A root whose rpm is locked while this lasts, and a run that waits there: its tracer, and its own process id."""
    root = rpm_root(tmp_path / "root")
    bake(tmp_path, [Rpm.make(tmp_path / "p", "one")]).embed(root)
    with open(root / "var/lib/rpm/.rpm.lock", "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield root, *traced(root, tmp_path / "trace")


def test_a_lock_is_waited_for(tmp_path):
    """rpm's own is seen before rpm is asked; then it is free."""
    with waiting_for_rpm(tmp_path) as (root, tracer, _):
        pass
    assert tracer.wait(60) == 0 and set(Rpm.installed(root)) == {"one"}


def test_a_lock_is_not_waited_for_when_told_to_end(tmp_path):
    """rpm's, longer than systemd would wait for us."""
    with waiting_for_rpm(tmp_path) as (root, tracer, agent):
        os.kill(agent, signal.SIGTERM)
        assert tracer.wait(60) == 14
    status = json.loads((root / "run/larder/status.json").read_text())["moments"]["main"]
    assert status["reason"] == "timeout" and "transaction lock" in status["text"], status
    assert not Rpm.installed(root)


def test_no_manager_and_no_place_for_scripts(tmp_path):
    """Told before anything is begun."""
    shop = bake(tmp_path, [Deb.make(tmp_path / "p", "one")])
    root = make_root(tmp_path / "root")
    shop.embed(root)
    code, status = firstboot(root)
    assert code == 14 and "there is no dpkg on this machine" in status["text"], status
    assert not (root / "var/lib/larder/journal").exists()
