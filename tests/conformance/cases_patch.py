"""cases_patch.py - a file as frames against parts of another blob (FORMAT.md 7.3)."""

import hashlib
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from cases_tree import GOOD as TREE
from changes import OTHER, Case, drop, flip, gone, many, on, put
from made import BIG, MODULE, blob_of, file_of, zstd_frame
from made_tar import END

MIB = 1 << 20
FRAME, PREFIX = 4 * MIB, 8 * MIB
NEAR = MODULE[:900] + b"of another kernel" + MODULE[900:]
NOISE = hashlib.shake_128(b"the module of the first kernel").digest(9 * MIB + 77)
LARGE = NOISE[5 * MIB :] + b"a module" + NOISE[:1000]  # two frames, the second is small
TAR = b"".join(TREE) + END
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\0\0\0abc"


@lru_cache(None)
def frame(data, prefix, *options):
    """One frame of zstd's own, with a prefix."""
    with tempfile.TemporaryDirectory() as folder:
        near, plain = Path(folder, "near"), Path(folder, "plain")
        near.write_bytes(prefix)
        plain.write_bytes(data)
        words = ["zstd", "-q", "-c", "--long=23", *options, f"--patch-from={near}", plain]
        return subprocess.run(words, check=True, capture_output=True).stdout


def frames(data, base, places):
    """A frame for each place."""
    return b"".join(
        frame(data[i * FRAME : (i + 1) * FRAME], base[at : at + PREFIX])
        for i, at in enumerate(places)
    )


def base_of(data, stored=None):
    """A record's word for a base; stored is its blob when that is zstd."""
    return {
        "encoding": "identity" if stored is None else "zstd",
        "size": len(data),
        "blob": blob_of(data if stored is None else stored),
    }


def patch(
    name, verdict="damaged", step=9, data=MODULE, near=NEAR, places=(0,), stored=None, packed=None, **more
):
    """A record whose third file is a patch of near; stored and packed are the blobs of patch and base."""
    stored = frames(data, near, places) if stored is None else stored
    change, disk, agent = (more.pop(key, None) for key in ("change", "disk", "agent"))

    def record(value):
        value["files"][2] = {
            **file_of("nic/nic.ko", data, stored, 493),
            "encoding": "zstd-patch",
            "base": base_of(near, packed),
            "from": list(places),
            **more,
        }
        if change:
            change(value)

    def on_disk(made):
        made.put(near if packed is None else packed, "base")
        if disk:
            disk(made)

    def after(root):
        assert (root / "etc/larder-test/nic.ko").read_bytes() == data

    changes = {"module": lambda value: stored, "record": record, "disk": on_disk}
    whole = verdict == "clean" and not agent and not more
    return Case(f"patch: {name}", changes, verdict, step, agent=agent, after=after if whole else None)


def fine(name, **more):
    """A patch that a machine lays down."""
    return patch(name, "clean", None, **more)


def absent(name, disk):
    """A blob that is not here is no finding."""
    return patch(name, "clean", None, disk=disk, agent="not_carried")


def good_patches():
    """What may be."""
    yield fine("of a plain file")
    yield fine("of a packed one", packed=zstd_frame(NEAR))
    yield fine("of a file of this bundle", near=BIG, places=(2 * MIB,))
    yield fine("of two frames", data=LARGE, near=NOISE, places=(MIB + 77, MIB + 77))
    yield fine("of two frames, the prefix moves on", data=LARGE, near=NOISE, places=(2 * MIB, 9 * MIB))
    yield fine("of bytes that it has nothing from", near=b"x", places=(0,))
    yield fine("with a prefix of a byte", places=(len(NEAR) - 1,))
    yield fine("a byte long", data=b"x")
    yield fine("that is not packed", stored=zstd_frame(MODULE))
    yield fine("whose base has its own bytes", near=MODULE)
    yield fine("that is its own base and needs none", near=zstd_frame(MODULE), stored=zstd_frame(MODULE))
    tree = {"encoding": "tar+zstd-patch", "entries": len(TREE), "path": "nic/tree"}
    yield patch(
        "a tree",
        "clean",
        None,
        data=TAR,
        near=TAR.replace(b"nic.c", b"cin.c"),
        change=put("install", 0, "files", 2, "nic/tree"),
        **tree,
    )
    yield patch(
        "a tree that is none",
        data=TAR[:-512],
        near=TAR,
        change=put("install", 0, "files", 2, "nic/tree"),
        **tree,
    )
    yield patch(
        "a tree of one entry too few",
        data=TAR,
        near=TAR[:-1],
        change=put("install", 0, "files", 2, "nic/tree"),
        **{**tree, "entries": len(TREE) + 1},
    )


def words():
    """The record's side of it."""
    at = ("files", 2)
    for name, change in [
        ("no base", drop(*at, "base")),
        ("no from", drop(*at, "from")),
        ("a base that is a list", put(*at, "base", [])),
        ("a base without an encoding", drop(*at, "base", "encoding")),
        ("a base without a size", drop(*at, "base", "size")),
        ("a base without a blob", drop(*at, "base", "blob")),
        ("a base with a path", put(*at, "base", "path", "nic/nic.ko")),
        ("a base with a base", put(*at, "base", "base", base_of(NEAR))),
        ("a base with chunks that it should not have", put(*at, "base", "blob", "chunks", [OTHER])),
        ("an identical base of another size", put(*at, "base", "size", len(NEAR) + 1)),
        ("an empty base", put(*at, "base", base_of(b""))),
        ("from is empty", put(*at, "from", [])),
        ("from is a number", put(*at, "from", 0)),
        ("from has one too many", put(*at, "from", [0, 0])),
        ("from is negative", put(*at, "from", [-1])),
        ("from is a text", put(*at, "from", ["0"])),
        ("from is true", put(*at, "from", [True])),
        ("from is a fraction", put(*at, "from", [0.5])),
        ("from is at the base's end", put(*at, "from", [len(NEAR)])),
        ("from is beyond 2^53", put(*at, "from", [1 << 60])),
        ("size 0", many(put(*at, "size", 0), put(*at, "from", []))),
        ("a base at a file that is no patch", put(*at, "encoding", "zstd")),
        ("a base at an identical file", put("files", 1, "base", base_of(NEAR))),
        ("entries at a patch that is no tree", put(*at, "entries", 1)),
        ("a tree without entries", put(*at, "encoding", "tar+zstd-patch")),
    ]:
        yield patch(name, step=7, change=change)
    for encoding in ("zstd-patch", "tar+zstd-patch", "tar+zstd", "gzip", "", None, ["zstd"]):
        yield patch(
            f"a base with the encoding {encoding!r}", step=7, change=put(*at, "base", "encoding", encoding)
        )
    for encoding in ("patch", "zstd+patch", "identity-patch", "tar+patch"):
        yield patch(f"the encoding {encoding}", step=7, encoding=encoding)
    two = {"data": LARGE, "near": NOISE, "places": (MIB, MIB)}
    yield patch("one place for two frames", step=7, change=put(*at, "from", [MIB]), **two)
    yield patch("a place before the last one", step=7, change=put(*at, "from", [MIB, 0]), **two)


def sizes():
    """What comes out has the signed size, and so has what it is made from."""
    for name, size in [("less", len(MODULE) - 1), ("more", len(MODULE) + 1), ("much more", FRAME)]:
        yield patch(f"decodes to another size: {name} is signed", size=size)
    packed = zstd_frame(NEAR)
    for name, size in [("less", len(NEAR) - 1), ("more", len(NEAR) + 1), ("much more", 1 << 33)]:
        yield patch(
            f"its base decodes to another size: {name} is signed",
            packed=packed,
            change=put("files", 2, "base", "size", size),
        )
    two = {"data": LARGE, "near": NOISE, "places": (0, 0)}
    for name, cut in [("early", FRAME - 1), ("late", FRAME + 1)]:
        made = frame(LARGE[:cut], NOISE[:PREFIX]) + frame(LARGE[cut:], NOISE[:PREFIX])
        yield patch(f"a frame ends {name}", stored=made, **two)
    yield patch("one frame for two", stored=frame(LARGE, NOISE[:PREFIX]), **two)


def bytes_of_it():
    """Digests fit, and what they are of does not."""
    good = frame(MODULE, NEAR)
    assert len(good) < 200
    for at in range(len(good)):
        yield patch(f"cut at {at}", stored=good[:at])
    for name, made in [
        ("a byte behind it", good + b"x"),
        ("a second frame", good + good),
        ("an empty frame before it", zstd_frame(b"") + good),
        ("an empty frame behind it", good + zstd_frame(b"")),
        ("a skippable frame before it", SKIPPABLE + good),
        ("a skippable frame behind it", good + SKIPPABLE),
        ("a skippable frame alone", SKIPPABLE),
        ("a window of 9 MiB", zstd_frame(MODULE, 0, b"\x69")),
        ("a window of 3 TiB", zstd_frame(MODULE, 0, b"\xfc")),
        ("a dictionary", zstd_frame(MODULE, 0x61, b"\x05" + (len(MODULE) - 256).to_bytes(2, "little"))),
        ("not zstd", MODULE),
        ("a bomb", b"\x28\xb5\x2f\xfd\0\x50" + (b"\x02\0\x10\0" * 20000) + b"\x01\0\0"),
    ]:
        yield patch(name, stored=made)
    yield patch("made for another base", stored=frame(MODULE, NEAR), near=b"y" * len(NEAR))
    yield patch("made for another place", stored=frame(MODULE, NEAR), places=(700,))
    for name, made in [
        ("not zstd", NEAR),
        ("a cut frame", zstd_frame(NEAR)[:-1]),
        ("followed by a byte", zstd_frame(NEAR) + b"x"),
        ("packed with a window of 9 MiB", zstd_frame(NEAR, 0, b"\x69")),
        ("a patch itself", frame(NEAR, MODULE)),
    ]:
        yield patch(f"its base is {name}", packed=made)


def on_the_disk():
    """Both blobs are what was signed, or not here."""
    for blob in ("base", "module"):
        yield patch(f"a bit of its {blob} is flipped", step=8, disk=on(blob, flip(-1)))
        yield patch(f"its {blob} is cut", step=8, disk=on(blob, lambda data: data[:-1]))
        yield absent(f"its {blob} is not here", gone(blob))
    yield absent("neither blob is here", lambda made: gone("base")(made) or gone("module")(made))
    for one, other in (("base", "module"), ("module", "base")):
        yield patch(
            f"its {one} is not here, its {other} is damaged",
            step=8,
            disk=lambda made, one=one, other=other: gone(one)(made) or on(other, flip(0))(made),
        )
    yield patch(
        "it is not here, and its base decodes to nothing",
        packed=zstd_frame(NEAR)[:-1],
        disk=gone("module"),
    )
    large = {"data": LARGE, "near": NOISE, "places": (0, 0)}
    for at in (0, 5 * MIB, len(NOISE) - 1):
        yield patch(f"a bit of its base is flipped at {at}", step=8, disk=on("base", flip(at)), **large)
    yield patch(
        "a chunk of its base has another digest",
        step=8,
        change=put("files", 2, "base", "blob", "chunks", 9, OTHER),
        **large,
    )


def patch_cases():
    """All of section 7.3."""
    for part in (good_patches, words, sizes, bytes_of_it, on_the_disk):
        yield from part()
