"""corpus.py - the benchmark's files: Debian packages by name, fetched with apt, unpacked.

    debs        a driver bundle as a vendor ships it: .deb files, the driver built for one kernel
    next-debs   its next release: the same names in the next suite of the distribution
    tree        debs unpacked, one folder for each package, without the few names and links that no tree of larder holds
    k2 k3 k4    as tree, with the driver for three other kernels; k2-debs ... are those kernels' packages
    tree.tar    tree as one archive
    tars        one archive for each package of tree; k2-tars ... those of the other kernels' drivers

What exists is kept. Each set is made under another name and renamed, so a broken run leaves none half done. apt works
on lists and folders of its own, so nothing of the host changes.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build/bench/corpus"
NEXT_SUITE = "trixie"

USERLAND = """
rdma-core ibverbs-providers ibverbs-utils infiniband-diags srptools rdmacm-utils ibacm libibverbs1 libibverbs-dev
libibumad3 libibumad-dev libibmad5 libibmad-dev libibnetdisc5 libibnetdisc-dev librdmacm1 librdmacm-dev python3-pyverbs
perftest mstflint opensm opensm-doc libopensm-dev libucx0 ucx-utils libucx-dev openmpi-bin openmpi-common libopenmpi-dev
openmpi-doc libfabric-dev libfabric-bin libpsm2-2 libpsm2-dev libpsm-infinipath1 libhwloc15 libhwloc-plugins libpmix2
libevent-dev dkms lttng-modules-dkms openvswitch-switch openvswitch-common openvswitch-doc dpdk dpdk-dev libdpdk-dev
dpdk-doc iproute2 ethtool pciutils libpci3 tcpdump bpftool gcc-12 cpp-12 g++-12 libgcc-12-dev libstdc++-12-dev
binutils-x86-64-linux-gnu gfortran-12 make patch autoconf automake libnl-3-200 libnl-3-dev libnl-route-3-200
libnl-route-3-dev libnuma1 numactl tk8.6 tcl8.6 libtcl8.6 libtk8.6 nvme-cli libnvme1 open-iscsi targetcli-fb
python3-rtslib-fb ovmf qemu-efi-aarch64 seabios ipxe-qemu opensbi u-boot-qemu firmware-linux-free firmware-ath9k-htc
libc6-dev libc6-dbg linux-libc-dev python3-minimal python3.11-minimal libpython3.11-stdlib
""".split()

# The same libraries under the names of the next suite.
RENAMED = """
libibnetdisc5t64 librdmacm1t64 libibumad3t64 libibverbs1t64 libibmad5t64 libevent-2.1-7t64 libpmix2t64 libnvme1t64
gcc-14 cpp-14 g++-14 libgcc-14-dev libstdc++-14-dev gfortran-14 gcc-14-x86-64-linux-gnu cpp-14-x86-64-linux-gnu
g++-14-x86-64-linux-gnu gfortran-14-x86-64-linux-gnu python3.13-minimal libpython3.13-stdlib
""".split()


def say(text):
    """What takes long is said before it begins."""
    print(f"corpus: {text}", file=sys.stderr, flush=True)


# --- apt ------------------------------------------------------------------------------------------


def next_sources():
    """The host's own sources, their suite replaced; what has no such suite is left out."""
    codename = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.M)[1]
    parts = []
    for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
        for part in re.split(r"\n\s*\n", path.read_text()):
            suites = re.search(r"^Suites:(.*)$", part, re.M)
            if suites and codename in suites[1].split():
                parts.append(part.replace(suites[0], f"Suites: {NEXT_SUITE}"))
    if parts:
        return {"next.sources": "\n\n".join(parts) + "\n"}
    lines = Path("/etc/apt/sources.list").read_text().splitlines()
    fitting = [line for line in lines if line.startswith("deb ") and f" {codename} " in line]
    return {"next.list": "\n".join(line.replace(codename, NEXT_SUITE) for line in fitting) + "\n"}


@functools.cache
def apt_options(suite):
    """Options that give apt its own state; the package lists are read once."""
    state = FOLDER / ".apt" / suite
    for name in ("lists/partial", "cache/archives/partial", "sources"):
        (state / name).mkdir(parents=True, exist_ok=True)
    options = {"Dir::State::lists": state / "lists", "Dir::State::status": "/dev/null", "Dir::Cache": state / "cache",
               "Debug::NoLocking": "1", "APT::Sandbox::User": "root", "Acquire::Languages": "none"}
    if suite == "next":
        for name, text in next_sources().items():
            (state / "sources" / name).write_text(text)
        options.update({"Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": state / "sources"})
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    say(f"reading the package lists ({suite})")
    apt("apt-get", words, "-q", "update")
    return words


def apt(program, options, *words, cwd=None):
    """What apt says; where it fails, that is the reason that is shown."""
    done = subprocess.run([program, *options, *words], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode:
        sys.exit(f"{program} {' '.join(words[:3])} ...: {done.stderr.strip()[-2000:]}")
    return done.stdout


def download(folder, packages, suite="host"):
    """These packages, those left out that the suite does not have."""
    options = apt_options(suite)
    text = apt("apt-cache", options, "policy", *packages)
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (.*)$", text, re.M)
    folder.mkdir(parents=True)
    apt("apt-get", options, "-q", "download", *[name for name, version in found if version != "(none)"], cwd=folder)


@functools.cache
def kernels():
    """Four kernels: the two oldest and the two newest that there are, oldest first."""
    lines = apt("apt-cache", apt_options("host"), "search", "--names-only", r"^linux-headers-6\.1\.0-[0-9]+-amd64$")
    found = sorted({int(number) for number in re.findall(r"^linux-headers-6\.1\.0-(\d+)-amd64", lines, re.M)})
    if len(found) < 4:
        sys.exit(f"corpus: four kernels are needed, apt offers {len(found)}")
    return [f"6.1.0-{number}" for number in (*found[:2], *found[-2:])]


def driver(kernel):
    """The packages that are built for one kernel."""
    return [f"linux-image-{kernel}-cloud-amd64-unsigned", f"linux-headers-{kernel}-amd64",
            f"linux-headers-{kernel}-common"]


# --- sets -----------------------------------------------------------------------------------------


def is_driver(name):
    """Is a package, by its file's or folder's name, one that is built for a kernel?"""
    return name.startswith(("linux-image-", "linux-headers-"))


def release_of(tree):
    """The kernel release that the driver in a set is for."""
    names = " ".join(path.name for path in need(tree).iterdir())
    return re.search(r"linux-headers-(\S+)-common", names)[1]


NAME = r"[A-Za-z0-9._+~][A-Za-z0-9._+~-]*(?<!\.)"
RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9])(\..*)?", re.I)


def is_plain(path, top):
    """May a tree of larder hold this entry? docs/FORMAT.md, sections 1 and 7.1."""
    if not re.fullmatch(NAME, path.name) or RESERVED.fullmatch(path.name):
        return False
    if not path.is_symlink():
        return True
    target = os.readlink(path)
    inside = os.path.normpath(path.parent.relative_to(top) / target)
    return bool(re.fullmatch(rf"(\.\./)*{NAME}(/{NAME})*", target)) and not inside.startswith("..")


def unpack(debs, folder):
    """Each package in its own folder, its control files in DEBIAN."""
    folder.mkdir(parents=True, exist_ok=True)
    for deb in sorted(debs.glob("*.deb")):
        top = folder / deb.name.split("_")[0]
        subprocess.run(["dpkg-deb", "-R", deb, top], check=True)
        for path in list(top.rglob("*")):
            if (path.exists() or path.is_symlink()) and not is_plain(path, top):
                remove(path)


def make_debs(draft):
    """v1."""
    download(draft, USERLAND + driver(kernels()[0]))


def make_next_debs(draft):
    """v2: the next suite's, and the newest kernel's parts."""
    download(draft, USERLAND + RENAMED, "next")
    extra = draft.with_name(draft.name + ".kernel")
    shutil.rmtree(extra, ignore_errors=True)
    download(extra, driver(kernels()[3]))
    for deb in extra.iterdir():
        deb.rename(draft / deb.name)
    extra.rmdir()


def make_tree(draft):
    """v1 unpacked."""
    unpack(need("debs"), draft)


def make_other_debs(draft):
    """The driver's packages for the second to fourth kernel."""
    download(draft, driver(kernels()[int(draft.name[1]) - 1]))


def make_other_tree(draft):
    """v1's userland beside another kernel's driver."""
    unpack(need(draft.name[:2] + "-debs"), draft)
    for package in sorted(need("tree").iterdir()):
        if not is_driver(package.name):
            subprocess.run(["cp", "-a", "--reflink=auto", package, draft], check=True)


def pack(folder, archive):
    """A tar, as a vendor would ship it; hard links are files."""
    subprocess.run(["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--hard-dereference",
                    "-cf", archive, "-C", folder, *sorted(os.listdir(folder))], check=True)


def make_tar(draft):
    """The tree as one archive."""
    pack(need("tree"), draft)


def make_tars(draft):
    """One archive for each package; of other kernels only the driver's."""
    number = draft.name.split("tars")[0].rstrip("-")
    draft.mkdir()
    for package in sorted(need(number or "tree").iterdir()):
        if not number or is_driver(package.name):
            pack(package, draft / f"{package.name}.tar")


SETS = {"debs": make_debs, "next-debs": make_next_debs, "tree": make_tree, "tree.tar": make_tar,
        "k2-debs": make_other_debs, "k3-debs": make_other_debs, "k4-debs": make_other_debs,
        "k2": make_other_tree, "k3": make_other_tree, "k4": make_other_tree,
        "tars": make_tars, "k2-tars": make_tars, "k3-tars": make_tars, "k4-tars": make_tars}


def remove(path):
    """Remove a file, link or folder, present or not."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def need(name):
    """The folder (or file) of a set, made where it is not there yet."""
    path = FOLDER / name
    if not path.exists():
        say(f"making {name}")
        FOLDER.mkdir(parents=True, exist_ok=True)
        draft = FOLDER / f"{name}.part"
        remove(draft)
        SETS[name](draft)
        draft.rename(path)
    return path


def main():
    """Make the sets that are named, else all, and say what they hold."""
    for name in sys.argv[1:] or SETS:
        if name not in SETS:
            sys.exit(f"corpus: no set \"{name}\"; there are: {' '.join(SETS)}")
        path = need(name)
        files = [entry for entry in path.rglob("*") if entry.is_file() and not entry.is_symlink()] or [path]
        print(f"{name}: {len(files)} files, {sum(entry.lstat().st_size for entry in files)} bytes")


if __name__ == "__main__":
    main()
