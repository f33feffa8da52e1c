"""cases_tree.py - a folder as one blob, tar+zstd (FORMAT.md 7.1)."""

import gzip
import io
import os
import tarfile

from changes import Case, HOSTILE_NAMES, drop, put
from made import file_of, zstd_frame
from made_tar import BLOCK, END, header, padded, summed

SOURCE = b"int main(void) { return 0; }\n"
BLOCK_MOST = 128 << 10  # of a zstd block


def file(path, data=SOURCE, mode=0o644):
    """An entry of a file."""
    return header(path, len(data), mode) + padded(data)


def folder(path, mode=0o755):
    """An entry of a folder; its path ends in a slash."""
    return header(path, 0, mode, tarfile.DIRTYPE)


def link(path, target, mode=0o777):
    """An entry of a symbolic link."""
    return header(path, 0, mode, tarfile.SYMTYPE, target)


GOOD = (
    folder("include"),
    file("include/nic.h", b"#define NIC 1\n"),
    link("include/old.h", "nic.h"),
    file("nic.c"),
    folder("tools"),
    file("tools/build", b"#!/bin/sh\n", 0o755),
    link("tools/source", "../nic.c"),
)


def frames(data):
    """Zstandard of any length: each frame holds what one block may."""
    pieces = [data[at : at + BLOCK_MOST] for at in range(0, len(data), BLOCK_MOST)] or [b""]
    return b"".join(
        zstd_frame(one)
        if len(one) < 65792
        else zstd_frame(one, 0x20 | 2 << 6, len(one).to_bytes(4, "little"))
        for one in pieces
    )


def tree(
    name, parts=GOOD, verdict="damaged", step=9, data=None, stored=None, change=None, **signed
):
    """A record whose third file is a tree of these entries; data and stored take their place."""
    data = b"".join(parts) + END if data is None else data
    stored = frames(data) if stored is None else stored
    agent = signed.pop("agent", None)

    def record(value):
        value["files"][2] = {
            **file_of("nic/tree", data, stored, 493),
            "encoding": "tar+zstd",
            "entries": len(parts),
            **signed,
        }
        value["install"][0]["files"][2] = "nic/tree"
        if change:
            change(value)

    changes = {"module": lambda value: stored, "record": record}
    after = looks_like(data) if verdict == "clean" and not change else None
    return Case(f"tree: {name}", changes, verdict, step, agent=agent, after=after)


def fine(name, parts=GOOD, **more):
    """A tree that a machine lays down."""
    return tree(name, parts, "clean", None, **more)


def entries_of(data):
    """What Python's tarfile finds: path -> mode, and bytes of a file or the target of a link."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            one.name: (
                one.mode,
                one.linkname if one.issym() else one.isreg() and tar.extractfile(one).read(),
            )
            for one in tar
        }


def laid_down(top):
    """The same of a folder."""
    found = {}
    for path in top.rglob("*"):
        what = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        found[str(path.relative_to(top))] = (path.lstat().st_mode & 0o7777, what)
    return found


def looks_like(data):
    """The agent laid down this tree: every entry, no other."""

    def after(root):
        top = root / "etc/larder-test/tree"
        assert top.is_dir() and not top.is_symlink() and top.stat().st_mode & 0o7777 == 0o755
        assert laid_down(top) == entries_of(data)

    return after


def good_trees():
    """What a tree may be."""
    yield fine("good")
    yield fine("one file", [file("nic.c")])
    yield fine("one folder", [folder("empty")])
    yield fine("one link", [link("l", "not-there")])
    yield fine("an empty file", [file("empty", b"")])
    yield fine(
        "in two frames",
        stored=zstd_frame((b"".join(GOOD) + END)[:999]) + zstd_frame((b"".join(GOOD) + END)[999:]),
    )
    yield fine(
        "a path of 16 parts",
        [folder("/".join("a" * n)) for n in range(1, 16)] + [file("/".join("a" * 16))],
    )
    long = "n" * 100
    yield fine("a name of 100 bytes", [file(long)])
    deep = [
        folder("p" * 75),
        folder("p" * 75 + "/" + "q" * 78),
        file("p" * 75 + "/" + "q" * 78 + "/" + long),
    ]
    yield fine("a path of 255 bytes", deep)
    yield fine("a link of 100 bytes", [link("l", "t" * 100)])
    yield fine(
        "a link up to the top",
        [folder("a"), folder("a/b"), folder("a/b/c"), link("a/b/c/l", "../../../x"), file("x")],
    )
    yield fine("a link to itself", [link("l", "l")])
    yield fine("a link to a link", [link("a", "b"), link("b", "c"), file("c")])
    yield fine(
        "a link through a link", [folder("d"), file("d/x"), link("l", "d"), link("m", "l/x")]
    )
    yield fine(
        "a name that sorts between a folder and what is in it",
        [folder("a"), file("a.c"), file("a/b")],
    )
    yield fine(
        "files of 511, 512 and 513 bytes", [file(f"f{n}", b"x" * n) for n in (511, 512, 513)]
    )
    yield fine("a file larger than a chunk", [file("large", b"x" * ((1 << 20) + 5))])
    yield fine("300 entries", [file(f"f{n:03}", b"") for n in range(300)])


def names():
    """Every path a safe path, in strict order, once."""
    for name in HOSTILE_NAMES:
        if "\0" in name or name == "a/b":
            continue
        shown = name if len(name) < 30 else f"{name[:9]}.. of {len(name)}"
        if name:
            yield tree(f"a file named {shown!r}", hostile(name, lambda n: file_block(n, b"x")))
            yield tree(
                f"a file in a folder named {shown!r}", hostile(name, lambda n: folder_block(n))
            )
        yield tree(
            f"a file named a/{shown!r}",
            [folder("a"), *hostile("a/" + name, lambda n: file_block(n, b"x"))],
        )
    for name in ("/etc/passwd", "../x", "./x", "a/../../x", "a/./b", "a//b", "/", "//x"):
        above = [folder("a")] if name.startswith("a/") else []
        yield tree(f"a path {name!r}", [*above, *hostile(name, lambda n: file_block(n, b"x"))])
    yield tree("a file without a name", [file_block("", b"x")])
    yield tree(
        "a folder without a name", [summed(folder("x")[:0] + b"/" + bytes(99) + folder("x")[100:])]
    )
    yield tree(
        "a path of 17 parts",
        [folder("/".join("a" * n)) for n in range(1, 17)] + [file("/".join("a" * 17))],
    )
    parts = ["p" * 75, "q" * 79, "n" * 100]
    yield tree(
        "a path of 256 bytes",
        [folder(parts[0]), folder("/".join(parts[:2])), file("/".join(parts))],
    )
    yield tree("a file twice", [file("a"), file("a")])
    yield tree("a folder twice", [folder("a"), folder("a"), file("a/x")])
    yield tree("a file, then a folder of its name", [file("a"), folder("a")])
    yield tree("a folder, then a file of its name", [folder("a"), file("a")])
    yield tree("out of order", [file("b"), file("a")])
    yield tree("out of order in a folder", [folder("a"), file("a/c"), file("a/b")])
    yield tree("in the order of folders first", [folder("a"), file("a/b"), file("a.c")])
    yield tree("in no order of bytes", [file("a"), file("B")])
    yield tree("a name split in another way", [folder("a"), folder("a/b"), resplit("a/b/c")])


def file_block(name, data):
    """A file whose name need not be one that tarfile would take; no longer than its field."""
    block = bytearray(header("x", len(data)))
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) > 100:
        raise ValueError(name)
    block[0:100] = raw.ljust(100, b"\0")
    return summed(block) + padded(data)


def folder_block(name):
    """A folder likewise."""
    block = bytearray(folder("x"))
    raw = name.encode("utf-8", "surrogateescape") + b"/"
    if len(raw) > 100:
        raise ValueError(name)
    block[0:100] = raw.ljust(100, b"\0")
    return summed(block)


def hostile(name, make):
    """The entry of a hostile name; one that fits into no field is cut where the field ends."""
    raw = name.encode("utf-8")
    if len(raw) > 99:
        prefix, rest = "a" * 40, "a" * 89
        block = bytearray(header("x", 0))
        block[0:100], block[345:500] = rest.encode().ljust(100, b"\0"), prefix.encode().ljust(
            155, b"\0"
        )
        return [summed(block)]
    return [make(name)]


def resplit(path):
    """A short path in two fields."""
    prefix, name = path.rsplit("/", 1)
    block = bytearray(file(path, b""))
    block[0:100] = name.encode().ljust(100, b"\0")
    block[345:500] = prefix.encode().ljust(155, b"\0")
    return summed(block)


def parents():
    """Every folder is an entry, and comes first; a link is no folder, and neither is a file."""
    yield tree("a file in a folder that has no entry", [file("a/b")])
    yield tree("a file two folders down, the upper has no entry", [folder("a/b"), file("a/b/c")])
    yield tree("a file two folders down, the lower has no entry", [folder("a"), file("a/b/c")])
    yield tree("a link in a folder that has no entry", [link("a/l", "x")])
    yield tree("a folder in a folder that has no entry", [folder("a/b")])
    yield tree("a file beneath a file", [file("a"), file("a/b")])
    yield tree("a folder beneath a file", [file("a"), folder("a/b")])
    yield tree("a file beneath a link", [link("a", "b"), file("a/x"), folder("b")])
    yield tree("a folder beneath a link", [link("a", "b"), folder("a/x"), folder("b")])
    yield tree("a link beneath a link", [link("a", "b"), link("a/x", "y"), folder("b")])
    yield tree("a file beneath a link to outside", [link("a", "/etc"), file("a/passwd")])
    yield tree("a folder of a link's name", [link("a", "b"), folder("a"), file("a/x")])
    yield tree("a folder whose name only begins like it", [folder("ab"), file("a/b")])


def links():
    """Relative, and inside the tree by name alone."""
    for name, target in [
        ("absolute", "/etc/passwd"),
        ("absolute, to the root", "/"),
        ("above the tree", "../x"),
        ("above the tree and back", "../tree/x"),
        ("to the folder it is in", "."),
        ("to the folder above", ".."),
        ("to the folder above, with a slash", "../"),
        ("with a dot", "./x"),
        ("with a dot within", "x/./y"),
        ("with .. within", "x/../y"),
        ("with .. at the end", "x/.."),
        ("with a slash at the end", "x/"),
        ("with two slashes", "x//y"),
        ("with a newline", "x\ny"),
        ("with a space", "x y"),
        ("to an option", "-rf"),
        ("to a reserved name", "nul"),
        ("to a name that is not safe", "a:b"),
        ("in other letters", "é"),
        ("with a backslash", "..\\x"),
        ("to an empty name before a slash", "/x"),
    ]:
        yield tree(f"a link {name}", [link("l", target)])
        if target not in ("../x", "../tree/x"):
            yield tree(f"a link in a folder {name}", [folder("d"), link("d/l", target)])
    for depth in (1, 2, 3):
        above = [folder("/".join("d" * n)) for n in range(1, depth + 1)]
        path = "/".join("d" * depth) + "/l"
        yield tree(
            f"a link {depth} down that goes one too far up",
            [*above, link(path, "../" * (depth + 1) + "x")],
        )
        yield fine(
            f"a link {depth} down that goes as far up as it may",
            [*above, link(path, "../" * depth + "x")],
        )
    yield tree("a link without a target", [summed(header("l", 0, 0o777, tarfile.SYMTYPE, ""))])
    yield tree("a file with a target", [header("f", 0, 0o644, tarfile.REGTYPE, "x")])
    yield tree("a folder with a target", [header("f", 0, 0o755, tarfile.DIRTYPE, "x")])
    yield tree("a link with bytes", [link("l", "x")[:124] + b"00000000005" + link("l", "x")[135:]])
    sized = bytearray(link("l", "x"))
    sized[124:135] = b"00000000005"
    yield tree("a link with bytes, its checksum fits", [summed(sized) + padded(b"bytes")])
    sized = bytearray(folder("d"))
    sized[124:135] = b"00000000005"
    yield tree("a folder with bytes", [summed(sized) + padded(b"bytes")])


def modes():
    """0644 or 0755, 0755, 0777."""
    for mode in (
        0o600,
        0o640,
        0o664,
        0o666,
        0o700,
        0o777,
        0o444,
        0,
        0o4755,
        0o2755,
        0o1644,
        0o6755,
    ):
        yield tree(f"a file of mode {mode:o}", [file("f", mode=mode)])
    for mode in (0o700, 0o777, 0o644, 0o1777, 0o2755, 0):
        yield tree(f"a folder of mode {mode:o}", [folder("d", mode)])
    for mode in (0o755, 0o644, 0, 0o1777):
        yield tree(f"a link of mode {mode:o}", [link("l", "x", mode)])
    for kind in (
        b"\0",
        b"1",
        b"3",
        b"4",
        b"6",
        b"7",
        b"x",
        b"g",
        b"L",
        b"K",
        b"S",
        b"V",
        b"M",
        b"D",
    ):
        block = bytearray(header("f", 0))
        block[156:157] = kind
        yield tree(f"an entry of type {kind!r}", [summed(block)])
    for name, kind in [
        ("a device", tarfile.CHRTYPE),
        ("a disk", tarfile.BLKTYPE),
        ("a pipe", tarfile.FIFOTYPE),
    ]:
        yield tree(name, [header("f", 0, 0o644, kind)])
    yield tree("a hard link", [file("a"), header("b", 0, 0o644, tarfile.LNKTYPE, "a")])
    yield tree("a hard link to outside", [header("b", 0, 0o644, tarfile.LNKTYPE, "/etc/shadow")])
    record = b"30 SCHILY.xattr.user.larder=x\n"
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        yield tree(
            f"a header of type {kind!r} before a file",
            [header("a", len(record), 0o644, kind) + padded(record), file("a")],
        )
    for at, data, name in [
        (108, b"0000001\0", "an owner"),
        (116, b"0000001\0", "a group"),
        (136, b"00000000001\0", "a time"),
        (265, b"root", "an owner's name"),
        (100, b"0100644\0", "a mode with its type"),
        (329, b"0000001\0", "a device number"),
    ]:
        block = bytearray(header("f", 0))
        block[at : at + len(data)] = data
        yield tree(name, [summed(block)])


def counts():
    """How many entries, and how many bytes, are signed."""
    yield tree("an entry fewer than signed", entries=len(GOOD) + 1)
    yield tree("an entry more than signed", entries=len(GOOD) - 1)
    yield tree("no entries", [], step=7, verdict="damaged")
    yield tree("no entries, one signed", data=END, entries=1)
    for count in (0, -1, 65537, "7", True, 7.0):
        yield tree(f"entries is {count!r}", step=7, entries=count)
    yield tree("entries is not there", step=7, change=drop("files", 2, "entries"))
    data = b"".join(GOOD) + END
    for name, size in [
        ("a byte more", len(data) + 1),
        ("a byte less", len(data) - 1),
        ("a block more", len(data) + BLOCK),
        ("a block less", len(data) - BLOCK),
        ("0", 0),
    ]:
        yield tree(f"its size is {name}", size=size)
    yield tree("its size is 16 GiB and a byte", step=7, size=(16 << 30) + 1)
    yield tree("entries at a file that is none", step=7, encoding="zstd")
    yield tree("mode 420", step=7, mode=420)
    for encoding in ("tar", "zstd+tar", "tar+gzip", "tar+identity", "TAR+ZSTD"):
        yield tree(f"encoding {encoding}", step=7, encoding=encoding)
    yield tree("a second entry of 65536", step=9, entries=65536)


def shapes():
    """The tar around the entries."""
    data = b"".join(GOOD)
    for name, made in [
        ("one zero block at its end", data + END[:BLOCK]),
        ("no end", data),
        ("three zero blocks", data + END + END[:BLOCK]),
        ("a byte behind the end", data + END + b"x"),
        ("a zero behind the end", data + END + b"\0"),
        ("a block behind the end", data + END + file("x", b"")),
        ("cut within a header", data[:700]),
        ("cut within a file", data[: 3 * BLOCK - 512 + 5]),
        ("cut behind a header", data[:1024]),
        ("a zero block between", data[:BLOCK] + bytes(BLOCK) + data[BLOCK:] + END),
        ("a byte in the second zero block", data + END[:-1] + b"x"),
        ("filled up with a byte", data.replace(b"NIC 1\n\0", b"NIC 1\n\1", 1) + END),
        ("empty", b""),
        ("no tar", SOURCE * 99),
        ("packed twice", zstd_frame(data[:9000] + END)),
        ("packed with gzip within", gzip.compress(data + END)),
    ]:
        yield tree(name, data=made)
    good = frames(data + END)
    yield tree("zstd cut", stored=good[:-1])
    yield tree("a byte behind the frames", stored=good + b"x")
    yield tree("not packed", stored=data + END)
    yield tree("a window of 9 MiB", stored=zstd_frame(data + END, 0, b"\x69"))
    large = header("large", (1 << 33) - 1)
    yield tree("a file of 8 GiB that is not there", [large])
    block = bytearray(header("large", 0))
    block[124:136] = b"\x80" + ((1 << 64) - BLOCK).to_bytes(11, "big")
    yield tree("a file of 2^64 - 512 bytes", [summed(block)])


def beside():
    """Other files of the record, and steps that name a tree."""
    yield tree(
        "a file beneath it",
        step=7,
        change=lambda value: value["files"].append(file_of("nic/tree/x", SOURCE)),
    )
    yield tree(
        "it is beneath a file",
        step=7,
        change=lambda value: value["files"].insert(2, file_of("nic/t", SOURCE))
        or value["files"][3].update(path="nic/t/tree"),
    )
    yield tree(
        "a file of its path",
        step=7,
        change=lambda value: value["files"].append(file_of("nic/tree", SOURCE)),
    )
    for do in ("modules", "packages"):
        yield tree(
            f"a step {do} names it",
            step=7,
            change=lambda value, do=do: value["install"].append({"do": do, "files": ["nic/tree"]}),
        )
    yield tree(
        "a step names what is in it", step=7, change=put("install", 0, "files", ["nic/tree/nic.c"])
    )
    yield fine("no step names it", change=lambda value: value["install"][0]["files"].pop() and None)


def tree_cases():
    """All of section 7.1."""
    for part in (good_trees, names, parents, links, modes, counts, shapes, beside):
        yield from part()
