"""cases_statement.py - statements and tables (FORMAT.md 5 and 6)."""

from changes import (
    Case,
    HOSTILE_NAMES,
    OTHER,
    as_folder,
    as_link,
    flip,
    gone,
    many,
    on,
    put,
    signed_by,
    swap,
    tail,
)
from made import MIB



SAFE_NAMES = [
    "a" * 128,
    "~",
    "+",
    "_",
    "...a",
    "com10",
    "COM0",
    "console",
    "a.con",
    "~root",
    "con-1",
]


def statement_cases():
    """The signed top."""
    for name, change in [
        ("another _type", put("_type", "https://in-toto.io/Statement/v0.1")),
        ("another predicateType", put("predicateType", "urn:larder:driver-cache:v2")),
        ("subjects out of order", lambda value: value["subject"].reverse()),
        ("a subject twice", lambda value: value["subject"].__setitem__(0, value["subject"][1])),
        ("a digest in capitals", put("subject", 1, "digest", "sha256", OTHER.upper())),
        ("a digest too short", put("subject", 1, "digest", "sha256", OTHER[1:])),
        ("a digest with its algorithm", put("subject", 1, "digest", "sha256", "sha256:" + OTHER)),
        ("two algorithms", put("subject", 1, "digest", "sha512", OTHER * 2)),
        ("a size too few", lambda value: value["predicate"]["tables"].pop()),
        ("a size too many", lambda value: value["predicate"]["tables"].append({"size": 1})),
        ("a size below 0", put("predicate", "tables", 1, "size", -1)),
        ("a size beyond 4 MiB", put("predicate", "tables", 1, "size", 4 * MIB + 1)),
        ("a source twice", put("predicate", "sources", ["https://a.example"] * 2)),
        ("a source of 2049 bytes", put("predicate", "sources", ["https://" + "a" * 2041])),
        ("a source with white space", put("predicate", "sources", ["https://a b"])),
        ("a source that is not ASCII", put("predicate", "sources", ["https://é.example"])),
        ("withdrawn twice", put("predicate", "withdrawn", ["a@1", "a@1"])),
        ("serial 0", put("predicate", "serial", 0)),
        ("serial -1", put("predicate", "serial", -1)),
        ("serial 2^48 + 1", put("predicate", "serial", (1 << 48) + 1)),
        ("65 sources", put("predicate", "sources", ["https://a.example"] * 65)),
        ("a source that is no URL", put("predicate", "sources", ["mirror"])),
        ("an empty source", put("predicate", "sources", [""])),
        ("4097 withdrawn", put("predicate", "withdrawn", [f"a@{n}" for n in range(4097)])),
    ]:
        yield Case(f"statement: {name}", {"statement": change}, "untrusted", 4)
    for created in (
        "",
        "2026-11-21",
        "2026-11-21T00:00:00",
        "2026-11-21T00:00:00+00:00",
        "2026-11-21t00:00:00z",
        "2026-11-21T00:00:00.0Z",
        "2026-11-21 00:00:00Z",
        " 2026-11-21T00:00:00Z",
        "20261-11-21T00:00:00Z",
    ):
        yield Case(
            f"statement: created {created!r}",
            {"statement": put("predicate", "created", created)},
            "untrusted",
            4,
        )
    for withdrawn in (
        "",
        "nic",
        "@",
        "nic@",
        "@1",
        "a@b@c",
        "../a@1",
        "nic@..",
        "nic@1 2",
        "n/c@1",
    ):
        yield Case(
            f"statement: withdrawn {withdrawn!r}",
            {"statement": put("predicate", "withdrawn", [withdrawn])},
            "untrusted",
            4,
        )
    for name in HOSTILE_NAMES:
        yield Case(
            f"statement: name {name[:20]!r}",
            {"statement": put("predicate", "name", name)},
            "untrusted",
            4,
        )
    for name in SAFE_NAMES:
        yield Case(
            f"statement: name {name[:20]!r} is safe", {"statement": put("predicate", "name", name)}
        )
    for name in (
        "",
        "linux",
        "linux/a-1",
        "linux/a-1/x/y",
        "/a-1/x",
        "linux//x",
        "linux/a-1/",
        "linux/../x",
        "linux/a-1/..",
        "../a-1/x",
        "linux/any/x y",
        "linux/a-1/x/",
        "linux/a-1/CON",
        "linux\\any\\x",
        "linux/-1/x",
        "linux/a-1/x.",
        "linux/a-" + "1" * 127 + "/x",
    ):
        yield Case(f"statement: subject {name[:30]!r}", only_subject(name), "untrusted", 4)
    for name in ("linux/opensuse-leap-15.5/x86_64", "windows/any/x86_64", "linux/any/aarch64"):
        yield Case(f"statement: subject {name!r} is good", only_subject(name), agent="os")
    for name in ("macos/a-1/x", "Linux/a-1/x", "linux/debian/x"):
        yield Case(
            f"statement: subject {name!r}", only_subject(name), "untrusted", 4
        )
    yield from statement_limits()


def only_subject(name):
    """A statement of one table, so that its name cannot be out of order."""

    def change(value):
        value["subject"] = [{**value["subject"][0], "name": name}]
        value["predicate"]["tables"] = value["predicate"]["tables"][:1]

    return {"statement": change}


def statement_limits():
    """At the edge, and what may be there."""
    yield Case(
        "statement: serial 2^48", {"statement": put("predicate", "serial", 1 << 48)}, least=1 << 48
    )
    yield Case("statement: serial 7, 7 accepted", {}, least=7)
    yield Case("statement: serial 7, 8 accepted", {}, "stale", 5, least=8)
    yield Case(
        "statement: stale and a blob damaged",
        {"disk": on("conf", flip(0))},
        "damaged",
        8,
        least=8,
        agent="serial",
    )
    yield Case(
        "statement: stale and a table not here",
        {"disk": gone("table")},
        "incomplete",
        6,
        least=8,
        agent="serial",
    )
    yield Case(
        "statement: a source of 2048 bytes",
        {"statement": put("predicate", "sources", ["https://" + "a" * 2040])},
    )
    yield Case("statement: untrusted and stale", signed_by("stranger"), "untrusted", 3, least=8)
    yield Case(
        "statement: malformed and stale",
        {"statement": put("predicate", "name", "..")},
        "untrusted",
        4,
        least=8,
    )
    yield Case(
        "statement: 64 sources",
        {"statement": put("predicate", "sources", [f"oci://a.example/{n}" for n in range(64)])},
    )
    yield Case(
        "statement: 4096 withdrawn",
        {"statement": put("predicate", "withdrawn", [f"a@{n}" for n in range(4096)])},
    )
    yield Case(
        "statement: withdrawn in any order",
        {"statement": put("predicate", "withdrawn", ["z@1", "a@1"])},
    )
    yield Case(
        "statement: this bundle withdrawn",
        {"statement": put("predicate", "withdrawn", ["nic@1.0"])},
        agent="withdrawn",
    )
    yield Case(
        "statement: a date that no calendar has",
        {"statement": put("predicate", "created", "2026-99-99T99:99:99Z")},
    )
    yield Case("statement: 1 MiB", {"statement_text": lambda data: data + b" " * (MIB - len(data))})
    yield Case(
        "statement: 1 MiB and a byte",
        {"statement_text": lambda data: data + b" " * (MIB + 1 - len(data))},
        "untrusted",
        4,
    )
    yield Case(
        "statement: no tables",
        {"statement": many(put("subject", []), put("predicate", "tables", []))},
        agent="os",
    )
    for count, verdict, step in ((4096, "clean", None), (4097, "untrusted", 4)):
        yield Case(f"statement: {count} tables", {"statement": more_tables(count)}, verdict, step)


def more_tables(count):
    """The table of `any` under many names, before those of the good cache."""

    def change(value):
        subject, size = value["subject"][0], value["predicate"]["tables"][0]
        more = [{**subject, "name": f"linux/a-{n:05}/x86_64"} for n in range(count - 2)]
        value["subject"][:0] = more
        value["predicate"]["tables"][:0] = [size] * len(more)

    return change


GOOD_DEVICES = [
    "pci:v00008086*",
    "pci:v00008086d*sv*sd*bc*sc*i*",
    "vmbus:" + OTHER[:32],
    "vmbus:" + OTHER[:32] + "*",
    "usb:v80AB*",
    "virtio:d0000000Av*",
    "PCI\\VEN_8ABC&DEV_*",
    "pci:v0000ABCDd*",
    "pci:v00008086{a,b}",
    "pci:v00008086" + "*" * 8,
    "pci:v00008086" + "a" * 115,
    "usb:v8086",
    "VMBUS\\{f8615163*",
    "VMBUS\\{f8615163-df3e-46c5-913f-f2d2f965ed0e}",
]
BAD_DEVICES = [
    "*",
    "pci:*",
    "pci:v*",
    "pci:v0000*",
    "pci:v0000808*",
    "pci:v0000808Gd*",
    "*a*a*a*a*",
    "PCI:v00008086*",
    "vmbus:" + OTHER[:31] + "*",
    "vmbus:*",
    "usb:v*",
    "usb:v808*",
    "usb:8086*",
    "virtio:d*",
    "virtio:d0000000*",
    "PCI\\VEN_*",
    "PCI\\VEN_808*",
    "PCI\\8086*",
    "VMBUS\\*",
    "VMBUS\\{*",
    "VMBUS\\{F861516*",
    "acpi:PNP0A03*",
    "of:N*",
    "",
    "pci:v00008086" + "*" * 9,
    "pci:v00008086" + "a" * 116,
    "pci:v00008086?",
    "pci:v00008086[0-9]*",
    "pci:v00008086d* ",
    "pci:v00008086d\t*",
    "pci:v00008086dé*",
    "pci:v00008086\x7f",
    "pci:v0000abcdd*",
    "usb:v80ab*",
    "virtio:d0000000av*",
    "PCI\\VEN_8abc&*",
    "vmbus:" + OTHER[:32].upper(),
    "VMBUS\\{F8615163*",
    "vmbus\\{f8615163*",
    " pci:v00008086*",
    "pci:v00008086d*\n",
]


def row(*path_and_value, verdict="damaged", agent=None):
    """A row of a case, about one member of the row."""
    *path, value = path_and_value
    return {"table": put("rows", 0, *path, value)}


def table_cases():
    """What a machine matches itself against."""
    for value in GOOD_DEVICES:
        yield Case(
            f"table: device {value[:40]!r}",
            {"table": lambda table, value=value: table["rows"][0]["devices"].append(value)},
        )
    for value in BAD_DEVICES:
        yield Case(
            f"table: device {value[:40]!r} {len(value)}",
            {"table": lambda table, value=value: table["rows"][0]["devices"].append(value)},
            "damaged",
            6,
        )
    for name in ("name", "version", "id"):
        for value in HOSTILE_NAMES:
            yield Case(f"table: {name} {value[:20]!r}", row(name, value), "damaged", 6)
    for name in ("kernels", "sizes"):
        for value in ("", "a b", "a?", "[a]", "*" * 9, "a" * 129, "é", "a\x7f"):
            yield Case(f"table: {name} {value[:20]!r}", row(name, [value]), "damaged", 6)
        yield Case(f"table: {name} none", row(name, []))
        yield Case(f"table: {name} of stars", row(name, ["*" * 8]))
    yield Case("table: another kernel", row("kernels", ["5.*"]), agent="kernel")
    for name, path in [
        ("excludes", ["excludes", ["a b"]]),
        ("requires", ["requires", ["../a"]]),
        ("no devices", ["devices", []]),
        ("rank 1001", ["rank", 1001]),
        ("rank -1", ["rank", -1]),
        ("a kernel twice", ["kernels", ["*", "*"]]),
        ("a size twice", ["sizes", ["*", "*"]]),
        ("a device twice", ["devices", [GOOD_DEVICES[0]] * 2]),
        ("an exclude twice", ["excludes", ["a", "a"]]),
        ("a requirement twice", ["requires", ["a", "a"]]),
        ("early 1", ["early", 1]),
        ("like null", ["like", None]),
        ("secure_boot of a word", ["secure_boot", "any"]),
        ("link_layer null", ["link_layer", None]),
        ("link_layer Ethernet in small letters", ["link_layer", "ethernet"]),
        ("1025 kernels", ["kernels", ["*", *(f"k{n}" for n in range(1024))]]),
        ("1025 devices", ["devices", [f"pci:v{n:08X}*" for n in range(1025)]]),
        ("a record's digest alone", ["record", "digest", OTHER]),
        ("a record's digest in capitals", ["record", "digest", "sha256:" + OTHER.upper()]),
        ("a record's digest of another kind", ["record", "digest", "sha512:" + OTHER * 2]),
        ("a record of 16 MiB and a byte", ["record", "size", 16 * MIB + 1]),
        ("a record of -1", ["record", "size", -1]),
        ("bytes -1", ["bytes", -1]),
    ]:
        yield Case(f"table: {name}", row(*path), "damaged", 6)
    yield Case("table: bytes is not the sum", row("bytes", 1))
    yield Case("table: rank 0", row("rank", 0))
    yield Case("table: rank 1000", row("rank", 1000))
    yield Case("table: 1024 kernels", row("kernels", ["*", *(f"k{n}" for n in range(1023))]))
    yield Case("table: kernels in any order", row("kernels", ["z*", "6*", "a*"]))
    yield Case("table: no rows", {"table": put("rows", [])}, agent="no_device")
    yield from table_files()
    yield from order_cases()


def table_files():
    """A table as a blob."""
    yield Case("table: not here", {"disk": gone("table")}, "incomplete", 6)
    yield Case("table: that of any not here", {"disk": gone("far")}, "incomplete", 6)
    yield Case("table: cut", {"disk": on("table", lambda data: data[:-1])}, "damaged", 6)
    yield Case("table: longer", {"disk": on("table", tail(b" "))}, "damaged", 6)
    yield Case("table: empty", {"disk": on("table", lambda data: b"")}, "damaged", 6)
    yield Case("table: a bit flipped", {"disk": on("table", flip(-3))}, "damaged", 6)
    yield Case(
        "table: another of the same size",
        {"disk": on("table", swap('"rank":50', '"rank":99'))},
        "damaged",
        6,
    )
    yield Case("table: a link to its own bytes", {"disk": as_link("table")}, "damaged", 6)
    yield Case("table: a folder", {"disk": as_folder("table")}, "damaged", 6)
    yield Case(
        "table: the statement says another size",
        {"statement": put("predicate", "tables", 1, "size", 5)},
        "damaged",
        6,
    )
    yield Case(
        "table: the statement says size 0",
        {"statement": put("predicate", "tables", 1, "size", 0)},
        "damaged",
        6,
    )
    yield Case("table: 4 MiB", {"table_text": lambda data: data + b" " * (4 * MIB - len(data))})
    yield Case(
        "table: 4 MiB and a byte",
        {"table_text": lambda data: data + b" " * (4 * MIB + 1 - len(data))},
        "untrusted",
        4,
    )
    yield Case(
        "table: that of any cut, which the machine reads too",
        {"disk": on("far", lambda data: data[:-1])},
        "damaged",
        6,
    )
    yield Case(
        "table: one not here and a blob damaged",
        {"disk": lambda made: (gone("far")(made), on("conf", flip(0))(made)) and None},
        "damaged",
        8,
        agent="not_carried",
    )


def rows(*more):
    """The good row and others, which differ from it as told."""

    def change(table):
        good = table["rows"][0]
        table["rows"] = [{**good, **one} for one in more]

    return {"table": change}


def order_cases():
    """Strict order of name, version, id, kernels, record digest."""
    low, high = {"digest": "sha256:" + "0" * 64, "size": 5}, {
        "digest": "sha256:" + "f" * 64,
        "size": 5,
    }
    pairs = [
        ("names", {"name": "a"}, {"name": "b"}),
        ("names, capitals first", {"name": "B"}, {"name": "a"}),
        ("names, the shorter first", {"name": "a"}, {"name": "a+"}),
        ("versions as bytes", {"version": "1.10"}, {"version": "1.9"}),
        ("ids", {"id": "a"}, {"id": "b"}),
        ("kernels", {"kernels": ["6*"]}, {"kernels": ["7*"]}),
        ("kernels, element by element", {"kernels": ["6*", "8*"]}, {"kernels": ["7*"]}),
        ("kernels, a list before its continuation", {"kernels": ["6*"]}, {"kernels": ["6*", "8*"]}),
        ("kernels, no list first", {"kernels": []}, {"kernels": ["6*"]}),
        ("kernels, the second element", {"kernels": ["6*", "7*"]}, {"kernels": ["6*", "8*"]}),
        ("kernels, the shorter word first", {"kernels": ["6"]}, {"kernels": ["6*"]}),
        ("record digests", {"record": low}, {"record": high}),
        ("name before version", {"name": "a", "version": "2"}, {"name": "b", "version": "1"}),
        ("version before id", {"version": "1", "id": "b"}, {"version": "2", "id": "a"}),
        ("id before kernels", {"id": "a", "kernels": ["7*"]}, {"id": "b", "kernels": []}),
    ]
    for name, first, second in pairs:
        yield Case(f"order: {name}", rows(first, second), agent="not asked")
        yield Case(f"order: {name}, reversed", rows(second, first), "damaged", 6)
    yield Case("order: a row twice", rows({}, {}), "damaged", 6)
    yield Case(
        "order: two rows that differ in rank only", rows({"rank": 1}, {"rank": 2}), "damaged", 6
    )
    short = {"devices": ["pci:v00001234d*"], "kernels": [], "record": low}
    for count, verdict, step in ((8192, "clean", None), (8193, "damaged", 6)):
        yield Case(
            f"table: {count} rows",
            {
                "far": lambda value, count=count: put(
                    "rows", [{**value["rows"][0], **short, "id": f"{n:05}"} for n in range(count)]
                )(value)
            },
            verdict,
            step,
        )
