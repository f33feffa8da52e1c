"""cases_tar.py - a cache as one tar, and whatever else tar can say (FORMAT.md 2.1 and 2.2)."""

import gzip
import tarfile

from changes import Case, OTHER, first_key_again, flip, signed_by
from made import MIB, sha, text, trust_file
from made_tar import BLOBS, BLOCK, END, Piece, header, mark_of, with_mark

WHO = ("oci-layout", "index.json", "conf", "big")
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def tar(name, change=None, verdict="damaged", step=1, changes=None, **more):
    """A case in a tar; the change is of its pieces, or returns bytes instead of them."""
    return Case(
        f"tar: {name}", changes or {}, verdict, step, tar=change or (lambda ball: None), **more
    )


def fine(name, change=None, **more):
    """A tar that is as good as the folder."""
    return tar(name, change, "clean", None, **more)


def field(piece, name, data):
    """Set a field of a header; the checksum fits."""
    return lambda ball: ball[piece].set(name, data)


def before(piece, *new):
    """Put files before a file."""
    return lambda ball: ball.pieces.__setitem__(
        slice(ball.find(piece), ball.find(piece)), list(new)
    )


def without(piece):
    """A file less."""
    return lambda ball: ball.pieces.pop(ball.find(piece)) and None


def last(*new):
    """Files at the end."""
    return lambda ball: ball.pieces.extend(new)


def again(piece):
    """A file once more, at the end."""
    return lambda ball: ball.pieces.append(ball[piece])


def anew(piece, data):
    """A file with other bytes and a header that fits them."""

    def change(ball):
        ball.pieces[ball.find(piece)] = Piece(ball[piece].name, data)

    return change


def renamed(piece, name):
    """A file under another name, its header well made."""

    def change(ball):
        at = ball.find(piece)
        ball.pieces[at] = Piece(name, ball.pieces[at].data)

    return change


def as_bytes(change):
    """A change of the whole tar."""
    return lambda ball: change(ball.bytes())


def good_tars():
    """What a reader takes."""
    yield fine("good")
    yield fine("oci-layout is not there", without("oci-layout"))
    yield fine(
        "the blobs the other way round",
        lambda ball: ball.pieces.__setitem__(slice(2, None), ball.pieces[:1:-1]),
    )
    yield fine("a blob that nothing names", last(Piece(BLOBS + sha(b"x"), b"x")))
    yield fine(
        "a blob that nothing names, under a name that is not its digest",
        last(Piece(BLOBS + OTHER, b"x")),
    )
    yield fine("an empty blob that nothing names", last(Piece(BLOBS + sha(b""), b"")))
    yield fine(
        "a chain",
        changes={
            "chain": lambda value: [trust_file(2, "second", by=("fleet", "second"))],
            **signed_by("second"),
        },
        kept=True,
    )
    yield fine(
        "index.json of 64 KiB",
        changes={"top_text": lambda data: data + b" " * (MIB // 16 - len(data))},
    )
    yield fine("a blob is not there", without("conf"), agent="not_carried")
    yield fine(
        "no blob of the bundle is there",
        lambda ball: [without(name)(ball) for name in ("conf", "big", "module")] and None,
        agent="not_carried",
    )
    yield tar("a table is not there", without("table"), "incomplete", 6)
    yield tar("the envelope is not there", without("envelope"))
    yield tar("the index is not there", without("index"))
    yield tar("index.json is not there", without("index.json"), "missing", 1)
    yield tar("index.json is garbage", anew("index.json", b"{"))
    yield tar("index.json is empty", anew("index.json", b""))
    yield tar("the serial is low", None, "stale", 5, least=8)
    yield tar("signed by a stranger", None, "untrusted", 3, changes=signed_by("stranger"))


def kinds():
    """Types of entries: all that tar ever had but a plain file."""
    for kind in (
        b"\0",
        b"1",
        b"2",
        b"3",
        b"4",
        b"5",
        b"6",
        b"7",
        b"8",
        b"x",
        b"g",
        b"X",
        b"L",
        b"K",
        b"S",
        b"V",
        b"M",
        b"D",
        b"A",
        b"N",
        b" ",
        b"\xff",
    ):
        yield tar(f"a blob has type {kind!r}", field("conf", "type", kind))
    for kind in (b"\0", b"1", b"2", b"5", b"7", b"x", b"g", b"L"):
        yield tar(f"index.json has type {kind!r}", field("index.json", "type", kind))
    record = b"30 path=blobs/sha256/elsewhere\n"
    for name, kind in [
        ("pax", tarfile.XHDTYPE),
        ("global pax", tarfile.XGLTYPE),
        ("GNU long name", tarfile.GNUTYPE_LONGNAME),
        ("GNU long link", tarfile.GNUTYPE_LONGLINK),
        ("Solaris pax", tarfile.SOLARIS_XHDTYPE),
        ("GNU sparse", tarfile.GNUTYPE_SPARSE),
    ]:
        piece = Piece("header", record, header("././@PaxHeader", len(record), kind=kind))
        yield tar(f"a {name} header before a blob", before("conf", piece))
        yield tar(f"a {name} header before everything", before("oci-layout", piece))
        yield tar(f"a {name} header at the end", last(piece))
    for name, target, kind in [
        ("a link to a file outside", "../../../etc/shadow", b"2"),
        ("a link to another blob", OTHER, b"2"),
        ("a hard link to index.json", "index.json", b"1"),
    ]:
        piece = Piece("link", b"", header(BLOBS + OTHER, 0, 0o777, kind, target))
        yield tar(f"{name} among the blobs", last(piece))
    for name in ("blobs", "blobs/sha256", "."):
        piece = Piece("folder", b"", header(name, 0, 0o755, b"5"))
        yield tar(f"an entry for the folder {name}", before("index.json", piece))
        yield tar(f"an entry for the folder {name} among the blobs", last(piece))


def numbers():
    """Numbers that say the same in another way, or something else."""
    for piece in WHO:
        for name in ("owner", "group", "time", "major", "minor"):
            width = 11 if name == "time" else 7
            for word, data in [
                ("1", b"1".rjust(width, b"0")),
                ("spaces", b" " * width),
                ("nothing", b""),
                ("0 and a space", b"0" * width + b" "),
            ]:
                if piece == "conf" or word == "1":
                    yield tar(f"{piece}: {name} is {word}", field(piece, name, data))
        for word, data in [
            ("0600", b"0000600"),
            ("0755", b"0000755"),
            ("04644", b"0004644"),
            ("0100644", b"0100644"),
            ("0000", b"0000000"),
            ("0666", b"0000666"),
        ]:
            yield tar(f"{piece}: mode is {word}", field(piece, "mode", data))
    for word, data in [
        ("in spaces", b"    644"),
        ("with a space at its end", b"000644 "),
        ("and a space for the NUL", b"0000644 "),
        ("in six digits", b"000644"),
        ("in base 256", b"\x80\0\0\0\0\0\x01\xa4"),
    ]:
        yield tar(f"mode {word}", field("conf", "mode", data))
    yield from sizes()


def sizes():
    """The size of a file whose bytes are 23."""
    for word, data in [
        ("in spaces", b"         27"),
        ("with a space at its end", b"0000000027 "),
        ("and a space for the NUL", b"00000000027 "),
        ("in ten digits", b"0000000027"),
        ("in twelve digits", b"000000000027"),
        ("in base 256", b"\x80" + (23).to_bytes(11, "big")),
        ("negative in base 256", b"\xff" + (2**88 - 23).to_bytes(11, "big")),
        ("in base 256 with more bits", b"\xc0" + (23).to_bytes(11, "big")),
        ("one less", b"%011o" % 22),
        ("zero", b"00000000000"),
        ("a block more", b"%011o" % (23 + BLOCK)),
        ("empty", b""),
        ("minus one", b"-0000000001"),
        ("in decimal digits", b"00000000089"),
        ("of 8 GiB less one", b"77777777777"),
        ("of 8 GiB", b"\x80" + (1 << 33).to_bytes(11, "big")),
        ("of 2^63 less one", b"\x80" + ((1 << 63) - 1).to_bytes(11, "big")),
        ("of 2^63", b"\x80" + (1 << 63).to_bytes(11, "big")),
        ("of 2^64 less one", b"\x80" + ((1 << 64) - 1).to_bytes(11, "big")),
        ("of 2^64 less 512", b"\x80" + ((1 << 64) - BLOCK).to_bytes(11, "big")),
        ("of 2^64 and 23", b"\x80" + ((1 << 64) + 23).to_bytes(11, "big")),
        ("of 2^88 less one", b"\x80" + b"\xff" * 11),
    ]:
        yield tar(f"a size {word}", field("conf", "size", data))
    yield tar(
        "a size one more, which makes another blob", field("conf", "size", b"%011o" % 24), step=8
    )


def holes():
    """Files that nothing names, larger than numbers of 32 bits and than eleven octal digits, of holes."""
    name = BLOBS + OTHER
    for size in (
        (1 << 31) - 1,
        1 << 31,
        (1 << 32) - 1,
        1 << 32,
        (1 << 32) + 1,
        (1 << 33) - 1,
        1 << 33,
        (1 << 33) + 1,
    ):
        block, hole = header(name, size), -(-size // BLOCK) * BLOCK
        yield fine(f"a hole of {size} bytes", before("conf", Piece(name, b"", block, hole)))
        short = Piece(name, b"", block, hole - BLOCK)
        yield tar(f"a hole of {size} bytes, a block short", before("conf", short))
    size = 1 << 33
    for word, data in [
        ("in octal, all twelve bytes", b"%012o" % size),
        ("in octal, cut", b"%011o" % (size >> 3)),
        ("with a bit in its first byte", b"\x81" + size.to_bytes(11, "big")),
    ]:

        def spelled(ball, data=data):
            piece = Piece(name, b"", header(name, size), size)
            piece.set("size", data)
            ball.pieces.insert(2, piece)

        yield tar(f"a hole of {size} bytes, its size {word}", spelled)


def checksums():
    """The sum, in its one spelling."""

    def spelled(change):
        def spoil(ball):
            piece = ball["conf"]
            piece.set("checksum", change(int(piece.block[148:154], 8), piece.block))

        return spoil

    for name, change in [
        ("one more", lambda value, block: b"%06o\0 " % (value + 1)),
        ("zero", lambda value, block: b"000000\0 "),
        ("nothing", lambda value, block: b""),
        ("in seven digits", lambda value, block: b"%07o\0" % value),
        ("with spaces before it", lambda value, block: b"%6o\0 " % value),
        ("with a space and a NUL", lambda value, block: b"%06o \0" % value),
        ("with two NULs", lambda value, block: b"%06o\0\0" % value),
        ("of bytes with signs", lambda value, block: b"%06o\0 " % (value - 256)),
        ("with itself as zeros", lambda value, block: b"%06o\0 " % (value - 8 * 32)),
    ]:
        yield tar(f"a checksum {name}", spelled(change))


def other_fields():
    """Bytes where zeros belong, and the words that tell tars apart."""
    for name, data in [
        ("magic", b"ustar "),
        ("magic", b""),
        ("magic", b"USTAR"),
        ("magic", b"tar"),
        ("version", b" \0"),
        ("version", b""),
        ("version", b"01"),
        ("owner's name", b"root"),
        ("group's name", b"root"),
        ("target", b"index.json"),
        ("prefix", b"./"),
        ("rest", b"x"),
        ("rest", b"\0" * 11 + b"x"),
        ("prefix", b"\0" * 154 + b"x"),
        ("name", (BLOBS + OTHER).encode() + b"\0x"),
        ("owner's name", b"\0" * 31 + b"x"),
        ("target", b"\0" * 99 + b"x"),
    ]:
        yield tar(
            f"{name} is {data.strip(bytes(1))[-8:]!r} of {len(data)}", field("conf", name, data)
        )
    yield tar(
        "version and magic of GNU tar",
        lambda ball: [
            ball["conf"].set(name, data)
            for name, data in (("magic", b"ustar "), ("version", b" \0"))
        ]
        and None,
    )
    for at in range(0, BLOCK, 37):

        def flipped(ball, at=at):
            ball["conf"].block = flip(at)(ball["conf"].block)

        yield tar(f"a bit of byte {at} of a header flipped", flipped)


def split(prefix):
    """A blob's path in two fields."""

    def change(ball):
        name = ball["conf"].name[len(prefix) + 1 :]
        ball["conf"].set("name", name.encode())
        ball["conf"].set("prefix", prefix.encode())

    return change


def names():
    """Only the names of a cache, each once, each spelled once."""
    good = sha(b"x")
    for name in (
        "README",
        "index.json.bak",
        "INDEX.JSON",
        "/index.json",
        "./index.json",
        "../index.json",
        "oci-layout/",
        "blobs/index.json",
        "larder.json",
        "larder-delta.jso",
        "larder-delta.json2",
        " ",
        "blobs",
        "blobs/",
        "blobs/sha256",
        "blobs/sha256/",
        "blobs/sha256/.draft",
        "blobs/sha512/" + good,
        BLOBS + good[:63],
        BLOBS + good + "0",
        BLOBS + OTHER.upper(),
        BLOBS + "sha256:" + good,
        BLOBS + good + "/",
        BLOBS + good + "/x",
        "/" + BLOBS + good,
        "./" + BLOBS + good,
        "../" + BLOBS + good,
        "blobs//sha256/" + good,
        "blobs/./sha256/" + good,
        "blobs/sha256/../" + good,
        "blobs/sha256/../sha256/" + good,
        BLOBS + "../../../etc/passwd",
        BLOBS + "..",
        "blobs\\sha256\\" + good,
        BLOBS + good + "\n",
        BLOBS + good + " ",
        BLOBS + good[:-2] + "é",
        "x" * 100,
        "x/" * 60 + "y",
    ):
        shown = name if len(name) < 40 else name[:12] + ".." + name[-12:]
        yield tar(f"a file named {shown!r} of {len(name)}", last(Piece(name, b"x")))
    yield tar("a file without a name", last(Piece("", b"x", header("", 1))))
    for name in ("index.json/", "./index.json", "/index.json", "index.json "):
        yield tar(f"index.json is named {name!r}", renamed("index.json", name))
    yield tar("a path in two fields", split("blobs/sha256"))
    yield tar("a path in two fields, split earlier", split("blobs"))
    for piece in (*WHO, "envelope"):
        yield tar(f"{piece} twice", again(piece))
    yield tar(
        "a blob twice, the second with other bytes",
        lambda ball: ball.pieces.append(Piece(ball["conf"].name, b"other")),
    )
    yield tar(
        "a blob twice, the first with other bytes",
        lambda ball: ball.pieces.insert(2, Piece(ball["conf"].name, b"other")),
    )
    yield tar(
        "a blob that nothing names twice",
        last(Piece(BLOBS + OTHER, b"x"), Piece(BLOBS + OTHER, b"x")),
    )


def orders():
    """oci-layout, the mark, index.json, then blobs."""
    yield tar("index.json is last", lambda ball: ball.pieces.append(ball.pieces.pop(1)))
    yield tar(
        "index.json is before oci-layout", lambda ball: ball.pieces.insert(0, ball.pieces.pop(1))
    )
    yield tar("oci-layout is last", lambda ball: ball.pieces.append(ball.pieces.pop(0)))
    yield tar("a blob is first", lambda ball: ball.pieces.insert(0, ball.pieces.pop()))
    yield tar("a blob is between", lambda ball: ball.pieces.insert(1, ball.pieces.pop()))
    for name, data in [
        ("with a newline", LAYOUT + b"\n"),
        ("of version 1.0.1", LAYOUT.replace(b'.0"', b'.1"')),
        ("empty", b""),
        ("with a space", LAYOUT.replace(b":", b": ")),
        ("cut", LAYOUT[:-1]),
        ("with a NUL", LAYOUT[:-1] + b"\0"),
        ("not JSON", b"x" * len(LAYOUT)),
    ]:
        yield tar(f"oci-layout {name}", anew("oci-layout", data))
    yield tar(
        "index.json of 64 KiB and a byte",
        changes={"top_text": lambda data: data + b" " * (MIB // 16 + 1 - len(data))},
    )


def ends():
    """Two zero blocks, and nothing else."""
    for name, end in [
        ("no end", b""),
        ("one zero block", bytes(BLOCK)),
        ("three zero blocks", bytes(3 * BLOCK)),
        ("filled up to 10 KiB", bytes(10240)),
        ("a byte behind the end", END + b"x"),
        ("a zero behind the end", END + b"\0"),
        ("half a block behind the end", END + bytes(256)),
        ("a block behind the end", END + b"x" * BLOCK),
        ("a tar behind the end", END + header("x", 0) + END),
        ("a byte in the first zero block", b"x" + END[1:]),
        ("a byte in the second zero block", END[:-1] + b"x"),
        ("one zero block and a file", bytes(BLOCK) + header(BLOBS + OTHER, 0) + END),
        ("one zero block and a byte less", END[:-1]),
        ("a zero block and a half", END[:-256]),
    ]:
        yield tar(f"its end: {name}", lambda ball, end=end: setattr(ball, "end", end))
    yield tar(
        "a zero block between the files",
        lambda ball: ball.pieces.insert(2, Piece("zero", b"", bytes(BLOCK))),
    )
    for piece in WHO:
        for name, at in [("first", 0), ("last", -1)]:

            def spoil(ball, piece=piece, at=at):
                data, fill = ball[piece].data, bytearray(-len(ball[piece].data) % BLOCK)
                fill[at] = 1
                ball[piece].body = data + bytes(fill)

            yield tar(f"{piece}: the {name} byte that fills it up is not zero", spoil)
    yield tar(
        "the last file is not filled up",
        lambda ball: setattr(ball.pieces[-1], "body", ball.pieces[-1].data),
    )
    yield tar("nothing", as_bytes(lambda data: b""))
    yield tar("the end alone", as_bytes(lambda data: END), "missing", 1)
    yield tar("zeros alone", as_bytes(lambda data: bytes(20480)))
    yield tar("packed with gzip", as_bytes(gzip.compress))
    yield tar("a block before it", as_bytes(lambda data: bytes(BLOCK) + data))
    yield tar("a byte before it", as_bytes(lambda data: b"\0" + data))
    yield tar("a disk image of qemu", as_bytes(lambda data: b"QFI\xfb\0\0\0\3" + bytes(504) + data))
    yield tar("text", as_bytes(lambda data: b"no tar\n"))
    yield tar("index.json alone, as a file", lambda ball: ball["index.json"].data)


def cuts():
    """Cut wherever something could be taken for whole."""
    for at in (1, 100, 257, 511, 512, 513, 700, 1023, 1024, 1535, 1536):
        yield tar(f"cut at {at}", as_bytes(lambda data, at=at: data[:at]))
    for less in (1, 511, 512, 513, 1023, 1024, 1025, 1536, 2047, 2048):
        yield tar(f"cut {less} before the end", as_bytes(lambda data, less=less: data[:-less]))
    for piece in ("conf", "big", "envelope", "table"):
        for name, more in [
            ("before", 0),
            ("in the header of", 300),
            ("behind the header of", BLOCK),
            ("in the bytes of", BLOCK + 9),
        ]:

            def cut(ball, piece=piece, more=more):
                start = sum(BLOCK + len(one.body) for one in ball.pieces[: ball.find(piece)])
                return ball.bytes()[: start + more]

            yield tar(f"cut {name} {piece}", cut)


def deltas():
    """The mark of a part; what it is a part of does not matter to a verifier."""
    yield fine("a delta", lambda ball: with_mark(ball, mark_of()))
    yield fine(
        "a delta without a blob",
        lambda ball: with_mark(ball, mark_of()) or without("conf")(ball),
        agent="not_carried",
    )
    yield tar(
        "a delta without a table",
        lambda ball: with_mark(ball, mark_of()) or without("table")(ball),
        "incomplete",
        6,
    )
    yield tar(
        "a delta with a damaged blob",
        lambda ball: with_mark(ball, mark_of()) or anew("conf", b"x")(ball),
        "damaged",
        8,
    )
    proven = {"chain": lambda value: [trust_file(2, "second", by=("fleet", "second"))]}
    yield tar(
        "a delta without its trust chain",
        lambda ball: with_mark(ball, mark_of()) or without("trust 0")(ball),
        "untrusted",
        3,
        changes={**proven, **signed_by("second")},
    )
    yield fine("a mark of 4096 bytes", lambda ball: with_mark(ball, mark_of().ljust(4096)))
    yield fine("a mark with serial 2^48", lambda ball: with_mark(ball, mark_of(serial=1 << 48)))
    yield fine(
        "a mark over two lines", lambda ball: with_mark(ball, mark_of().replace(b",", b",\n"))
    )
    good = mark_of()
    for name, data in [
        ("of 4097 bytes", good.ljust(4097)),
        ("empty", b""),
        ("not JSON", b"{"),
        ("a list", b"[]"),
        ("with a key twice", first_key_again(good)),
        ("with an unknown key", mark_of(more=1)),
        ("without base", b'{"format":"larder.delta.v1","serial":6}'),
        ("without serial", text({"format": "larder.delta.v1", "base": "sha256:" + OTHER})),
        ("without format", text({"base": "sha256:" + OTHER, "serial": 6})),
        ("of another format", good.replace(b"v1", b"v2")),
        ("with a byte after it", good + b"x"),
        ("with a base that is bare", mark_of(base=OTHER)),
        ("with a base in capitals", mark_of(base="sha256:" + OTHER.upper())),
        ("with an empty base", mark_of(base="")),
        ("with a base of SHA-512", mark_of(base="sha512:" + OTHER * 2)),
        ("with a base that is a path", mark_of(base="sha256:../../etc/passwd")),
        ("with a base that is a number", mark_of(base=5)),
        ("with serial 0", mark_of(serial=0)),
        ("with serial -1", mark_of(serial=-1)),
        ("with serial 2^48 + 1", mark_of(serial=(1 << 48) + 1)),
        ("with a serial that is text", mark_of(serial="6")),
        ("with a serial of 6.0", mark_of(serial=6.0)),
        ("with serial true", mark_of(serial=True)),
        ("with a NUL after it", good + b"\0"),
    ]:
        yield tar(f"a mark {name}", lambda ball, data=data: with_mark(ball, data))
    yield tar("a mark twice", lambda ball: with_mark(ball, good) or with_mark(ball, good))
    yield tar(
        "a mark before oci-layout",
        lambda ball: ball.pieces.insert(0, Piece("larder-delta.json", good)),
    )
    yield tar("a mark behind index.json", before("conf", Piece("larder-delta.json", good)))
    yield tar("a mark at the end", last(Piece("larder-delta.json", good)))
    yield fine(
        "a mark first, and no oci-layout",
        lambda ball: without("oci-layout")(ball) or with_mark(ball, good),
    )


def tar_cases():
    """All of sections 2.1 and 2.2."""
    for part in (
        good_tars,
        kinds,
        numbers,
        holes,
        checksums,
        other_fields,
        names,
        orders,
        ends,
        cuts,
        deltas,
    ):
        yield from part()
