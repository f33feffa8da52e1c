"""cases_json.py - strict JSON: the syntax and the members of all that is signed, and of trust."""

from changes import Case, drop, first_key_again, head, nested, put, swap, tail
from made import MODULE, good_record, row_of, statement_of, trust_of, zstd_frame

# Stage -> verdict, step, a file with an integer in it as it is written there.
LEVELS = {
    "trust": ("no trust root", 0, '"version":1'),
    "envelope": ("untrusted", 2, None),
    "statement": ("untrusted", 4, '"serial":7'),
    "table": ("damaged", 6, '"rank":50'),
    "record": ("damaged", 7, '"mode":420'),
}


JSON_DAMAGE = [
    ("a key twice", first_key_again),
    ("a byte order mark", head(b"\xef\xbb\xbf")),
    ("a byte after the end", tail(b"x")),
    ("another document after the end", tail(b"{}")),
    ("NUL after the end", tail(b"\0")),
    ("nothing at all", lambda data: b""),
    ("cut by a byte", lambda data: data[:-1]),
    ("a list", lambda data: b"[" + data + b"]"),
    ("depth 33", nested(32)),
    ("depth 100000", nested(100000)),
    ("single quotes", lambda data: data.replace(b'"', b"'")),
    ("a comment", head(b"/* x */")),
    ("a comma too many", lambda data: data[:-1] + b",}"),
    ("UTF-16", lambda data: data.decode().encode("utf-16")),
]
NUMBER_DAMAGE = [(".0", ".0"), ("e0", "e0"), ("E+0", "E+0"), ("as a string", None)]
STRING_DAMAGE = [
    ("NUL", b"\\u0000"),
    ("control U+0001", b"\\u0001"),
    ("carriage return", b"\\r"),
    ("raw tab", b"\t"),
    ("raw newline", b"\n"),
    ("bad UTF-8", b"\xff"),
    ("cut UTF-8", b"\xe2\x82"),
    ("overlong UTF-8", b"\xc0\xaf"),
    ("surrogate in UTF-8", b"\xed\xa0\x80"),
    ("lone surrogate", b"\\ud800"),
    ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
    ("unknown escape", b"\\x41"),
]


def json_cases():
    """Syntax, at every level."""
    for level, (verdict, step, number) in LEVELS.items():
        for name, change in JSON_DAMAGE:
            yield Case(f"{level} JSON: {name}", {f"{level}_text": change}, verdict, step)
        yield Case(
            f"{level} JSON: white space around is none",
            {f"{level}_text": lambda data: b" \n" + data + b"\n\t "},
        )
        for name, more in NUMBER_DAMAGE if number else ():
            key, digits = number.split(":")
            new = f'{key}:"{digits}"' if more is None else number + more
            yield Case(
                f"{level} JSON: an integer {name}",
                {f"{level}_text": swap(number, new)},
                verdict,
                step,
            )
        for digits in (
            ("9007199254740993", "-9007199254740993", "1" + "0" * 5000, "-1", "01", "NaN")
            if number
            else ()
        ):
            new = number.split(":")[0] + ":" + digits
            yield Case(
                f"{level} JSON: the integer {digits[:20]}",
                {f"{level}_text": swap(number, new)},
                verdict,
                step,
            )
    for name, damage in STRING_DAMAGE:
        yield Case(
            f"record string: {name}",
            {"record_text": swap("https://example.org/", b"https://" + damage)},
            "damaged",
            7,
        )
        yield Case(
            f"table string: {name}",
            {"table_text": swap('"version":"1.0', b'"version":"1.0' + damage)},
            "damaged",
            6,
        )
        yield Case(
            f"statement string: {name}",
            {"statement_text": swap("https://mirror", b"https://" + damage)},
            "untrusted",
            4,
        )
        yield Case(
            f"envelope string: {name}",
            {"envelope_text": swap('"keyid":"', b'"keyid":"' + damage)},
            "untrusted",
            2,
        )
        yield Case(
            f"key of a record: {name}",
            {"record_text": swap('"licence"', b'"licence' + damage + b'"')},
            "damaged",
            7,
        )
    yield Case(
        "record string: an escaped letter is that letter",
        {"record_text": swap("nic/big.bin", "nic/\\u0062ig.bin")},
    )
    yield Case("record string: tab and newline", {"record": put("origins", 0, "from", "a\tb\nc")})
    yield Case("record string: not ASCII", {"record": put("origins", 0, "from", "größe 😀")})
    yield Case("record number: 2^53 is the last", {"record": put("origins", 0, "size", 1 << 53)})
    yield Case(
        "record number: 2^53 + 1",
        {"record": put("origins", 0, "size", (1 << 53) + 1)},
        "damaged",
        7,
    )
    yield Case("table number: minus zero is zero", {"table_text": swap('"rank":50', '"rank":-0')})


def places(value, path=()):
    """Every member of every object, by its path; of a list the first element only."""
    members = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for word, inner in members:
        if isinstance(value, dict):
            yield (*path, word), inner
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, word))


def objects(value, path=()):
    """The path of every object."""
    if isinstance(value, dict):
        yield path
    for word, inner in value.items() if isinstance(value, dict) else enumerate(value[:1]):
        if isinstance(inner, (dict, list)):
            yield from objects(inner, (*path, word))


def sample(level):
    """A good document of a level, to know its members by."""
    return {
        "trust": trust_of("fleet"),
        "statement": statement_of([("linux/any/x86_64", b"")]),
        "envelope": {"payloadType": "", "payload": "", "signatures": [{"keyid": "", "sig": ""}]},
        "table": {"rows": [row_of("nic", b"", 0)]},
        "record": good_record(zstd_frame(MODULE)),
    }[level]


def other_type(value):
    """A value of a type that is never right there, and that a careless cast would take."""
    if isinstance(value, bool):
        return 1
    return {str: 7, int: True, list: {}, dict: []}[type(value)]


def member_cases():
    """Each member of each object missing and of another type; each object with one too many."""
    for level, (verdict, step, _) in LEVELS.items():
        for path, value in places(sample(level)):
            where = f"{level}: {'.'.join(map(str, path))}"
            if path[0] == "expect" and path[1:]:
                yield Case(f"{where} missing", {level: drop(*path)}, agent="not asked")
            else:
                yield Case(f"{where} missing", {level: drop(*path)}, verdict, step)
            yield Case(
                f"{where} of another type", {level: put(*path, other_type(value))}, verdict, step
            )
        for path in objects(sample(level)):
            where = f"{level}: {'.'.join(map(str, path)) or 'top'}"
            yield Case(
                f"{where} with an unknown key", {level: put(*path, "extra", None)}, verdict, step
            )
