"""Would it load? Modules that the machine's kernel would not take are refused before anything is changed."""

import gzip
import json
import lzma
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from larder import KERNEL, TOP, Workshop
from made_ko import made_ko, symvers
from test_firstboot import firstboot, litter, make_root

sys.path.insert(0, str(TOP / "tests/vm"))
import pieces  # pylint: disable=wrong-import-position,wrong-import-order

SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOCKDOWN = "sys/kernel/security/lockdown"
SIG_ENFORCE = "sys/module/module/parameters/sig_enforce"
HEADERS = f"usr/src/linux-headers-{KERNEL}/Module.symvers"
NEEDS = {"module_layout": 0x1234, "_printk": 0x92997ed8, "register_netdev": 0xa}
MODULE = made_ko(KERNEL, NEEDS)
OPEN = {SIG_ENFORCE: "N\n", LOCKDOWN: "[none] integrity confidentiality\n"}


def zstd(data):
    """Packed, as some distributions have their modules."""
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACKINGS = [("ko.gz", gzip.compress), ("ko.zst", zstd),
            ("ko.xz", lambda data: lzma.compress(data, check=lzma.CHECK_CRC32))]


def put(root, files):
    """Files of a machine, by their path."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


def only_modules(kernel):
    """A bundle that is a module and a file that follows it."""
    def change(document):
        document["template"] |= {"kernels": [kernel], "early": False}
        document["bundles"][0]["install"] = [
            {"do": "files", "files": ["nic/*.conf"], "into": "/etc/larder-test"},
            {"do": "modules", "files": ["nic/*.ko*"]}]
    return change


def machine(folder, modules, files=None, kernel=KERNEL):
    """A machine whose cache carries these modules."""
    shop = Workshop(folder / "shop", {"vendor/nic.conf": b"x"} | {f"vendor/nic.{name}": data
                                                                 for name, data in modules.items()})
    shop.write_manifest(only_modules(kernel))
    shop.bake()
    root = make_root(folder / "root")
    put(root, {"proc/sys/kernel/osrelease": kernel + "\n", f"lib/modules/{kernel}/modules.order": ""})
    put(root, files or {})
    shop.embed(root)
    return root


def tree(root):
    """All of a machine but what the agent writes about itself."""
    own = ("var/lib/larder", "run/larder", "var/log/larder.log")
    return {path.relative_to(root).as_posix(): path.lstat().st_mtime_ns for path in root.rglob("*")
            if not path.relative_to(root).as_posix().startswith(own)}


def check_refused(root, reason, text):
    """Run; the reason and the text are told, and nothing on the machine has changed."""
    before = tree(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, reason), status
    assert text in status["text"] and status["remedy"], status
    after = tree(root)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed <= {"run", "var/lib", "var/log"}, changed  # the agent's own folders are made there
    assert not litter(root)


def events(status, name):
    """The texts of one kind of event."""
    return [row["detail"] for row in status["timeline"] if row["event"] == name]


def check_installed(root, event, text, kernel=KERNEL):
    """Run; the module is in place, and what was found out of it is told."""
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), status
    assert text in events(status, event)[0], status
    assert list((root / f"lib/modules/{kernel}/updates/larder").iterdir())


def test_a_module_for_another_kernel(tmp_path):
    """Without symbol versions the release has to be the same; nothing else need be known."""
    module = made_ko("6.1.0-2-test", {}, flags="SMP mod_unload ").replace(b"__versions", b"__nothing_")
    root = machine(tmp_path, {"ko": module}, OPEN)
    check_refused(root, "kernel", f"nic.ko: it was built for kernel 6.1.0-2-test, not for {KERNEL}")


def test_a_symbol_whose_version_differs(tmp_path):
    root = machine(tmp_path, {"ko": MODULE}, OPEN | {HEADERS: symvers(NEEDS | {"_printk": 1})})
    check_refused(root, "kernel", "nic.ko: the version of symbol _printk differs: the module wants 0x92997ed8, "
                                  "the kernel has 0x00000001")


def test_a_symbol_that_the_kernel_does_not_have(tmp_path):
    had = {name: crc for name, crc in NEEDS.items() if name != "register_netdev"}
    root = machine(tmp_path, {"ko": MODULE}, OPEN | {HEADERS: symvers(had)})
    check_refused(root, "kernel", f"nic.ko: kernel {KERNEL} has no symbol register_netdev")


@pytest.mark.parametrize("files, reason, text", [
    ({SECURE_BOOT: b"\6\0\0\0\1"}, "secure_boot", "it has no signature, and Secure Boot is on"),
    ({SECURE_BOOT: b"\6\0\0\0\1", LOCKDOWN: "none [integrity] confidentiality\n"}, "secure_boot",
     "it has no signature, and Secure Boot is on"),
    ({SECURE_BOOT: b"\6\0\0\0\0", LOCKDOWN: "none integrity [confidentiality]\n"}, "module_unsigned",
     "it has no signature, and the kernel is locked down"),
    ({SIG_ENFORCE: "Y\n"}, "module_unsigned", "it has no signature, and module.sig_enforce is set"),
])
def test_an_unsigned_module(tmp_path, files, reason, text):
    root = machine(tmp_path, {"ko": MODULE}, files | {HEADERS: symvers(NEEDS)})
    check_refused(root, reason, "nic.ko: " + text)


def test_one_of_two_modules_decides(tmp_path):
    other = made_ko(KERNEL, NEEDS, flags="SMP preempt_rt mod_unload modversions ")
    module = {f"lib/modules/{KERNEL}/modules.dep": "kernel/nic.ko:\n", f"lib/modules/{KERNEL}/kernel/nic.ko": MODULE}
    root = machine(tmp_path, {"ko": MODULE, "x.ko": other}, OPEN | module)
    check_refused(root, "kernel", 'nic.x.ko: vermagic differs: the module has "preempt_rt" where the kernel has '
                                  '"preempt"')


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"module", MODULE[:-1], gzip.compress(MODULE)[:-9]])
def test_a_file_that_is_no_module(tmp_path, data):
    check_refused(machine(tmp_path, {"ko": data}), "step_failed", "nic.ko: no kernel module")


@pytest.mark.parametrize("where, pack", [
    (HEADERS, bytes), (f"lib/modules/{KERNEL}/symvers.gz", gzip.compress), (f"boot/symvers-{KERNEL}.gz", gzip.compress),
    (f"lib/modules/{KERNEL}/symvers.xz", lzma.compress), (f"boot/symvers-{KERNEL}.xz", lzma.compress),
    (f"usr/src/kernels/{KERNEL}/Module.symvers", bytes),
])
def test_a_module_that_fits(tmp_path, where, pack):
    root = machine(tmp_path, {"ko": MODULE}, OPEN | {where: pack(symvers(NEEDS).encode())})
    check_installed(root, "modules fit", f"nic.ko: vermagic and 3 symbols fit kernel {KERNEL}")


def test_the_build_link_leads_to_the_headers(tmp_path):
    root = machine(tmp_path, {"ko": MODULE}, OPEN | {"usr/src/elsewhere/Module.symvers": symvers(NEEDS)})
    (root / f"lib/modules/{KERNEL}/build").symlink_to("/usr/src/elsewhere")
    check_installed(root, "modules fit", "3 symbols")


def test_where_nothing_can_be_compared_that_is_said(tmp_path):
    root = machine(tmp_path, {"ko": MODULE})
    check_installed(root, "modules not compared", "3 of 3 symbol versions were not compared (_printk, ...); it has no "
                                                  "signature, and whether the kernel wants one is not known")


def test_other_kernels_are_judged_and_told(tmp_path):
    """Of the installed kernels only the running one can refuse; for the others it is said."""
    other, third = "6.1.0-9-test", "6.1.0-10-test"
    root = machine(tmp_path, {"ko": MODULE}, OPEN | {
        HEADERS: symvers(NEEDS),
        HEADERS.replace(KERNEL, other): symvers(NEEDS | {"_printk": 1}), f"lib/modules/{other}/modules.order": "",
        HEADERS.replace(KERNEL, third): symvers(NEEDS), f"lib/modules/{third}/modules.order": ""})
    check_installed(root, "modules fit", f"kernel {KERNEL}")
    status = json.loads((root / "run/larder/status.json").read_text())["moments"]["main"]
    said, = events(status, "other kernel")
    assert said.startswith(f"nic 1.0 nic: kernel {other}: would not load: nic/nic.ko: the version of symbol _printk "
                           "differs")


@pytest.mark.parametrize("ending, pack", PACKINGS)
def test_packed_modules_are_compared(tmp_path, ending, pack):
    """The bundle's and the kernel's own, however they are packed."""
    own = {f"lib/modules/{KERNEL}/modules.dep": f"kernel/nic.{ending}:\n",
           f"lib/modules/{KERNEL}/kernel/nic.{ending}": pack(MODULE)}
    root = machine(tmp_path / "1", {ending: pack(MODULE)}, OPEN | own)
    said = f"nic.{ending}: vermagic and 3 symbols fit kernel {KERNEL}"
    if ending == "ko.gz" and "-ZLIB" in subprocess.run(["depmod", "--version"], capture_output=True, text=True).stdout:
        _, status = firstboot(root)  # Debian's depmod would lose the kernel's own module, and is not believed
        assert said in events(status, "modules fit")[0] and "modules.dep" in status["text"], status
    else:
        check_installed(root, "modules fit", said)
    wrong = pack(made_ko(KERNEL, NEEDS | {"_printk": 1}))
    check_refused(machine(tmp_path / "2", {ending: wrong}, OPEN | own), "kernel", "symbol _printk differs")
    check_refused(machine(tmp_path / "3", {ending: pack(MODULE)[:-9]}, OPEN | own), "step_failed",
                  f"nic.{ending}: no kernel module")


def test_the_kernel_s_own_modules_answer_where_there_are_no_headers(tmp_path):
    own = {f"lib/modules/{KERNEL}/modules.dep": "kernel/a.ko.gz:\n",
           f"lib/modules/{KERNEL}/kernel/a.ko.gz": gzip.compress(made_ko(KERNEL, NEEDS | {"_printk": 1}, "a"))}
    root = machine(tmp_path, {"ko": MODULE}, OPEN | own)
    check_refused(root, "kernel", "symbol _printk differs")


# Debian's own kernels: a real module, and the headers of the kernel it is for and of another.


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """(release, e1000e.ko, folder with the headers of that kernel and of its cloud flavour)."""
    release = pieces.kernel_release()
    folder = tmp_path_factory.mktemp("headers")
    cloud = release.replace("-amd64", "-cloud-amd64")
    for name in (release, cloud):
        pieces.run("apt-get", "-o", "APT::Sandbox::User=root", "download", f"linux-headers-{name}", cwd=folder)
    for package in folder.glob("*.deb"):
        pieces.run("dpkg-deb", "-x", package, folder)
    return release, cloud, Path(pieces.module_file("e1000e")).read_bytes(), folder


def headers(real_kernel, name):
    """The file as it lies on a machine with the headers of that kernel."""
    path = f"usr/src/linux-headers-{name}/Module.symvers"
    return {path: (real_kernel[3] / path).read_bytes()}


def test_a_real_module_fits_its_own_kernel(tmp_path, real):
    release, _, module, _ = real
    root = machine(tmp_path, {"ko": module}, OPEN | headers(real, release), release)
    check_installed(root, "modules fit", f"symbols fit kernel {release}", release)


def test_a_real_module_and_another_kernel(tmp_path, real):
    release, cloud, module, _ = real
    root = machine(tmp_path, {"ko": module}, OPEN | headers(real, cloud), cloud)
    check_refused(root, "kernel", "the version of symbol")
    named = json.loads((root / "run/larder/status.json").read_text())["moments"]["main"]["text"]
    symbol = named.split("of symbol ")[1].split()[0]
    ours, theirs = ([line for line in headers(real, name).popitem()[1].decode().splitlines()
                     if line.split("\t")[1] == symbol] for name in (release, cloud))
    assert ours[0].split()[0] in named and theirs[0].split()[0] in named, named


def test_a_real_signature_under_secure_boot(tmp_path, real):
    """The kernel's own modules have the same signer; without one of them that is not known."""
    release, _, module, _ = real
    locked = {SECURE_BOOT: b"\6\0\0\0\1", LOCKDOWN: "none [integrity] confidentiality\n"} | headers(real, release)
    root = machine(tmp_path / "1", {"ko": module}, locked, release)
    check_installed(root, "modules not compared", "and Secure Boot is on: whether the machine has that key is not known",
                    release)
    own = Path(pieces.module_file("failover")).read_bytes()
    root = machine(tmp_path / "2", {"ko": module}, locked | {
        f"lib/modules/{release}/kernel/failover.ko": own,
        f"lib/modules/{release}/modules.dep": "kernel/failover.ko:\n"}, release)
    check_installed(root, "modules fit", f"symbols fit kernel {release}", release)
    bare = tmp_path / "bare.ko"
    bare.write_bytes(module)
    subprocess.run(["strip", "-g", bare], check=True)  # takes the signature off, and nothing the kernel needs
    check_refused(machine(tmp_path / "3", {"ko": bare.read_bytes()}, locked, release), "secure_boot",
                  "it has no signature, and Secure Boot is on")


# Packages: the machine's own apt-get is asked, with no repository, before dpkg is run.

DPKG = r"""
#include <stdio.h>
#include <string.h>
int main(int count, char **word)
{
	FILE *calls = fopen("/tmp/calls", "a");

	for (int i = 0; i < count; i++)
		fprintf(calls, "%s%c", word[i], i + 1 < count ? ' ' : '\n');
	if (strstr(word[0], "dpkg-deb"))
		puts("1");
	return strstr(word[0], "dpkg-query") != NULL;
}
"""
STATUS = """Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21
Maintainer: a <a@example.org>
Description: x

"""


def deb(folder, name, more=""):
    """A package that holds nothing."""
    put(folder, {f"{name}/DEBIAN/control": f"Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: "
                                           f"a <a@example.org>\n{more}Description: x\n"})
    subprocess.run(["dpkg-deb", "-b", folder / name, folder / f"{name}.deb"], check=True, stdout=subprocess.DEVNULL)
    return (folder / f"{name}.deb").read_bytes()


def add_program(root, program):
    """A program of this host and the libraries it needs, at the same paths below the root."""
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    files = [program] + [word for word in needed.split() if word.startswith("/")]
    for name in files:
        place = root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, place)


def packaged(folder, debs, apt=True, status=STATUS, before=None, dpkg=None):
    """A machine with apt-get, a dpkg that notes its calls, and a bundle of packages for it."""
    made = folder / "made"
    files = {f"vendor/{name}.deb": deb(made, name, more) for name, more in debs.items()}
    shop = Workshop(folder / "shop", files)

    def change(document):
        document["template"]["early"] = False
        document["bundles"][0]["take"][0]["members"] = ["*.deb"]
        document["bundles"][0]["install"] = (before or []) + [{"do": "packages", "files": ["nic/*.deb"]}]

    shop.write_manifest(change)
    shop.bake()
    root = make_root(folder / "root")
    put(root, {"var/lib/dpkg/status": status, "etc/apt/apt.conf.d/x": ""})
    (root / "dev").mkdir()
    os.mknod(root / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    if apt:
        add_program(root, "/usr/bin/apt-get")
        add_program(root, "/usr/lib/apt/methods/file")
        shutil.copytree("/usr/share/dpkg", root / "usr/share/dpkg")
    (dpkg or add_noting_dpkg)(root)
    shop.embed(root)
    return root


def add_noting_dpkg(root):
    """A dpkg that installs nothing."""
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    (root / "dpkg.c").write_text(DPKG)
    subprocess.run(["gcc", "-static", "-o", root / "usr/bin/dpkg", root / "dpkg.c"], check=True)
    for name in ("dpkg-deb", "dpkg-query"):
        shutil.copy(root / "usr/bin/dpkg", root / "usr/bin" / name)


def add_real_dpkg(root):
    """This host's dpkg and the programs it looks for."""
    for name in ("dpkg", "dpkg-deb", "dpkg-query", "dpkg-split", "tar", "rm", "sh", "diff"):
        add_program(root, shutil.which(name))
    for name in ("ldconfig", "start-stop-daemon"):
        add_program(root, f"/sbin/{name}")
    put(root, {"var/lib/dpkg/info/format": "1\n", "var/lib/dpkg/available": "", "var/lib/dpkg/info/dpkg.list": "/.\n"})
    (root / "var/lib/dpkg/updates").mkdir()


def installs(root):
    """The calls of dpkg that would install."""
    calls = root / "tmp/calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [line for line in lines if line.startswith("dpkg ") and " -i " in line]


CLOSURE = {"app": "Depends: base (>= 1), helper\n", "base": "", "helper": ""}


def test_a_closure_that_is_complete(tmp_path):
    root = packaged(tmp_path, CLOSURE)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), status
    assert events(status, "packages checked") == ["nic 1.0 nic: installable without a repository"]
    assert len(installs(root)) == 1


@pytest.mark.parametrize("left_out, text", [("helper", "missing: helper for app"),
                                            ("base", "missing: base (>= 1) for app")])
def test_one_package_left_out_is_named_and_nothing_is_installed(tmp_path, left_out, text):
    debs = {name: more for name, more in CLOSURE.items() if name != left_out}
    root = packaged(tmp_path, debs, before=[{"do": "files", "files": ["nic/*.deb"], "into": "/etc/larder-test"}])
    before = tree(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert status["text"].endswith("not installable without a repository; " + text), status
    assert not installs(root)
    changed = {name for name, when in tree(root).items() if before.get(name) != when}
    assert changed <= {"run", "var/lib", "var/log", "tmp", "tmp/calls"}, changed
    assert "unmet dependencies" in (root / "var/log/larder.log").read_text()


def test_what_the_machine_has_already_need_not_be_carried(tmp_path):
    has = STATUS + STATUS.replace("dpkg", "helper")
    root = packaged(tmp_path, {"app": CLOSURE["app"], "base": ""}, status=has)
    assert firstboot(root)[1]["reason"] == "done"
    assert len(installs(root)) == 1


def test_where_apt_cannot_tell_dpkg_is_tried(tmp_path):
    sick = STATUS + STATUS.replace("dpkg", "sick").replace("Version: 1.21\n", "Version: 1\nDepends: nowhere\n")
    for number, options, text in ((1, {"apt": False}, "apt-get: no such program"),
                                  (2, {"status": sick}, "packages of this machine lack something already")):
        root = packaged(tmp_path / str(number), CLOSURE, **options)
        status = firstboot(root)[1]
        assert status["reason"] == "done" and text in events(status, "packages not checked")[0], status
        assert len(installs(root)) == 1


def test_packages_with_pre_dependencies_go_in_whatever_order_they_have(tmp_path):
    """dpkg refuses a package whose pre-dependency stands behind it in one call; the next call takes it."""
    chain = {"a": "Pre-Depends: b\n", "b": "Pre-Depends: c\n", "c": "", "d": "Depends: a\n"}
    root = packaged(tmp_path, chain, dpkg=add_real_dpkg)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), (root / "var/log/larder.log").read_text()
    listed = (root / "var/lib/dpkg/status").read_text()
    assert listed.count("Status: install ok installed") == 1 + len(chain), listed


def test_a_package_that_fails_is_not_tried_for_ever(tmp_path):
    """A pre-dependency that fails to configure leaves as many as before: one more call, and the reason."""
    chain = {"a": "Pre-Depends: b (>= 2)\n", "b": ""}
    root = packaged(tmp_path, chain, apt=False, dpkg=add_real_dpkg)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed"), status
    assert "pre-dependency problem" in status["text"]
    assert (root / "var/log/larder.log").read_text().count("output of dpkg") == 2
