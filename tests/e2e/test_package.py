"""larder copy CACHE x.deb|x.rpm: the site's own channel brings a cache, and the agent reads it there."""

import shutil
import subprocess

import pytest

from larder import Workshop, good, own_mounts, refused, run
from roots import unpack
from test_firstboot import firstboot, installed, make_root, only_files

PLACE = "usr/lib/larder/packages"
NAME = "larder-cache-larder"


def command(*words, good_code=True, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    assert not good_code or done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture
def shop(tmp_path):
    made = Workshop(tmp_path / "shop")
    made.write_manifest(only_files)
    made.bake()
    return made


@pytest.fixture
def root(shop, tmp_path):
    """A Debian that is also a machine for the agent: it trusts the shop, and carries nothing."""
    made = make_root(unpack("bookworm", tmp_path / "root"))
    shop.embed(made)
    shutil.rmtree(made / "usr/lib/larder/cache")
    return made


def packages(shop, kind, serial=1):
    path = shop.folder / f"{serial}.{kind}"
    if serial > shop.statement()["predicate"]["serial"]:
        shop.bake("--key", shop.keys(), "--serial", serial)
    good("larder", "copy", shop.cache, path)
    return path


def install(root, path, good_code=True, prefix=()):
    if path.suffix == ".rpm":
        return command(*prefix, "rpm", "--root", root, "--nodeps", "-U", path, good_code=good_code)
    shutil.copy(path, root / "tmp")
    return command(*prefix, "chroot", root, "dpkg", "-i", f"/tmp/{path.name}", good_code=good_code)


def served_serial(root):
    """What the agent would use; never a mixture, and never a refusal."""
    done = run("larder-firstboot", "plan", "--sysroot", root, "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    data = next((root / PLACE).glob("*.tar"))
    assert run("larder-verify", data, "--trust", root / "etc/larder/trust.json").returncode == 0
    return data.read_bytes()


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_installed_upgraded_and_read_by_the_agent(shop, root, tmp_path, kind):
    install(root, packages(shop, kind))
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), status
    assert installed(root)["nic.conf"] == shop.files["vendor/nic.conf"]
    assert firstboot(root)[1]["state"] == "idle"
    install(root, packages(shop, kind, 5))
    assert [path.name for path in (root / PLACE).iterdir()] == ["larder.tar"]
    assert "larder.tar: its statement is newer" in str(firstboot(root)[1]["timeline"])
    assert "stored 5" in good("larder-firstboot", "status", "--sysroot", root)
    if kind == "rpm":
        command("rpm", "--root", root, "-e", NAME)
    else:
        command("chroot", root, "dpkg", "-r", NAME)
    assert not list(root.glob(PLACE + "/*"))
    assert firstboot(root)[0] in (0, 14) and installed(root)


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_the_same_cache_is_the_same_package(shop, tmp_path, kind):
    first = packages(shop, kind)
    good("larder", "copy", shop.cache, tmp_path / "x.tar")
    again = tmp_path / f"other name.{kind}" if kind == "deb" else tmp_path / f"other.{kind}"
    good("larder", "copy", tmp_path / "x.tar", again)
    assert first.read_bytes() == again.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["shop", "x.tar", again.name])


def test_what_the_packages_say(shop, tmp_path):
    deb, rpm = packages(shop, "deb", 7), packages(shop, "rpm", 7)
    shown = command("dpkg-deb", "-I", deb).stdout
    for line in (f"Package: {NAME}\n", "Version: 7\n", "Architecture: all\n"):
        assert line in shown
    listed = command("dpkg-deb", "-c", deb).stdout
    assert "-rw-r--r-- 0/0" in listed and f"./{PLACE}/larder.tar" in listed
    asked = command("rpm", "-qp", "--nosignature", "--queryformat", "%{NAME} %{VERSION} %{ARCH} %{BUILDHOST}", rpm).stdout
    assert asked == f"{NAME} 7 noarch larder"
    good("larder", "copy", shop.cache, tmp_path / "x.tar")
    command("dpkg-deb", "-x", deb, tmp_path / "out")
    assert (tmp_path / "out" / PLACE / "larder.tar").read_bytes() == (tmp_path / "x.tar").read_bytes()


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_its_script_asks_for_a_run_of_its_own(shop, root, kind):
    """Only where systemd runs; and what becomes of it is no matter of the transaction."""
    fake = root / "usr/bin/systemd-run"
    fake.write_text('#!/bin/sh\necho "$@" >> /asked\nexit 1\n')
    fake.chmod(0o755)
    install(root, packages(shop, kind))
    assert not (root / "asked").exists()
    (root / "run/systemd/system").mkdir(parents=True)
    install(root, packages(shop, kind, 2))
    asked = (root / "asked").read_text()
    assert asked.count("\n") == 1 and "--no-block" in asked
    assert asked.endswith("/usr/libexec/larder/larder-firstboot run\n")


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_an_interrupted_upgrade_leaves_the_old_or_the_new(shop, root, kind):
    """Killed at each rename in turn: it is all or nothing, and the next try mends what the package manager knows."""
    paths = [packages(shop, kind, serial) for serial in (1, 2)]
    install(root, paths[0])
    old = served_serial(root)
    seen = set()
    for when in range(1, 60):
        trap = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2",
                "-e", f"inject=rename,renameat,renameat2:signal=KILL:when={when}")
        done = install(root, paths[1], good_code=False, prefix=trap)
        now = served_serial(root)
        seen.add(now == old)
        if done.returncode == 0:
            break
    assert done.returncode == 0, "never came to its end"
    assert when >= 2 and seen == {True, False} and served_serial(root) != old


@pytest.mark.parametrize("name, package", [
    ("HPC_east~2", "larder-cache-hpc-east-2"), ("a+b.c-d", "larder-cache-a+b.c-d"), ("n" * 128, "larder-cache-" + "n" * 128)])
def test_names_of_caches(shop, tmp_path, name, package):
    shop.bake("--key", shop.keys(), "--name", name)
    for kind in ("deb", "rpm"):
        good("larder", "copy", shop.cache, tmp_path / f"x.{kind}")
    assert f"Package: {package}\n" in command("dpkg-deb", "-I", tmp_path / "x.deb").stdout
    assert command("rpm", "-qp", "--nosignature", "--queryformat", "%{NAME}", tmp_path / "x.rpm").stdout == package
    assert f"{package[13:]}.tar" in command("dpkg-deb", "-c", tmp_path / "x.deb").stdout


@pytest.mark.parametrize("name", ["$(touch hurt)", "%(touch hurt)", "%{name}", "a b", "x;touch hurt", "`touch hurt`", "-v"])
def test_hostile_names_of_files(shop, tmp_path, name):
    """Nothing in the path of the package is a command; rpmbuild is not shown such a path at all."""
    place = tmp_path / "place"
    place.mkdir()
    good("larder", "copy", shop.cache, f"./{name}.deb", cwd=place)
    if name == "-v":
        good("larder", "copy", shop.cache, f"./{name}.rpm", cwd=place)
    else:
        refused("rpmbuild cannot work", "larder", "copy", shop.cache, f"./{name}.rpm", code=2, cwd=place)
    assert sorted(path.name for path in place.iterdir()) == [f"{name}.deb"] + ([f"{name}.rpm"] if name == "-v" else [])


def test_without_rpmbuild(shop, tmp_path):
    """Where there is none it says what to install; a deb needs no program."""
    (tmp_path / "empty").mkdir()
    hidden = (*own_mounts(), "sh", "-c", f'mount --bind {tmp_path}/empty /usr/bin; exec "$@"', "-")
    refused("install rpm-build", "larder", "copy", shop.cache, tmp_path / "x.rpm", prefix=hidden)
    good("larder", "copy", shop.cache, tmp_path / "x.deb", prefix=hidden)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "shop", "x.deb"]


def test_a_damaged_source_leaves_the_package_as_it_was(shop, tmp_path):
    for kind in ("deb", "rpm"):
        (tmp_path / f"x.{kind}").write_text("before")
    path = max((shop.cache / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for kind in ("deb", "rpm"):
        refused("", "larder", "copy", shop.cache, tmp_path / f"x.{kind}")
        assert (tmp_path / f"x.{kind}").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop", "x.deb", "x.rpm"]


@pytest.mark.parametrize("words, text", [(["--split", "1M"], "--split cuts a tar"), (["--since", "{c}"], "--since makes a tar")])
def test_usage(shop, tmp_path, words, text):
    refused(text, "larder", "copy", shop.cache, tmp_path / "x.deb", *[word.format(c=shop.cache) for word in words], code=2)
