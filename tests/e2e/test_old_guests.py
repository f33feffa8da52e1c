"""Old guests: the static agents in the roots of three releases whose configuration is hostile (T27), and on a kernel that
has no system call newer than Linux 3.10."""

import json
import re
import subprocess

import pytest

from closures import command
from larder import BUILD, TOP, Workshop, good
from roots import unpack
from test_firstboot import installed, litter, make_root, only_files
from test_tree import GOOD, entry, expected, make_shop, standing

pytestmark = pytest.mark.skipif(BUILD.name == "sanitize", reason="the sanitizers do not link statically")
HERE = TOP / "tests/e2e"
RELEASES = ("bullseye", "bookworm", "trixie")
AGENT, VERIFY = "/usr/libexec/larder/larder-firstboot", "/verify"
VERBS = (("run", "--early"), ("run",), ("facts",), ("plan", "--explain"), ("status", "--json"))


def compiled(name, target, *flags):
    """A C file of this folder, built."""
    command("gcc", "-Wno-all", "-o", target, HERE / name, *flags)
    return target


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    return compiled("linux_3_10.c", tmp_path_factory.mktemp("launcher") / "linux_3_10", "-static")


def in_root(launcher, root, *words, which="none", prefix=()):
    """Run something there; a crash is no answer."""
    done = subprocess.run([*prefix, launcher, root, which, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/sbin:/usr/bin", "OPENSSL_CONF": "/etc/ssl/openssl.cnf"}, check=False)
    assert 0 <= done.returncode < 99, (words, done.returncode, done.stderr)
    return done


def status_of(root):
    """What the last main run said of itself."""
    moment = json.loads((root / "run/larder/status.json").read_text())["moments"]["main"]
    return moment["state"], moment["reason"], [device["outcome"] for device in moment["devices"]]


# --- hostile configuration ----------------------------------------------------------------------------

OPENSSL_CNF = """openssl_conf = init
[init]
providers = providers
[providers]
default = default_provider
trap = trap_provider
[default_provider]
activate = 1
[trap_provider]
module = /usr/lib/trap.so
activate = 1
"""


def set_traps(root):
    """nsswitch.conf and openssl.cnf name modules that tell when they are opened."""
    databases = ("passwd", "group", "shadow", "hosts", "networks", "protocols", "services", "ethers", "rpc", "initgroups")
    (root / "etc/nsswitch.conf").write_text("".join(f"{name}: trap files\n" for name in databases))
    libraries = next((root / "usr/lib").glob("*-linux-gnu"))
    compiled("traps.c", libraries / "libnss_trap.so.2", "-shared", "-fPIC", '-DTRAP="nss"')
    compiled("traps.c", root / "usr/lib/trap.so", "-shared", "-fPIC", '-DTRAP="openssl"')
    for folder in ("etc/ssl", "usr/lib/ssl"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "openssl.cnf").unlink(missing_ok=True)
        (root / folder / "openssl.cnf").write_text(OPENSSL_CNF)


def sprung(root):
    """Which traps were opened."""
    return {path.name for path in root.glob("sprung-*")}


def check_victim(launcher, root, tmp_path):
    """The traps are such: without the pins they are opened. The victim may die of it."""
    command("gcc", "-w", "-static", "-Wl,--no-warnings", "-o", root / "victim", HERE / "traps.c", "-lcrypto", "-lpthread")
    for word in ("users", "crypto"):
        subprocess.run([launcher, root, "none", "/victim", word], capture_output=True, check=False)
    assert sprung(root) == {"sprung-nss", "sprung-openssl"}
    for path in root.glob("sprung-*"):
        path.unlink()


@pytest.mark.parametrize("release", RELEASES)
def test_static_agents_in_a_hostile_root(tmp_path, launcher, release):
    shop = Workshop(tmp_path / "shop")
    shop.write_manifest(only_files)
    shop.bake()
    root = make_root(unpack(release, tmp_path / "root"))
    shop.embed(root)
    set_traps(root)
    if release == "bookworm":  # its libc is the one that static programs are made of
        check_victim(launcher, root, tmp_path)
    (root / VERIFY[1:]).write_bytes((BUILD / "larder-verify").read_bytes())
    (root / VERIFY[1:]).chmod(0o755)
    for verb in VERBS:
        done = in_root(launcher, root, AGENT, *verb)
        assert done.returncode == 0, (verb, done.stdout, done.stderr)
    assert status_of(root) == ("done", "done", ["done"]), status_of(root)
    assert set(installed(root)) == {"nic.ko", "nic.conf"}
    done = in_root(launcher, root, VERIFY, "/usr/lib/larder/cache", "--trust", "/etc/larder/trust.json")
    assert done.returncode == 0, done.stderr
    assert sprung(root) == set()


# --- an old kernel -------------------------------------------------------------------------------------

MEMBERS = (*GOOD, entry("./tool-1.0/large", bytes(72 << 20)))  # large enough for threads, and for syncs meanwhile


@pytest.fixture(scope="module")
def tree_shop(tmp_path_factory):
    made = make_shop(tmp_path_factory.mktemp("shop"), MEMBERS)
    made.bake()
    return made


def machine(shop, folder):
    """A machine of its own, with the verifier in it."""
    root = make_root(folder)
    shop.embed(root)
    (root / VERIFY[1:]).write_bytes((BUILD / "larder-verify").read_bytes())
    (root / VERIFY[1:]).chmod(0o755)
    return root


def whole_run(launcher, root, which, prefix=()):
    """First boot, idle boot, what there is to see, and an audit; what all of it came to."""
    codes = [in_root(launcher, root, AGENT, *verb, which=which, prefix=prefix).returncode for verb in (*VERBS, ("run",))]
    codes.append(in_root(launcher, root, VERIFY, "/usr/lib/larder/cache", "--trust", "/etc/larder/trust.json", which=which,
                         prefix=prefix).returncode)
    assert not litter(root)
    return codes, status_of(root), standing(root / "opt/larder/tool")


def newer_calls(launcher, trace):
    """The numbers of the calls in a trace that Linux 3.10 does not have."""
    last = int(command(launcher, "last"))
    return {int(number) for number in re.findall(r"^\d+ +\[ *(\d+)\]", trace.read_text(), re.M) if int(number) > last}


def test_an_old_kernel(tmp_path, tree_shop, launcher):
    """Each call that is newer fails alone, then all of them do: every time the run ends the same."""
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-n", "-qq", "-A", "-o", trace)
    wanted = whole_run(launcher, machine(tree_shop, tmp_path / "none"), "none", strace)
    assert wanted[0] == [0] * len(wanted[0]) and wanted[1] == ("idle", "done", ["done"]), wanted[:2]
    assert wanted[2] == expected([(info, data) for info, data in MEMBERS if info.name != "./"])
    newer = newer_calls(launcher, trace)
    assert newer, "the list of calls could not be read"
    for which in ("all", *map(str, sorted(newer))):
        found = whole_run(launcher, machine(tree_shop, tmp_path / which), which)
        assert found == wanted, (which, found[:2])
