"""peers.py - the programs that larder is measured beside, each doing the same work as ours."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import kitchen
from measure import WORK, Command

FOLDER = WORK / "peers"


@dataclass
class Making(Command):
    """A command that makes something."""

    output: Path = None


def fresh(path):
    """A function that removes what the last run made."""
    def remove():
        FOLDER.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    return remove


def shell(name, text, output, prepare=""):
    """A shell command that makes its output anew each time; prepare is not measured."""
    environment = {"BORG_BASE_DIR": str(FOLDER / "borg-home"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}

    def before():
        fresh(output)()
        subprocess.run(["sh", "-ec", prepare], check=True, capture_output=True, env={**os.environ, **environment})
    return Making(name, ["sh", "-c", text], before, environment, output=output)


# --- hashing --------------------------------------------------------------------------------------


def openssl_dgst(files):
    """One thread, the same bytes."""
    return Command("openssl dgst", ["openssl", "dgst", "-sha256", *files])


def sha256sum(files):
    """coreutils'."""
    return Command("sha256sum", ["sha256sum", *files])


def openssl_speed(cores):
    """Bytes per second that so many processes hash, out of their caches."""
    words = ["openssl", "speed", "-multi", str(cores), "-seconds", "1", "-bytes", "262144", "-evp", "sha256"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"^sha256 +([\d.]+)k", said, re.M)[1]) * 1000


def rauc_info(folder):
    """RAUC's check of a bundle of the same files, signed by a key of its own."""
    made, bundle = FOLDER / "rauc", FOLDER / "rauc/debs.raucb"
    if not bundle.exists():
        shutil.rmtree(made, ignore_errors=True)
        content = made / "content"
        content.mkdir(parents=True)
        subprocess.run(["tar", "-cf", content / "debs.tar", "-C", folder, "."], check=True)
        (content / "manifest.raucm").write_text("[update]\ncompatible=bench\nversion=1\n[bundle]\nformat=plain\n"
                                                "[image.rootfs]\nfilename=debs.tar\n")
        quiet = {"check": True, "capture_output": True, "cwd": made}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
                        "cert.pem", "-subj", "/CN=bench", "-days", "36500"], **quiet)
        subprocess.run(["rauc", "--cert", "cert.pem", "--key", "key.pem", "bundle", "content", "draft.raucb"], **quiet)
        (made / "draft.raucb").rename(bundle)
    return Command("rauc info", ["rauc", "--keyring", made / "cert.pem", "info", bundle])


# --- packing --------------------------------------------------------------------------------------


def zstd_pipeline(tree):
    """tar into zstd with a long window, two threads."""
    output = FOLDER / "tree.tar.zst"
    text = f"tar --sort=name -cf - -C {tree} . | zstd -q -3 --long=27 -T2 -o {output}"
    return shell("tar, zstd -3 --long=27 -T2", text, output)


def tar_zstd(tree):
    """tar into zstd with the usual window: unpacking takes less than with a long one."""
    output = FOLDER / "tree.usual.tar.zst"
    return shell("tar, zstd -3", f"tar --sort=name -cf - -C {tree} . | zstd -q -3 -T2 -o {output}", output)


def mksquashfs(tree):
    """A squashfs, zstd."""
    output = FOLDER / "tree.squashfs"
    text = f"mksquashfs {tree} {output} -comp zstd -Xcompression-level 3 -quiet -no-progress"
    return shell("mksquashfs, zstd 3", text, output)


def casync(tree, store=FOLDER / "casync"):
    """Chunks by content."""
    words = f"casync make --store={store}/s.castr {store}/{os.path.basename(tree)}.caidx {tree}"
    return shell("casync make", words, store, f"mkdir -p {store}")


def borg(tree, store=FOLDER / "borg"):
    """Deduplicated chunks, zstd."""
    return shell("borg create, zstd 3", f"borg create -C zstd,3 {store}::a{os.path.basename(tree)} {tree}", store,
                 f"borg init -e none {store}")


def ostree(tree):
    """Content-addressed files, zlib."""
    store = FOLDER / "ostree"
    return shell("ostree commit", f"ostree commit --repo={store} -b tree --tree=dir={tree}", store,
                 f"ostree init --repo={store} --mode=archive")


def walk(tree):
    """lstat of every file."""
    return Command("find: lstat of each file", ["find", tree, "-printf", "%s\\n"])


def patched(old, new, twin):
    """Bytes of zstd's patches from one tree to another, file by file; twin names the file that one is made like."""
    total = 0
    for path in sorted(path for path in new.rglob("*") if path.is_file() and not path.is_symlink()):
        near = old / twin(path.relative_to(new))
        if near.is_file() and near.read_bytes() == path.read_bytes():
            continue
        like = [f"--patch-from={near}"] if near.is_file() and near.stat().st_size else []
        total += len(subprocess.run(["zstd", "-q", "-3", "-c", *like, path], check=True, capture_output=True).stdout)
    return total


def growth(name, trees):
    """How much larger the peer's store of all trees is than that of the first."""
    store, sizes = FOLDER / f"{name}-growth", []
    for tree in trees:
        command = {"borg": borg, "casync": casync}[name](tree, store)
        if not sizes:
            command.before()
        subprocess.run(command.words, check=True, capture_output=True, env={**os.environ, **command.env})
        sizes.append(kitchen.size_of(store))
    shutil.rmtree(store)
    return sizes[-1] / sizes[0]


# --- laying down ------------------------------------------------------------------------------------


def made(command):
    """What a peer packed, made where it is not there yet."""
    if not command.output.exists():
        command.before()
        subprocess.run(command.words, check=True, capture_output=True, env={**os.environ, **command.env})
    return command.output


SPEC = """Name: tree
Version: 1
Release: 1
Summary: the tree
License: various
AutoReqProv: no
%define debug_package %{{nil}}
%define __os_install_post %{{nil}}
%define _build_id_links none
%define _binary_payload w3.zstdio
%description
The tree, packed by zstd -3.
%install
mkdir -p %{{buildroot}}/opt
cp -a {tree} %{{buildroot}}/opt/tree
%files
/opt/tree
"""


def rpm_package(tree):
    """An rpm of the tree."""
    folder, package = FOLDER / "rpm", FOLDER / "rpm/tree.rpm"
    if not package.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "tree.spec").write_text(SPEC.format(tree=tree))
        subprocess.run(["rpmbuild", "-bb", "--define", f"_topdir {folder}", folder / "tree.spec"], check=True,
                       capture_output=True)
        shutil.rmtree(folder / "BUILDROOT", ignore_errors=True)
        next(folder.glob("RPMS/*/*.rpm")).rename(package)
    return package
