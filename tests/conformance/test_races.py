"""Somebody rewrites the cache while the agent installs from it (THREATS.md, T1 and T10)."""

import os
import shutil
import threading

import pytest

from made import BIG, CONF, MODULE, make
from made_tar import ball_of
from routes import PLACE
from test_firstboot import firstboot, installed, litter, make_root

GOOD = {"big.bin": BIG, "nic.conf": CONF, "nic.ko": MODULE}
RUNS = 8
NAMES = ("big", "conf", "module")


def evil(data):
    """As many bytes, and all of them others."""
    return data.translate(bytes(range(255, -1, -1)))


class Cache:
    """A cache in a machine, a copy of it, and a second one whose blobs are evil."""

    def __init__(self, folder):
        self.root = make_root(folder / "root")
        self.made = make(self.root / PLACE, self.root / "etc/larder/trust.json", {})
        self.blobs = self.made.folder / "blobs/sha256"
        self.evil = folder / "evil"
        shutil.copytree(self.blobs, self.evil)
        self.spare = folder / "spare"
        self.spare.mkdir()
        for name in NAMES:
            path = self.evil / self.made.names[name]
            path.write_bytes(evil(path.read_bytes()))
        self.pieces = ball_of(self.made).pieces
        self.good = {name: self.made.blob(name).read_bytes() for name in NAMES}


def rename_blobs(cache):
    """Other files under the names of the blobs, and back."""
    for name in NAMES:
        for source in (cache.evil / cache.made.names[name], None):
            data = source.read_bytes() if source else cache.good[name]
            (cache.spare / name).write_bytes(data)
            os.replace(cache.spare / name, cache.made.blob(name))


def rewrite_blobs(cache):
    """Other bytes in the same files, and back: an open descriptor sees them."""
    for name in NAMES:
        for data in (evil(cache.good[name]), cache.good[name]):
            with open(cache.made.blob(name), "r+b") as handle:
                handle.write(data)


def resize_blobs(cache):
    """The same files, cut and longer."""
    for name in NAMES:
        size = len(cache.good[name])
        for length in (size // 2, size + 4096, size):
            os.truncate(cache.made.blob(name), length)
        with open(cache.made.blob(name), "r+b") as handle:
            handle.write(cache.good[name])


def link_blobs(cache):
    """Links to evil files in the place of blobs."""
    for name in NAMES:
        (cache.spare / name).symlink_to(cache.evil / cache.made.names[name])
        os.replace(cache.spare / name, cache.made.blob(name))
        (cache.spare / name).write_bytes(cache.good[name])
        os.replace(cache.spare / name, cache.made.blob(name))


def link_folder(cache):
    """A link to a folder of evil files in the place of the folder of blobs, and back."""
    cache.blobs.rename(cache.spare / "away")
    cache.blobs.symlink_to(cache.evil)
    cache.blobs.unlink()
    (cache.spare / "away").rename(cache.blobs)


def rewrite_tar(cache):
    """Other bytes within the one tar, and back."""
    at = 0
    for piece in cache.pieces:
        at += 512
        if piece.data in cache.good.values():
            for written in (evil(piece.data), piece.data):
                with open(cache.root / (PLACE + ".tar"), "r+b") as handle:
                    handle.seek(at)
                    handle.write(written)
        at += len(piece.body)


class Hostile(threading.Thread):
    """Does one thing over and over, as fast as it can; what it did is whole again at its end."""

    def __init__(self, act, cache):
        super().__init__()
        self.act, self.cache, self.ended, self.times = act, cache, threading.Event(), 0

    def run(self):
        while not self.ended.is_set():
            self.act(self.cache)
            self.times += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def forget(root):
    """The machine as it was before its first run."""
    shutil.rmtree(root / "var/lib/larder", ignore_errors=True)
    shutil.rmtree(root / "etc/larder-test", ignore_errors=True)


def run_once(cache):
    """One run of the agent: all of the good bytes, or none of any."""
    forget(cache.root)
    code, status = firstboot(cache.root)
    laid = installed(cache.root)
    assert status["reason"] in ("done", "damaged", "not_carried", "untrusted"), status
    assert laid == (GOOD if status["reason"] == "done" else {}), (status, sorted(laid))
    assert (code == 0) == (status["reason"] == "done") and not litter(cache.root)
    return status["reason"]


ACTS = (rename_blobs, rewrite_blobs, resize_blobs, link_blobs, link_folder, rewrite_tar)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_what_is_installed_is_what_was_checked(tmp_path, act):
    cache = Cache(tmp_path)
    if act is rewrite_tar:
        (cache.root / (PLACE + ".tar")).write_bytes(ball_of(cache.made).bytes())
        cache.made.folder.rename(tmp_path / "cache")
        cache.made.folder = tmp_path / "cache"
    with Hostile(act, cache) as hostile:
        for _ in range(RUNS):
            run_once(cache)
    assert hostile.times >= RUNS // 2
    assert run_once(cache) == "done"
