"""cases_blob.py - bytes on disk that are not the signed ones, and what they decode to."""

from changes import Case, OTHER, as_folder, as_link, as_pipe, flip, gone, on, put, tail
from made import MIB, MODULE, file_of, sha, zstd_frame

def swapped(made):
    """Two blobs in each other's place."""
    one, other = made.blob("conf"), made.blob("module")
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def module_case(name, stored, good=False, size=None):
    """A file whose zstd blob is these bytes, which the record signs."""

    def change(record):
        record["files"][2] = file_of("nic/nic.ko", MODULE, stored, 493)
        record["files"][2]["size"] = len(MODULE) if size is None else size

    changes = {"module": lambda value: stored, "record": change}
    return Case(f"zstd: {name}", changes) if good else Case(f"zstd: {name}", changes, "damaged", 9)


def blob_cases():
    """Bytes on disk that are not the signed ones."""
    for name, change in [
        ("cut by a byte", lambda data: data[:-1]),
        ("longer by a byte", tail(b"x")),
        ("empty", lambda data: b""),
        ("a bit flipped", flip(0)),
        ("the last bit flipped", flip(-1)),
    ]:
        for blob in ("big", "conf", "module"):
            yield Case(f"blob {blob}: {name}", {"disk": on(blob, change)}, "damaged", 8)
    for name, at in [
        ("the first chunk's end", MIB - 1),
        ("the middle chunk's beginning", MIB),
        ("the last chunk", 2 * MIB),
    ]:
        yield Case(
            f"blob big: a bit flipped at {name}", {"disk": on("big", flip(at))}, "damaged", 8
        )
    yield Case(
        "blob big: two chunks swapped",
        {"disk": on("big", lambda data: data[MIB : 2 * MIB] + data[:MIB] + data[2 * MIB :])},
        "damaged",
        8,
    )
    yield Case(
        "blob big: cut at a chunk", {"disk": on("big", lambda data: data[: 2 * MIB])}, "damaged", 8
    )
    yield Case(
        "record: a chunk's digest is wrong",
        {"record": put("files", 0, "blob", "chunks", 1, OTHER)},
        "damaged",
        8,
    )
    yield Case(
        "record: a blob's size is wrong",
        {"record": put("files", 2, "blob", "size", 5)},
        "damaged",
        8,
    )
    for blob in ("big", "conf", "module"):
        yield Case(
            f"blob {blob}: not here, so not carried", {"disk": gone(blob)}, agent="not_carried"
        )
        yield Case(f"blob {blob}: a link to its own bytes", {"disk": as_link(blob)}, "damaged", 8)
    yield Case("blob: a folder", {"disk": as_folder("conf")}, "damaged", 8)
    yield Case("blob: a pipe", {"disk": as_pipe("conf")}, "damaged", 8)
    yield Case("blob: two swapped", {"disk": swapped}, "damaged", 8)
    yield Case(
        "blob: no blob is here",
        {"disk": lambda made: [gone(blob)(made) for blob in ("big", "conf", "module")] and None},
        agent="not_carried",
    )
    yield Case(
        "blob: one not here, one damaged",
        {"disk": lambda made: gone("big")(made) or on("conf", flip(0))(made)},
        "damaged",
        8,
    )
    yield Case(
        "blob: one damaged, a later one not here",
        {"disk": lambda made: on("big", flip(0))(made) or gone("conf")(made)},
        "damaged",
        8,
    )
    yield from sparse_cases()
    yield Case(
        "blob: the name is not the digest, but the chunks fit",
        {
            "record": put("files", 0, "blob", "digest", "sha256:" + OTHER),
            "disk": lambda made: made.blob("big").rename(made.blob(OTHER)) and None,
        },
    )


def sparse_cases():
    """A signed size at 2^31 and one beyond, of holes, where a size in 32 bits would go wrong."""
    for size in ((1 << 31) - 1, (1 << 31) + 1):
        whole, last = divmod(size, MIB)
        blob = {
            "digest": "sha256:" + OTHER,
            "size": size,
            "chunks": [sha(bytes(MIB))] * whole + [sha(bytes(last))] * bool(last),
        }

        def record(value, blob=blob, size=size):
            value["files"][0].update(size=size, blob=blob)

        def disk(made, size=size, last_byte=b"\0"):
            with open(made.blob(OTHER), "wb") as handle:
                handle.seek(size - 1)
                handle.write(last_byte)

        yield Case(f"blob of {size} bytes", {"record": record, "disk": disk}, agent="not asked")
    yield Case(
        "blob of 2^31 + 1 bytes, the last one flipped",
        {"record": record, "disk": lambda made: disk(made, last_byte=b"\1")},
        "damaged",
        8,
        agent="not asked",
    )
    yield Case(
        "blob of 2^31 + 1 bytes, one too many on disk",
        {"record": record, "disk": lambda made: disk(made, (1 << 31) + 2)},
        "damaged",
        8,
    )


def zstd_cases():
    """Digests fit, and what is decoded does not."""
    good, half = zstd_frame(MODULE), len(MODULE) // 2
    two = zstd_frame(MODULE[:half]) + zstd_frame(MODULE[half:])
    yield module_case("two frames", two, good=True)
    yield module_case("no content size", zstd_frame(MODULE, 0, b"\x50"), good=True)
    yield module_case("a window of 8 MiB", zstd_frame(MODULE, 0, b"\x68"), good=True)
    yield module_case("a window of 9 MiB", zstd_frame(MODULE, 0, b"\x69"))
    yield module_case("a window of 128 MiB", zstd_frame(MODULE, 0, b"\x88"))
    yield module_case("a window of 3 TiB", zstd_frame(MODULE, 0, b"\xfc"))
    yield module_case(
        "a dictionary",
        zstd_frame(MODULE, 0x61, b"\x05" + (len(MODULE) - 256).to_bytes(2, "little")),
    )
    yield module_case(
        "a window beyond 8 MiB in the second frame",
        zstd_frame(MODULE[:half]) + zstd_frame(MODULE[half:], 0, b"\x70"),
    )
    yield module_case("a skippable frame", good + b"\x50\x2a\x4d\x18\x03\0\0\0abc", good=True)
    yield module_case("a byte after the frames", good + b"x")
    yield module_case("zeros after the frames", good + b"\0" * 8)
    yield module_case("a second file after the frames", good + zstd_frame(b"more"))
    yield module_case("cut", good[:-1])
    yield module_case("cut within the magic number", good[:3])
    yield module_case("the second frame cut", two[:-1])
    yield module_case("not zstd", MODULE)
    yield module_case("empty", b"")
    yield module_case("empty, and so is the file", b"", size=0)
    yield module_case("an empty frame, and so is the file", zstd_frame(b""), good=True, size=0)
    yield module_case("a wrong checksum", zstd_frame(MODULE, 0x24, tail=b"\0\0\0\0"))
    yield module_case(
        "a wrong content size", zstd_frame(MODULE, 0x60, (len(MODULE) - 255).to_bytes(2, "little"))
    )
    yield module_case("decodes to a byte less", good, size=len(MODULE) + 1)
    yield module_case("decodes to a byte more", good, size=len(MODULE) - 1)
    yield module_case("decodes to something, not nothing", good, size=0)
    yield module_case("a bomb", b"\x28\xb5\x2f\xfd\0\x50" + (b"\x02\0\x10\0" * 20000) + b"\x01\0\0")
    yield module_case("a reserved block type", good[:7] + bytes([good[7] | 6]) + good[8:])
