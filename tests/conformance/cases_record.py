"""cases_record.py - what a bundle holds, and does (FORMAT.md 7)."""

from changes import Case, OTHER, as_link, drop, flip, gone, on, put, swap, tail
from made import BIG, CONF, MIB, blob_of, file_of, sha


def rename(path):
    """Call the first file of the record by another path, in its step too."""

    def change(record):
        record["files"][0]["path"] = path
        record["install"][0]["files"][0] = path
        record["files"].sort(key=lambda entry: entry["path"].encode())

    return {"record": change}


def with_file(record, path):
    """A second file with the bytes of the first."""
    record["files"].append({**record["files"][0], "path": path})
    record["files"].sort(key=lambda entry: entry["path"].encode())


def two_of_one_name(record):
    """Both would become one file of the machine."""
    first = record["files"][0]["path"]
    with_file(record, "other/" + first.rsplit("/", 1)[-1])
    record["install"][0]["files"] = [first, "other/" + first.rsplit("/", 1)[-1]]


def file_as_folder(record):
    """No file system can hold both."""
    with_file(record, record["files"][0]["path"] + "/deeper")


HOSTILE_PATHS = [
    "",
    "/",
    "/etc/passwd",
    "../up",
    "a/../b",
    "a/..",
    "./a",
    "a/.",
    "a//b",
    "a/",
    "a\\b",
    "C:/x",
    "-x",
    "a/-x",
    "a/con",
    "a/NUL.ko",
    "a b",
    "a./b",
    "a/b.",
    "a\nb",
    "é",
    "a" * 129,
    "/".join(["a"] * 17),
    "/".join(["a" * 102] * 5) + "bc",
    "a:b",
    "a*",
    "~/.ssh/",
    "%2e%2e/a",
]


def record_cases():
    """What a bundle holds, and does."""
    for path in HOSTILE_PATHS:
        yield Case(f"record: path {path[:20]!r} {len(path)}", rename(path), "damaged", 7)
    for path in (
        "a",
        "a" * 128,
        "/".join(["a"] * 16),
        "/".join(["a" * 102] * 4) + "/" + "b" * 100,
        "~",
        "nic/com10",
        "nic/a..b",
    ):
        yield Case(f"record: path {path[:20]!r} {len(path)} is safe", rename(path))
    for name, change in [
        ("files out of order", lambda value: value["files"].reverse()),
        ("a file twice", lambda value: value["files"].insert(0, value["files"][0])),
        ("a path twice", lambda value: value["files"].insert(1, file_of("nic/big.bin", CONF))),
        ("mode 0777", put("files", 1, "mode", 511)),
        ("mode setuid", put("files", 1, "mode", 0o4755)),
        ("mode 0", put("files", 1, "mode", 0)),
        ("mode as people write it", put("files", 1, "mode", 644)),
        ("size -1", put("files", 2, "size", -1)),
        ("16 GiB and a byte", put("files", 2, "size", (16 << 30) + 1)),
        ("encoding gzip", put("files", 1, "encoding", "gzip")),
        ("encoding empty", put("files", 1, "encoding", "")),
        ("encoding in capitals", put("files", 2, "encoding", "ZSTD")),
        ("identity of another size", put("files", 1, "size", len(CONF) + 1)),
        ("a blob's digest alone", put("files", 1, "blob", "digest", sha(CONF))),
        (
            "a blob's digest in capitals",
            put("files", 1, "blob", "digest", "sha256:" + sha(CONF).upper()),
        ),
        ("a blob of size -1", put("files", 2, "blob", "size", -1)),
        ("no chunks of a large blob", drop("files", 0, "blob", "chunks")),
        ("chunks of a small blob", put("files", 1, "blob", "chunks", [sha(CONF)])),
        ("no chunks of a small blob, and a list", put("files", 1, "blob", "chunks", [])),
        ("a chunk too few", lambda value: value["files"][0]["blob"]["chunks"].pop()),
        ("a chunk too many", lambda value: value["files"][0]["blob"]["chunks"].append(OTHER)),
        ("a chunk with its algorithm", put("files", 0, "blob", "chunks", 1, "sha256:" + OTHER)),
        ("a chunk in capitals", put("files", 0, "blob", "chunks", 1, OTHER.upper())),
        ("a chunk of a number", put("files", 0, "blob", "chunks", 1, 5)),
        ("no steps", put("install", [])),
        ("65 steps", lambda value: put("install", value["install"] * 65)(value)),
        ("an unknown step", put("install", 0, "do", "exe")),
        ("a step in capitals", put("install", 0, "do", "Files")),
        ("a step without do", drop("install", 0, "do")),
        ("a step that names no file of the record", put("install", 0, "files", ["nic/absent"])),
        ("a step with a glob", put("install", 0, "files", ["nic/*"])),
        ("a step with a file twice", put("install", 0, "files", ["nic/nic.conf"] * 2)),
        ("a step without files", put("install", 0, "files", [])),
        ("a step with two files of one name", two_of_one_name),
        ("a file that is a folder of another", file_as_folder),
        ("load of nothing", put("install", 0, {"do": "load", "modules": []})),
        ("a step with the field of another", put("install", 0, "modules", ["a"])),
        ("into in a modules step", put("install", 0, "do", "modules")),
        ("into missing", drop("install", 0, "into")),
        ("load with files", put("install", 0, {"do": "load", "files": ["nic/nic.ko"]})),
        (
            "load of 65 modules",
            put("install", 0, {"do": "load", "modules": [f"m{n}" for n in range(65)]}),
        ),
        ("load of a module twice", put("install", 0, {"do": "load", "modules": ["a", "a"]})),
        ("load of a file", put("install", 0, {"do": "load", "modules": ["nic.ko"]})),
        ("load of a name of 56 bytes", put("install", 0, {"do": "load", "modules": ["a" * 56]})),
        ("load of no name", put("install", 0, {"do": "load", "modules": [""]})),
        ("driver of 56 bytes", put("expect", "driver", "a" * 56)),
        ("driver of a file", put("expect", "driver", "nic.ko")),
        (
            "a blob of 16 GiB and a byte",
            put(
                "files",
                2,
                "blob",
                {"digest": "sha256:" + OTHER, "size": (16 << 30) + 1, "chunks": [OTHER] * 16385},
            ),
        ),
        ("4097 origins", lambda value: put("origins", value["origins"] * 4097)(value)),
        ("an origin from nowhere", put("origins", 0, "from", "")),
        ("an origin of 2049 bytes", put("origins", 0, "from", "a" * 2049)),
        ("licence empty", put("licence", "")),
        ("licence of 129 bytes", put("licence", "a" * 129)),
        ("load of a path", put("install", 0, {"do": "load", "modules": ["../nic"]})),
        ("load of an option", put("install", 0, {"do": "load", "modules": ["-r"]})),
        (
            "load of a module with parameters",
            put("install", 0, {"do": "load", "modules": ["nic speed=1"]}),
        ),
        (
            "packages that the record has not",
            put("install", 0, {"do": "packages", "files": ["a.deb"]}),
        ),
        ("link_layer unknown", put("expect", "link_layer", "Omnipath")),
        ("port unknown", put("expect", "port", "up")),
        ("an unknown expectation", put("expect", "ping", "10.0.0.1")),
        ("driver of a path", put("expect", "driver", "../nic")),
        ("driver empty", put("expect", "driver", "")),
        ("an origin's digest with its algorithm", put("origins", 0, "sha256", "sha256:" + OTHER)),
        ("an origin's size -1", put("origins", 0, "size", -1)),
    ]:
        yield Case(f"record: {name}", {"record": change}, "damaged", 7)
    for into in (
        "",
        "etc",
        "./etc",
        "/",
        "//etc",
        "/etc/",
        "/etc/../root",
        "/..",
        "/etc/./a",
        "/etc//a",
        "/etc/a b",
        "~",
        "C:\\x",
        "/-x",
    ):
        yield Case(
            f"record: into {into!r}", {"record": put("install", 0, "into", into)}, "damaged", 7
        )
    yield from record_accepted()
    yield from record_files()


def record_accepted():
    """What a record may be, though larder's own are not so."""

    def same_blob(value):
        value["files"].append(file_of("nic/other.conf", CONF))

    for name, change in [
        ("a blob of two files", same_blob),
        ("port logical", put("expect", "port", "logical")),
        ("link_layer Ethernet", put("expect", "link_layer", "Ethernet")),
        (
            "64 steps",
            lambda value: value["install"].extend([{"do": "load", "modules": ["a"]}] * 63),
        ),
        (
            "64 modules of 55 bytes",
            lambda value: value["install"].append(
                {"do": "load", "modules": [f"{n:055}" for n in range(64)]}
            ),
        ),
        ("nothing expected", put("expect", {})),
        ("driver of 55 bytes", put("expect", "driver", "a" * 55)),
        ("4096 origins", lambda value: put("origins", value["origins"] * 4096)(value)),
        ("an origin of 2048 bytes", put("origins", 0, "from", "a" * 2048)),
        ("licence of 128 bytes", put("licence", "a" * 128)),
        (
            "a blob of 16 GiB that is not here",
            put(
                "files",
                2,
                "blob",
                {"digest": "sha256:" + OTHER, "size": 16 << 30, "chunks": [OTHER] * 16384},
            ),
        ),
        ("no origins", put("origins", [])),
        ("licence of one's own", put("licence", "LicenseRef-vendor")),
    ]:
        asked = (
            {}
            if name in ("a blob of two files", "no origins", "licence of one's own")
            else {"agent": "not asked"}
        )
        yield Case(f"record: {name}", {"record": change}, **asked)
    empty = {
        "record": lambda value: put("files", 1, file_of("nic/nic.conf", b""))(value),
        "disk": lambda made: made.put(b"") and None,
    }
    yield Case("record: an empty file", empty)
    exact = BIG[:MIB]
    yield Case(
        "record: a blob of 1 MiB has no chunks",
        {
            "record": lambda value: put("files", 0, file_of("nic/big.bin", exact))(value),
            "disk": lambda made: made.put(exact) and None,
        },
    )
    yield Case(
        "record: a blob of 1 MiB with its chunk",
        {
            "record": lambda value: put(
                "files", 0, "blob", {**blob_of(exact), "chunks": [sha(exact)]}
            )(value)
            or put("files", 0, "size", MIB)(value),
            "disk": lambda made: made.put(exact) and None,
        },
        "damaged",
        7,
    )
    more = BIG[: MIB + 1]
    yield Case(
        "record: a blob of 1 MiB and a byte",
        {
            "record": lambda value: put("files", 0, file_of("nic/big.bin", more))(value),
            "disk": lambda made: made.put(more) and None,
        },
    )
    for count, verdict, step in ((65536, "clean", None), (65537, "damaged", 7)):
        yield Case(
            f"record: {count} files",
            {
                "record": lambda value, count=count: put(
                    "files",
                    sorted(
                        (*value["files"], *(file_of(f"x/{n:x}", CONF) for n in range(count - 3))),
                        key=lambda f: f["path"],
                    ),
                )(value)
            },
            verdict,
            step,
            agent=None if step else "not asked",
        )


def record_files():
    """A record as a blob."""
    yield Case("record: not here, so not carried", {"disk": gone("record")}, agent="not_carried")
    yield Case("record: cut", {"disk": on("record", lambda data: data[:-1])}, "damaged", 7)
    yield Case("record: longer", {"disk": on("record", tail(b" "))}, "damaged", 7)
    yield Case("record: a bit flipped", {"disk": on("record", flip(-3))}, "damaged", 7)
    yield Case(
        "record: another of the same size",
        {"disk": on("record", swap('"mode":420', '"mode":493'))},
        "damaged",
        7,
    )
    yield Case("record: a link to its own bytes", {"disk": as_link("record")}, "damaged", 7)
    yield Case(
        "record: the row says another size",
        {"table": put("rows", 0, "record", "size", 5)},
        "damaged",
        7,
    )
    yield Case(
        "record: the row says size 0", {"table": put("rows", 0, "record", "size", 0)}, "damaged", 7
    )
    yield Case("record: 16 MiB", {"record_text": lambda data: data + b" " * (16 * MIB - len(data))})
    yield Case(
        "record: another bundle's, damaged, which the machine does not read",
        {"disk": lambda made: made.blob(sha(b"far away")).write_bytes(b"far awaY") and None},
        "damaged",
        7,
        agent="done",
    )
