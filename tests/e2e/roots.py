"""roots.py - minimal roots of Debian's releases, made once and kept under build/roots."""

import fcntl
import hashlib

from closures import command
from larder import TOP

ROOTS = TOP / "build" / "roots"
MMDEBSTRAP = ("mmdebstrap", "--variant=minbase", "--format=tar")


def root_tar(release, *more):
    """A minimal root of a release, made once; a changed recipe makes it anew. more: words of the recipe."""
    key = hashlib.sha256(" ".join((*MMDEBSTRAP, *more)).encode()).hexdigest()[:8]
    ROOTS.mkdir(parents=True, exist_ok=True)
    final = ROOTS / f"{release}-{key}.tar"
    with open(ROOTS / f"{release}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.exists():
            draft = ROOTS / f"{release}-draft.tar"
            command(*MMDEBSTRAP, *more, release, draft)
            draft.rename(final)
    return final


def unpack(release, folder, *more):
    """A root of this release that a test may change."""
    folder.mkdir(exist_ok=True)
    command("tar", "-x", "--exclude=./dev/*", "-f", root_tar(release, *more), "-C", folder)
    return folder
