"""cases.py - the table of what a verifier must accept and refuse: one row, one rule of FORMAT.md."""

import json
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils

from made import (BIG, CONF, KEYS, MIB, MODULE, STATEMENT_TYPE, b64, blob_of, entry, far_table,
                  file_of, good_record, pae, public, raw_signature, row_of, sha, statement_of, text,
                  trust_of, zstd_frame)

OTHER = "0123456789abcdef" * 4
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group


@dataclass
class Case:
    """A change of a good cache, and the answer to it."""
    name: str
    changes: dict
    verdict: str = "clean"
    step: int = None
    least: int = 0
    agent: str = None  # the agent's reason where it differs, since it reads its own branch only


# --- small changes ------------------------------------------------------------------------------


def reach(value, path):
    """The container that the last word of a path is in."""
    for word in path[:-1]:
        value = value[word]
    return value


def put(*path):
    """Set what the path leads to; the last argument is the value."""
    *path, new = path

    def change(value, *_):
        reach(value, path)[path[-1]] = new
    return change


def drop(*path):
    """Delete what the path leads to."""
    def change(value, *_):
        del reach(value, path)[path[-1]]
    return change


def many(*changes):
    """Several changes of one stage."""
    def change(value, *_):
        for one in changes:
            made = one(value)
            assert made is None
    return change


def swap(old, new):
    """Replace bytes that must be there, once."""
    old, new = (word.encode() if isinstance(word, str) else word for word in (old, new))

    def change(data, *_):
        assert old in data, (old, data[:200])
        return data.replace(old, new, 1)
    return change


def tail(more):
    """Bytes after the end."""
    return lambda data, *_: data + more


def head(more):
    """Bytes before the beginning."""
    return lambda data, *_: more + data


def on(name, change):
    """Change the bytes of a stored blob and leave its name: what an attacker with the disk does."""
    def disk(made, *_):
        path = made.blob(name)
        path.write_bytes(change(path.read_bytes()))
    return disk


def flip(at):
    """One bit of one byte."""
    def change(data, *_):
        made = bytearray(data)
        made[at] ^= 1
        return bytes(made)
    return change


def gone(name):
    """A blob that is not here."""
    return lambda made, *_: made.blob(name).unlink()


# --- JSON, at every level that is signed, and the trust root ------------------------------------

# Stage -> verdict, step, a file with an integer in it as it is written there.
LEVELS = {"trust": ("no trust root", 0, '"version":1'), "envelope": ("untrusted", 2, None),
          "statement": ("untrusted", 4, '"serial":7'), "table": ("damaged", 6, '"rank":50'),
          "record": ("damaged", 7, '"mode":420')}


def first_key_again(data, *_):
    """The first member once more, with the same value: harmless to a reader that does not look."""
    key, value = next(iter(json.loads(data).items()))
    return b"{" + text({key: value})[1:-1] + b"," + data[1:]


def nested(depth):
    """An unknown key that holds so many lists, one in another."""
    return swap("{", '{"deep":' + "[" * depth + "]" * depth + ",")


JSON_DAMAGE = [
    ("a key twice", first_key_again), ("a byte order mark", head(b"\xef\xbb\xbf")),
    ("a byte after the end", tail(b"x")), ("another document after the end", tail(b"{}")),
    ("NUL after the end", tail(b"\0")), ("nothing at all", lambda data: b""),
    ("cut by a byte", lambda data: data[:-1]), ("a list", lambda data: b"[" + data + b"]"),
    ("depth 33", nested(32)), ("depth 100000", nested(100000)),
    ("single quotes", lambda data: data.replace(b'"', b"'")), ("a comment", head(b"/* x */")),
    ("a comma too many", lambda data: data[:-1] + b",}"), ("UTF-16", lambda data: data.decode().encode("utf-16")),
]
NUMBER_DAMAGE = [(".0", ".0"), ("e0", "e0"), ("E+0", "E+0"), ("as a string", None)]
STRING_DAMAGE = [("NUL", b"\\u0000"), ("control U+0001", b"\\u0001"), ("carriage return", b"\\r"),
                 ("raw tab", b"\t"), ("raw newline", b"\n"), ("bad UTF-8", b"\xff"),
                 ("cut UTF-8", b"\xe2\x82"), ("overlong UTF-8", b"\xc0\xaf"),
                 ("surrogate in UTF-8", b"\xed\xa0\x80"), ("lone surrogate", b"\\ud800"),
                 ("beyond U+10FFFF", b"\xf4\x90\x80\x80"), ("unknown escape", b"\\x41")]


def json_cases():
    """Syntax, at every level."""
    for level, (verdict, step, number) in LEVELS.items():
        for name, change in JSON_DAMAGE:
            yield Case(f"{level} JSON: {name}", {f"{level}_text": change}, verdict, step)
        yield Case(f"{level} JSON: white space around is none", {f"{level}_text": lambda data: b" \n" + data + b"\n\t "})
        for name, more in NUMBER_DAMAGE if number else ():
            key, digits = number.split(":")
            new = f'{key}:"{digits}"' if more is None else number + more
            yield Case(f"{level} JSON: an integer {name}", {f"{level}_text": swap(number, new)}, verdict, step)
        for digits in ("9007199254740993", "-9007199254740993", "1" + "0" * 5000, "-1", "01", "NaN") if number else ():
            new = number.split(":")[0] + ":" + digits
            yield Case(f"{level} JSON: the integer {digits[:20]}", {f"{level}_text": swap(number, new)}, verdict, step)
    for name, damage in STRING_DAMAGE:
        yield Case(f"record string: {name}", {"record_text": swap("https://example.org/", b"https://" + damage)},
                   "damaged", 7)
        yield Case(f"table string: {name}", {"table_text": swap('"version":"1.0', b'"version":"1.0' + damage)},
                   "damaged", 6)
        yield Case(f"statement string: {name}",
                   {"statement_text": swap("https://mirror", b"https://" + damage)}, "untrusted", 4)
        yield Case(f"envelope string: {name}", {"envelope_text": swap('"keyid":"', b'"keyid":"' + damage)},
                   "untrusted", 2)
        yield Case(f"key of a record: {name}", {"record_text": swap('"licence"', b'"licence' + damage + b'"')},
                   "damaged", 7)
    yield Case("record string: an escaped letter is that letter",
               {"record_text": swap("nic/big.bin", "nic/\\u0062ig.bin")})
    yield Case("record string: tab and newline", {"record": put("origins", 0, "from", "a\tb\nc")})
    yield Case("record string: not ASCII", {"record": put("origins", 0, "from", "package größe 😀")})
    yield Case("record number: 2^53 is the last", {"record": put("origins", 0, "size", 1 << 53)})
    yield Case("record number: 2^53 + 1", {"record": put("origins", 0, "size", (1 << 53) + 1)}, "damaged", 7)
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
    return {"trust": trust_of("fleet"), "statement": statement_of([("linux/any/x86_64", b"")]),
            "envelope": {"payloadType": "", "payload": "", "signatures": [{"keyid": "", "sig": ""}]},
            "table": {"rows": [row_of("nic", b"", 0)]},
            "record": good_record(zstd_frame(MODULE))}[level]


def other_type(value):
    """A value of a type that is never right there, and that a careless cast would take."""
    if isinstance(value, bool):
        return 1
    return {str: 7, int: True, list: {}, dict: []}[type(value)]


def member_cases():
    """Each member of each object missing, null and of another type; each object with one too many."""
    for level, (verdict, step, _) in LEVELS.items():
        for path, value in places(sample(level)):
            where = f"{level}: {'.'.join(map(str, path))}"
            yield Case(f"{where} missing", {level: drop(*path)}, verdict, step)
            yield Case(f"{where} null", {level: put(*path, None)}, verdict, step)
            yield Case(f"{where} of another type", {level: put(*path, other_type(value))}, verdict, step)
        for path in objects(sample(level)):
            where = f"{level}: {'.'.join(map(str, path)) or 'top'}"
            yield Case(f"{where} with an unknown key", {level: put(*path, "extra", None)}, verdict, step)


# --- envelope, section 3 ------------------------------------------------------------------------


def signed_by(*names):
    """The signatures of these keys."""
    return {"signatures": lambda value, payload: [entry(name, pae(payload)) for name in names]}


def fleet_sig(change):
    """The fleet's signature, its bytes changed."""
    return {"signatures": lambda value, payload: [
        entry("fleet", pae(payload), sig=change(raw_signature("fleet", pae(payload))))]}


def der_integer(number, lead=b""):
    """A DER integer, with bytes before its value to spoil it."""
    data = lead + number.to_bytes(number.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(data)]) + data


def der(r, s, lead=b""):
    """A signature spelled out."""
    body = der_integer(r, lead) + der_integer(s)
    return b"\x30" + bytes([len(body)]) + body


def respell(change):
    """A good signature, written in another way."""
    return fleet_sig(lambda sig: change(sig, *utils.decode_dss_signature(sig)))


def base64_cases():
    """One spelling only, in both fields that hold it."""
    def last_bits(word):
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        at = len(word.rstrip("=")) - 1
        return word[:at] + letters[letters.index(word[at]) + 1] + word[at + 1:]
    spellings = [("bits that are dropped", last_bits), ("without padding", lambda word: word.rstrip("=")),
                 ("white space within", lambda word: word[:8] + " " + word[8:]),
                 ("a newline after", lambda word: word + "\n"), ("two lines", lambda word: word[:8] + "\n" + word[8:]),
                 ("more padding", lambda word: word + "="), ("a letter too many", lambda word: word + "A"),
                 ("padding in the middle", lambda word: "QQ==" + word), ("a letter of another alphabet", lambda word: "-_" + word[2:])]
    for name, spell in spellings:
        yield Case(f"payload in base64: {name}", {
            "statement_text": lambda data: data + b" " * ((1 - len(data)) % 3),
            "envelope": lambda value, spell=spell: put("payload", spell(value["payload"]))(value)}, "untrusted", 2)
        yield Case(f"signature in base64: {name}", {
            **fleet_sig(lambda sig: b"x" * 70),
            "envelope": lambda value, spell=spell: put("signatures", 0, "sig", spell(value["signatures"][0]["sig"]))(value)},
            "untrusted", 2)


def envelope_cases():
    """What the envelope is made of."""
    yield Case("good", {})
    yield Case("payloadType of a trust root", {"envelope": put("payloadType", "application/vnd.larder.trust.v1+json"),
               "signatures": lambda value, payload: [entry("fleet", pae(payload, "application/vnd.larder.trust.v1+json"))]},
               "untrusted", 2)
    yield Case("payloadType empty", {"envelope": put("payloadType", "")}, "untrusted", 2)
    yield Case("payloadType in capitals", {"envelope": put("payloadType", STATEMENT_TYPE.upper())}, "untrusted", 2)
    yield Case("payloadType swapped after signing", {
        "signatures": lambda value, payload: [entry("fleet", pae(payload, "text/plain"))]}, "untrusted", 3)
    yield Case("the payload signed without its type", {
        "signatures": lambda value, payload: [entry("fleet", payload)]}, "untrusted", 3)
    yield Case("the payload in base64 signed", {
        "signatures": lambda value, payload: [entry("fleet", pae(b64(payload).encode()))]}, "untrusted", 3)
    yield Case("payload empty", {"statement_text": lambda data: b""}, "untrusted", 4)
    yield Case("payload changed after signing", {"signatures": lambda value, payload: [entry("fleet", pae(payload + b" "))]},
               "untrusted", 3)
    yield Case("no signatures", {"signatures": lambda value, payload: []}, "untrusted", 3)
    yield Case("64 signatures", signed_by(*["stranger"] * 63, "fleet"))
    yield Case("65 signatures", signed_by(*["fleet"] * 65), "untrusted", 2)
    yield Case("an envelope of 4 MiB", {"envelope_text": lambda data: data + b" " * (4 * MIB - len(data))})
    yield Case("an envelope of 4 MiB and a byte", {"envelope_text": lambda data: data + b" " * (4 * MIB + 1 - len(data))},
               "untrusted", 2)
    for size in (0, 1, 7, 97, 200, 1 << 16):
        yield Case(f"a signature of {size} bytes", fleet_sig(lambda sig, size=size: b"\x30" * size), "untrusted", 2)
    for size in (8, 64, 72, 96):
        yield Case(f"a signature of {size} bytes that is none", fleet_sig(lambda sig, size=size: b"\x30" * size),
                   "untrusted", 3)
    for keyid in ("", "x", OTHER[:63], OTHER + "0", OTHER.upper(), "sha256:" + OTHER):
        yield Case(f"the key id {keyid[:10]!r} of {len(keyid)} bytes", {
            "signatures": lambda value, payload, keyid=keyid: [entry("fleet", pae(payload), keyid=keyid)]},
            "untrusted", 2)


def signature_cases():
    """Who signed, and how."""
    yield Case("Ed25519", {**signed_by("edward"), "trust": put("keys", trust_of("edward")["keys"])})
    yield Case("Ed25519, a bit flipped", {"trust": put("keys", trust_of("edward")["keys"]), "signatures": lambda value, payload: [
        entry("edward", pae(payload), sig=flip(40)(raw_signature("edward", pae(payload))))]}, "untrusted", 3)
    yield Case("Ed25519, cut", {"trust": put("keys", trust_of("edward")["keys"]), "signatures": lambda value, payload: [
        entry("edward", pae(payload), sig=raw_signature("edward", pae(payload))[:63])]}, "untrusted", 3)
    yield Case("ECDSA bytes under an Ed25519 key", {"trust": put("keys", trust_of("edward")["keys"]), "signatures":
               lambda value, payload: [entry("edward", pae(payload), sig=raw_signature("fleet", pae(payload)))]}, "untrusted", 3)
    for at in (0, 4, 20, 60, -1):
        yield Case(f"ECDSA, a bit of byte {at} flipped", fleet_sig(flip(at)), "untrusted", 3)
    yield Case("ECDSA, the other s", respell(lambda sig, r, s: der(r, ORDER - s)))
    for name, change in [("s beyond the order", lambda sig, r, s: der(r, s + ORDER)),
                         ("r and s zero", lambda sig, r, s: der(0, 0)), ("s zero", lambda sig, r, s: der(r, 0)),
                         ("a zero before r", lambda sig, r, s: der(r, s, b"\0")),
                         ("a byte after the end", lambda sig, r, s: sig + b"\0"),
                         ("a length in two bytes", lambda sig, r, s: b"\x30\x81" + sig[1:]),
                         ("a length without end", lambda sig, r, s: b"\x30\x80" + sig[2:] + b"\0\0"),
                         ("r and s side by side", lambda sig, r, s: r.to_bytes(32, "big") + s.to_bytes(32, "big")),
                         ("a set", lambda sig, r, s: b"\x31" + sig[1:]),
                         ("cut", lambda sig, r, s: sig[:-1])]:
        yield Case(f"ECDSA, {name}", respell(change), "untrusted", 3)
    yield Case("signed by a stranger", signed_by("stranger"), "untrusted", 3)
    yield Case("a stranger under the fleet's key id", {"signatures": lambda value, payload: [
        entry("stranger", pae(payload), keyid=sha(public("fleet")))]}, "untrusted", 3)
    yield Case("the fleet under another key id", {"signatures": lambda value, payload: [
        entry("fleet", pae(payload), keyid=OTHER)]}, "untrusted", 3)
    yield Case("a stranger and the fleet", signed_by("stranger", "fleet"))
    yield Case("a bad signature and a good one of one key", {"signatures": lambda value, payload: [
        entry("fleet", pae(payload), sig=b"\x30" * 70), entry("fleet", pae(payload))]})


def threshold_cases():
    """Keys are counted, not signatures."""
    two = {"trust": lambda value: trust_of("fleet", "second", threshold=2)}
    three = {"trust": lambda value: trust_of("fleet", "second", "edward", threshold=3)}
    yield Case("2 of 2", {**two, **signed_by("fleet", "second")})
    yield Case("2 of 2 and a stranger", {**two, **signed_by("stranger", "second", "fleet")})
    yield Case("3 of 3, both kinds of keys", {**three, **signed_by("edward", "fleet", "second")})
    yield Case("1 of 2", {**two, **signed_by("fleet")}, "untrusted", 3)
    yield Case("1 of 2 and a stranger", {**two, **signed_by("fleet", "stranger")}, "untrusted", 3)
    yield Case("one key twice, two signatures", {**two, **signed_by("fleet", "fleet")}, "untrusted", 3)
    yield Case("one signature twice", {**two, "signatures": lambda value, payload: [
        entry("fleet", pae(payload))] * 2}, "untrusted", 3)
    yield Case("one signature under two key ids", {**two, "signatures": lambda value, payload: [
        entry("fleet", pae(payload)), entry("fleet", pae(payload), keyid=sha(public("second")))]}, "untrusted", 3)
    yield Case("one key id in two spellings", {**two, "signatures": lambda value, payload: [
        entry("fleet", pae(payload)), entry("fleet", pae(payload), keyid=sha(public("fleet")).upper())]}, "untrusted", 2)
    yield Case("2 of 2, one of them bad", {**two, "signatures": lambda value, payload: [
        entry("fleet", pae(payload)), entry("second", pae(payload + b" "))]}, "untrusted", 3)
    yield Case("2 of 2, both by the first key's hand", {**two, "signatures": lambda value, payload: [
        entry("fleet", pae(payload)), entry("fleet", pae(payload), keyid=sha(public("second")))]}, "untrusted", 3)


# --- trust, section 4 ---------------------------------------------------------------------------


def spki(key, point=serialization.PublicFormat.SubjectPublicKeyInfo):
    """Base64 of a foreign public key."""
    return b64(key.public_key().public_bytes(serialization.Encoding.DER, point))


def compressed():
    """The fleet's key with a compressed point: the same key under another key id."""
    point = KEYS["fleet"].public_key().public_bytes(serialization.Encoding.X962,
                                                    serialization.PublicFormat.CompressedPoint)
    prefix = public("fleet")[2:23]
    body = prefix + b"\x03" + bytes([len(point) + 1]) + b"\0" + point
    return b64(b"\x30" + bytes([len(body)]) + body)


def trust_cases():
    """A root that is none lets nothing pass."""
    for name, key in [("of P-384", spki(ec.generate_private_key(ec.SECP384R1()))),
                      ("of RSA", spki(rsa.generate_private_key(65537, 2048))),
                      ("with a compressed point", compressed()), ("and a byte", b64(public("fleet") + b"\0")),
                      ("that is empty", ""), ("cut", b64(public("fleet")[:-1])),
                      ("in base64 without padding", b64(public("fleet")).rstrip("=") + " "),
                      ("that is not on the curve", b64(flip(-1)(public("fleet"))))]:
        yield Case(f"trust: a key {name}", {"trust": put("keys", [{"public": key}])}, "no trust root", 0)
    keys = [ed25519.Ed25519PrivateKey.generate() for _ in range(32)]
    fleet = trust_of("fleet")["keys"][0]
    yield Case("trust: 32 keys", {"trust": put("keys", [{"public": spki(key)} for key in keys[:31]] + [fleet])})
    yield Case("trust: 33 keys", {"trust": put("keys", [{"public": spki(key)} for key in keys] + [fleet])},
               "no trust root", 0)
    for name, change in [("no keys", put("keys", [])), ("a key twice", put("keys", [fleet, fleet])),
                         ("threshold 0", put("threshold", 0)), ("threshold 2 of 1", put("threshold", 2)),
                         ("version 0", put("version", 0)), ("version 2^32 + 1", put("version", (1 << 32) + 1)),
                         ("another format", put("format", "larder.trust.v2"))]:
        yield Case(f"trust: {name}", {"trust": change}, "no trust root", 0)
    yield Case("trust: payloadType of a statement", {"trust_envelope": put("payloadType", STATEMENT_TYPE)},
               "no trust root", 0)
    yield Case("trust: a bare payload", {"trust_envelope_text": lambda data: text(trust_of("fleet"))},
               "no trust root", 0)
    yield Case("trust: 256 KiB", {"trust_envelope_text": lambda data: data + b" " * (MIB // 4 - len(data))})
    yield Case("trust: 256 KiB and a byte", {"trust_envelope_text": lambda data: data + b" " * (MIB // 4 + 1 - len(data))},
               "no trust root", 0)


# --- statement, section 5 -----------------------------------------------------------------------

HOSTILE_NAMES = ["", ".", "..", "-rf", "a/b", "a\\b", "a b", "a.", "a:b", "é", "a\nb", "CON", "con", "nul.txt", "LPT9.x",
                 "com1", "a" * 129, "%2e", "~/x", "a*", "$HOME", "a;b", "a\tb"]
SAFE_NAMES = ["a" * 128, "~", "+", "_", "...a", "com10", "COM0", "console", "a.con", "~root", "con-1"]


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
            ("serial 0", put("predicate", "serial", 0)), ("serial -1", put("predicate", "serial", -1)),
            ("serial 2^48 + 1", put("predicate", "serial", (1 << 48) + 1)),
            ("65 sources", put("predicate", "sources", ["https://a.example"] * 65)),
            ("a source that is no URL", put("predicate", "sources", ["mirror"])),
            ("an empty source", put("predicate", "sources", [""])),
            ("4097 withdrawn", put("predicate", "withdrawn", [f"a@{n}" for n in range(4097)]))]:
        yield Case(f"statement: {name}", {"statement": change}, "untrusted", 4)
    for created in ("", "2026-11-21", "2026-11-21T00:00:00", "2026-11-21T00:00:00+00:00", "2026-11-21t00:00:00z",
                    "2026-11-21T00:00:00.0Z", "2026-11-21 00:00:00Z", " 2026-11-21T00:00:00Z", "20261-11-21T00:00:00Z"):
        yield Case(f"statement: created {created!r}", {"statement": put("predicate", "created", created)}, "untrusted", 4)
    for withdrawn in ("", "nic", "@", "nic@", "@1", "a@b@c", "../a@1", "nic@..", "nic@1 2", "n/c@1"):
        yield Case(f"statement: withdrawn {withdrawn!r}", {"statement": put("predicate", "withdrawn", [withdrawn])},
                   "untrusted", 4)
    for name in HOSTILE_NAMES:
        yield Case(f"statement: name {name[:20]!r}", {"statement": put("predicate", "name", name)}, "untrusted", 4)
    for name in SAFE_NAMES:
        yield Case(f"statement: name {name[:20]!r} is safe", {"statement": put("predicate", "name", name)})
    for name in ("", "linux", "linux/a-1", "linux/a-1/x/y", "/a-1/x", "linux//x", "linux/a-1/", "linux/../x", "linux/a-1/..",
                 "macos/a-1/x", "Linux/a-1/x", "linux/any/x y", "linux/a-1/x/", "linux/a-1/CON", "linux\\any\\x",
                 "linux/debian/x", "linux/-1/x", "linux/a-/x"):
        yield Case(f"statement: subject {name!r}", {"statement": put("subject", 0, "name", name)}, "untrusted", 4)
    yield from statement_limits()


def statement_limits():
    """At the edge, and what may be there."""
    yield Case("statement: serial 2^48", {"statement": put("predicate", "serial", 1 << 48)}, least=1 << 48)
    yield Case("statement: serial 7, 7 accepted", {}, least=7)
    yield Case("statement: serial 7, 8 accepted", {}, "stale", 5, least=8)
    yield Case("statement: stale and a blob damaged", {"disk": on("conf", flip(0))}, "stale", 5, least=8)
    yield Case("statement: untrusted and stale", signed_by("stranger"), "untrusted", 3, least=8)
    yield Case("statement: malformed and stale", {"statement": put("predicate", "name", "..")}, "untrusted", 4, least=8)
    yield Case("statement: 64 sources", {"statement": put("predicate", "sources", [f"oci://a.example/{n}" for n in range(64)])})
    yield Case("statement: 4096 withdrawn", {"statement": put("predicate", "withdrawn", [f"a@{n}" for n in range(4096)])})
    yield Case("statement: withdrawn in any order", {"statement": put("predicate", "withdrawn", ["z@1", "a@1"])})
    yield Case("statement: this bundle withdrawn", {"statement": put("predicate", "withdrawn", ["nic@1.0"])}, agent="withdrawn")
    yield Case("statement: a date that no calendar has", {"statement": put("predicate", "created", "2026-99-99T99:99:99Z")})
    yield Case("statement: 1 MiB", {"statement_text": lambda data: data + b" " * (MIB - len(data))})
    yield Case("statement: 1 MiB and a byte", {"statement_text": lambda data: data + b" " * (MIB + 1 - len(data))}, "untrusted", 4)
    yield Case("statement: no tables", {"statement": many(put("subject", []), put("predicate", "tables", []))}, agent="os")
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


# --- table, section 6 ---------------------------------------------------------------------------

GOOD_DEVICES = ["pci:v00008086*", "pci:v00008086d*sv*sd*bc*sc*i*", "vmbus:" + OTHER[:32], "vmbus:" + OTHER[:32] + "*",
                "usb:v8086*", "virtio:d00000001v*", "PCI\\VEN_8086&DEV_*", "pci:v0000ABCDd*", "pci:v0000abcdd*",
                "pci:v00008086" + "*" * 8, "pci:v00008086" + "a" * 115,
                "VMBUS\\{F8615163*", "VMBUS\\{F8615163-DF3E-46C5-913F-F2D2F965ED0E}"]
BAD_DEVICES = ["*", "pci:*", "pci:v*", "pci:v0000*", "pci:v0000808*", "pci:v0000808Gd*", "*a*a*a*a*", "PCI:v00008086*",
               "vmbus:" + OTHER[:31] + "*", "vmbus:*", "usb:v*", "usb:v808*", "usb:8086*", "virtio:d*", "virtio:d0000000*",
               "PCI\\VEN_*", "PCI\\VEN_808*", "PCI\\8086*", "VMBUS\\*", "VMBUS\\{*", "VMBUS\\{F861516*", "acpi:PNP0A03*", "of:N*", "",
               "pci:v00008086" + "*" * 9, "pci:v00008086" + "a" * 116, "pci:v00008086?", "pci:v00008086[0-9]*",
               "pci:v00008086d* ", "pci:v00008086d\t*", "pci:v00008086dé*", "pci:v00008086{a,b}", "pci:v00008086\x7f",
               " pci:v00008086*", "pci:v00008086d*\n"]


def row(*path_and_value, verdict="damaged", agent=None):
    """A row of a case, about one member of the row."""
    *path, value = path_and_value
    return {"table": put("rows", 0, *path, value)}


def table_cases():
    """What a machine matches itself against."""
    for value in GOOD_DEVICES:
        yield Case(f"table: device {value[:40]!r}", {"table": lambda table, value=value: table["rows"][0]["devices"].append(value)})
    for value in BAD_DEVICES:
        yield Case(f"table: device {value[:40]!r} {len(value)}", {"table": lambda table, value=value: table["rows"][0]["devices"].append(value)},
                   "damaged", 6)
    for name in ("name", "version", "id"):
        for value in HOSTILE_NAMES:
            yield Case(f"table: {name} {value[:20]!r}", row(name, value), "damaged", 6)
    for name in ("kernels", "sizes"):
        for value in ("", "a b", "a?", "[a]", "a{b}", "*" * 9, "a" * 129, "é", "a\x7f"):
            yield Case(f"table: {name} {value[:20]!r}", row(name, [value]), "damaged", 6)
        yield Case(f"table: {name} none", row(name, []))
        yield Case(f"table: {name} of stars", row(name, ["*" * 8]))
    yield Case("table: another kernel", row("kernels", ["5.*"]), agent="kernel")
    for name, path in [("excludes", ["excludes", ["a b"]]), ("requires", ["requires", ["../a"]]), ("no devices", ["devices", []]),
                       ("rank 1001", ["rank", 1001]), ("rank -1", ["rank", -1]),
                       ("a kernel twice", ["kernels", ["*", "*"]]), ("a size twice", ["sizes", ["*", "*"]]),
                       ("a device twice", ["devices", [GOOD_DEVICES[0]] * 2]), ("an exclude twice", ["excludes", ["a", "a"]]),
                       ("a requirement twice", ["requires", ["a", "a"]]), ("early 1", ["early", 1]),
                       ("1025 kernels", ["kernels", ["*", *(f"k{n}" for n in range(1024))]]),
                       ("1025 devices", ["devices", [f"pci:v{n:08X}*" for n in range(1025)]]),
                       ("a record's digest alone", ["record", "digest", OTHER]), ("a record's digest in capitals", ["record", "digest", "sha256:" + OTHER.upper()]),
                       ("a record's digest of another kind", ["record", "digest", "sha512:" + OTHER * 2]),
                       ("a record of 16 MiB and a byte", ["record", "size", 16 * MIB + 1]), ("a record of -1", ["record", "size", -1]),
                       ("bytes -1", ["bytes", -1])]:
        yield Case(f"table: {name}", row(*path), "damaged", 6)
    yield Case("table: bytes is not the sum", {"table": lambda value: put("rows", 0, "bytes", value["rows"][0]["bytes"] + 1)(value)}, "damaged", 7)
    yield Case("table: rank 0", row("rank", 0))
    yield Case("table: rank 1000", row("rank", 1000))
    yield Case("table: 1024 kernels", row("kernels", ["*", *(f"k{n}" for n in range(1023))]))
    yield Case("table: kernels in any order", row("kernels", ["z*", "6*", "a*"]))
    yield Case("table: no rows", {"table": put("rows", [])}, agent="device")
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
    yield Case("table: another of the same size", {"disk": on("table", swap('"rank":50', '"rank":99'))}, "damaged", 6)
    yield Case("table: a link to its own bytes", {"disk": as_link("table")}, "damaged", 6)
    yield Case("table: a folder", {"disk": as_folder("table")}, "damaged", 6)
    yield Case("table: the statement says another size", {"statement": put("predicate", "tables", 1, "size", 5)}, "damaged", 6)
    yield Case("table: the statement says size 0", {"statement": put("predicate", "tables", 1, "size", 0)}, "damaged", 6)
    yield Case("table: 4 MiB", {"table_text": lambda data: data + b" " * (4 * MIB - len(data))})
    yield Case("table: 4 MiB and a byte", {"table_text": lambda data: data + b" " * (4 * MIB + 1 - len(data))}, "damaged", 6)
    yield Case("table: that of any cut, which the machine reads too", {"disk": on("far", lambda data: data[:-1])}, "damaged", 6)
    yield Case("table: one not here and a blob damaged", {"disk": lambda made: (gone("far")(made), on("conf", flip(0))(made)) and None},
               "damaged", 8)


def rows(*more):
    """The good row and others, which differ from it as told."""
    def change(table):
        good = table["rows"][0]
        table["rows"] = [{**good, **one} for one in more]
    return {"table": change}


def order_cases():
    """Strict order of name, version, id, kernels, record digest."""
    low, high = {"digest": "sha256:" + "0" * 64, "size": 5}, {"digest": "sha256:" + "f" * 64, "size": 5}
    pairs = [("names", {"name": "a"}, {"name": "b"}), ("names, capitals first", {"name": "B"}, {"name": "a"}),
             ("names, the shorter first", {"name": "a"}, {"name": "a+"}), ("versions as bytes", {"version": "1.10"}, {"version": "1.9"}),
             ("ids", {"id": "a"}, {"id": "b"}), ("kernels", {"kernels": ["6*"]}, {"kernels": ["7*"]}),
             ("kernels, the shorter list first", {"kernels": ["7*"]}, {"kernels": ["6*", "8*"]}),
             ("kernels, no list first", {"kernels": []}, {"kernels": ["6*"]}),
             ("kernels, the second element", {"kernels": ["6*", "7*"]}, {"kernels": ["6*", "8*"]}),
             ("kernels, the shorter word first", {"kernels": ["6"]}, {"kernels": ["6*"]}),
             ("record digests", {"record": low}, {"record": high}),
             ("name before version", {"name": "a", "version": "2"}, {"name": "b", "version": "1"}),
             ("version before id", {"version": "1", "id": "b"}, {"version": "2", "id": "a"}),
             ("id before kernels", {"id": "a", "kernels": ["7*"]}, {"id": "b", "kernels": []})]
    for name, first, second in pairs:
        yield Case(f"order: {name}", rows(first, second), agent="not asked")
        yield Case(f"order: {name}, reversed", rows(second, first), "damaged", 6)
    yield Case("order: a row twice", rows({}, {}), "damaged", 6)
    yield Case("order: two rows that differ in rank only", rows({"rank": 1}, {"rank": 2}), "damaged", 6)
    short = {"devices": ["pci:v00001234d*"], "kernels": [], "record": low}
    for count, verdict, step in ((8192, "clean", None), (8193, "damaged", 6)):
        yield Case(f"table: {count} rows", {"far": lambda value, count=count: put("rows", [
            {**value["rows"][0], **short, "id": f"{n:05}"} for n in range(count)])(value)}, verdict, step)


# --- record, section 7 --------------------------------------------------------------------------


def rename(path):
    """Call the first file of the record by another path, in its step too."""
    def change(record):
        record["files"][0]["path"] = path
        record["install"][0]["files"][0] = path
        record["files"].sort(key=lambda entry: entry["path"].encode())
    return {"record": change}


HOSTILE_PATHS = ["", "/", "/etc/passwd", "../up", "a/../b", "a/..", "./a", "a/.", "a//b", "a/", "a\\b", "C:/x", "-x", "a/-x", "a/con",
                 "a/NUL.ko", "a b", "a./b", "a/b.", "a\nb", "é", "a" * 129, "/".join(["a"] * 17), "/".join(["a" * 102] * 5) + "bc",
                 "a:b", "a*", "~/.ssh/", "%2e%2e/a"]


def record_cases():
    """What a bundle holds, and does."""
    for path in HOSTILE_PATHS:
        yield Case(f"record: path {path[:20]!r} {len(path)}", rename(path), "damaged", 7)
    for path in ("a", "a" * 128, "/".join(["a"] * 16), "/".join(["a" * 102] * 4) + "/" + "b" * 100, "~", "nic/com10", "nic/a..b"):
        yield Case(f"record: path {path[:20]!r} {len(path)} is safe", rename(path))
    for name, change in [
            ("files out of order", lambda value: value["files"].reverse()),
            ("a file twice", lambda value: value["files"].insert(0, value["files"][0])),
            ("a path twice", lambda value: value["files"].insert(1, file_of("nic/big.bin", CONF))),
            ("mode 0777", put("files", 1, "mode", 511)), ("mode setuid", put("files", 1, "mode", 0o4755)),
            ("mode 0", put("files", 1, "mode", 0)), ("mode as people write it", put("files", 1, "mode", 644)),
            ("size -1", put("files", 2, "size", -1)), ("16 GiB and a byte", put("files", 2, "size", (16 << 30) + 1)),
            ("encoding gzip", put("files", 1, "encoding", "gzip")), ("encoding empty", put("files", 1, "encoding", "")),
            ("encoding in capitals", put("files", 2, "encoding", "ZSTD")),
            ("identity of another size", put("files", 1, "size", len(CONF) + 1)),
            ("a blob's digest alone", put("files", 1, "blob", "digest", sha(CONF))),
            ("a blob's digest in capitals", put("files", 1, "blob", "digest", "sha256:" + sha(CONF).upper())),
            ("a blob of size -1", put("files", 2, "blob", "size", -1)),
            ("no chunks of a large blob", drop("files", 0, "blob", "chunks")),
            ("chunks of a small blob", put("files", 1, "blob", "chunks", [sha(CONF)])),
            ("no chunks of a small blob, and a list", put("files", 1, "blob", "chunks", [])),
            ("a chunk too few", lambda value: value["files"][0]["blob"]["chunks"].pop()),
            ("a chunk too many", lambda value: value["files"][0]["blob"]["chunks"].append(OTHER)),
            ("a chunk with its algorithm", put("files", 0, "blob", "chunks", 1, "sha256:" + OTHER)),
            ("a chunk in capitals", put("files", 0, "blob", "chunks", 1, OTHER.upper())),
            ("a chunk of a number", put("files", 0, "blob", "chunks", 1, 5)),
            ("no steps", put("install", [])), ("65 steps", lambda value: put("install", value["install"] * 65)(value)),
            ("an unknown step", put("install", 0, "do", "command")), ("a step in capitals", put("install", 0, "do", "Files")),
            ("a step without do", drop("install", 0, "do")),
            ("a step that names no file of the record", put("install", 0, "files", ["nic/absent"])),
            ("a step with a glob", put("install", 0, "files", ["nic/*"])), ("a step without files", put("install", 0, "files", [])),
            ("a step with a file twice", put("install", 0, "files", ["nic/nic.conf"] * 2)),
            ("a step with the field of another", put("install", 0, "modules", ["a"])),
            ("into in a modules step", put("install", 0, "do", "modules")),
            ("into missing", drop("install", 0, "into")),
            ("load with files", put("install", 0, {"do": "load", "files": ["nic/nic.ko"]})),
            ("load without modules", put("install", 0, {"do": "load", "modules": []})),
            ("load of a path", put("install", 0, {"do": "load", "modules": ["../nic"]})),
            ("load of an option", put("install", 0, {"do": "load", "modules": ["-r"]})),
            ("load of a module with parameters", put("install", 0, {"do": "load", "modules": ["nic speed=1"]})),
            ("packages that the record has not", put("install", 0, {"do": "packages", "files": ["a.deb"]})),
            ("link_layer unknown", put("expect", "link_layer", "Omnipath")), ("port unknown", put("expect", "port", "up")),
            ("an unknown expectation", put("expect", "ping", "10.0.0.1")), ("driver of a path", put("expect", "driver", "../nic")),
            ("driver empty", put("expect", "driver", "")),
            ("an origin's digest with its algorithm", put("origins", 0, "sha256", "sha256:" + OTHER)),
            ("an origin's size -1", put("origins", 0, "size", -1))]:
        yield Case(f"record: {name}", {"record": change}, "damaged", 7)
    for into in ("", "etc", "./etc", "/", "//etc", "/etc/", "/etc/../root", "/..", "/etc/./a", "/etc//a", "/etc/a b", "~", "C:\\x", "/-x"):
        yield Case(f"record: into {into!r}", {"record": put("install", 0, "into", into)}, "damaged", 7)
    yield from record_accepted()
    yield from record_files()


def record_accepted():
    """What a record may be, though larder's own are not so."""
    def same_blob(value):
        value["files"].append(file_of("nic/other.conf", CONF))
    for name, change in [("a blob of two files", same_blob),
                         ("port logical", put("expect", "port", "logical")), ("link_layer Ethernet", put("expect", "link_layer", "Ethernet")),
                         ("a load step of 64", lambda value: value["install"].extend([{"do": "load", "modules": ["a"]}] * 63)),
                         ("no origins", put("origins", [])), ("licence of one's own", put("licence", "LicenseRef-vendor"))]:
        asked = {} if name in ("a blob of two files", "no origins", "licence of one's own") else {"agent": "not asked"}
        yield Case(f"record: {name}", {"record": change}, **asked)
    empty = {"record": lambda value: put("files", 1, file_of("nic/nic.conf", b""))(value),
             "disk": lambda made: made.put(b"") and None}
    yield Case("record: an empty file", empty)
    exact = BIG[:MIB]
    yield Case("record: a blob of 1 MiB has no chunks", {
        "record": lambda value: put("files", 0, file_of("nic/big.bin", exact))(value), "disk": lambda made: made.put(exact) and None})
    yield Case("record: a blob of 1 MiB with its chunk", {
        "record": lambda value: put("files", 0, "blob", {**blob_of(exact), "chunks": [sha(exact)]})(value) or put(
            "files", 0, "size", MIB)(value), "disk": lambda made: made.put(exact) and None}, "damaged", 7)
    more = BIG[:MIB + 1]
    yield Case("record: a blob of 1 MiB and a byte", {
        "record": lambda value: put("files", 0, file_of("nic/big.bin", more))(value), "disk": lambda made: made.put(more) and None})
    for count, verdict, step in ((65536, "clean", None), (65537, "damaged", 7)):
        yield Case(f"record: {count} files", {"record": lambda value, count=count: put("files", sorted(
            (*value["files"], *(file_of(f"x/{n:x}", CONF) for n in range(count - 3))), key=lambda f: f["path"]))(value)},
            verdict, step, agent=None if step else "not asked")


def record_files():
    """A record as a blob."""
    yield Case("record: not here, so not carried", {"disk": gone("record")}, agent="not_carried")
    yield Case("record: cut", {"disk": on("record", lambda data: data[:-1])}, "damaged", 7)
    yield Case("record: longer", {"disk": on("record", tail(b" "))}, "damaged", 7)
    yield Case("record: a bit flipped", {"disk": on("record", flip(-3))}, "damaged", 7)
    yield Case("record: another of the same size", {"disk": on("record", swap('"mode":420', '"mode":493'))}, "damaged", 7)
    yield Case("record: a link to its own bytes", {"disk": as_link("record")}, "damaged", 7)
    yield Case("record: the row says another size", {"table": put("rows", 0, "record", "size", 5)}, "damaged", 7)
    yield Case("record: the row says size 0", {"table": put("rows", 0, "record", "size", 0)}, "damaged", 7)
    yield Case("record: 16 MiB", {"record_text": lambda data: data + b" " * (16 * MIB - len(data))})
    yield Case("record: another bundle's, damaged, which the machine does not read", {
        "disk": lambda made: made.blob(sha(b"far away")).write_bytes(b"far awaY") and None}, "damaged", 7, agent="done")


# --- blobs, sections 8.8 and 8.9 ----------------------------------------------------------------


def as_link(name):
    """The right bytes behind a symbolic link."""
    def disk(made):
        path, real = made.blob(name), made.folder / "real"
        path.rename(real)
        path.symlink_to(real)
    return disk


def as_folder(name):
    """A folder in the place of a file."""
    def disk(made):
        made.blob(name).unlink()
        made.blob(name).mkdir()
    return disk


def as_pipe(name):
    """A pipe, on which a careless reader waits for ever."""
    def disk(made):
        made.blob(name).unlink()
        os.mkfifo(made.blob(name))
    return disk


def swapped(made):
    """Two blobs in each other's place."""
    one, other = made.blob("conf"), made.blob("module")
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def module_case(name, stored, good=False, size=None):
    """A file whose zstd blob is these bytes, which the record signs."""
    def change(record):
        record["files"][2] = {**file_of("nic/nic.ko", MODULE if size is None else b"", stored, 493)}
        record["files"][2]["size"] = len(MODULE) if size is None else size
    changes = {"module": lambda value: stored, "record": change}
    return Case(f"zstd: {name}", changes) if good else Case(f"zstd: {name}", changes, "damaged", 9)


def blob_cases():
    """Bytes on disk that are not the signed ones."""
    for name, change in [("cut by a byte", lambda data: data[:-1]), ("longer by a byte", tail(b"x")), ("empty", lambda data: b""),
                         ("a bit flipped", flip(0)), ("the last bit flipped", flip(-1))]:
        for blob in ("big", "conf", "module"):
            yield Case(f"blob {blob}: {name}", {"disk": on(blob, change)}, "damaged", 8)
    for name, at in [("the first chunk's end", MIB - 1), ("the middle chunk's beginning", MIB), ("the last chunk", 2 * MIB)]:
        yield Case(f"blob big: a bit flipped at {name}", {"disk": on("big", flip(at))}, "damaged", 8)
    yield Case("blob big: two chunks swapped", {"disk": on("big", lambda data: data[MIB:2 * MIB] + data[:MIB] + data[2 * MIB:])},
               "damaged", 8)
    yield Case("blob big: cut at a chunk", {"disk": on("big", lambda data: data[:2 * MIB])}, "damaged", 8)
    yield Case("record: a chunk's digest is wrong", {"record": put("files", 0, "blob", "chunks", 1, OTHER)}, "damaged", 8)
    yield Case("record: a blob's size is wrong", {"record": put("files", 2, "blob", "size", 5)}, "damaged", 8)
    for blob in ("big", "conf", "module"):
        yield Case(f"blob {blob}: not here, so not carried", {"disk": gone(blob)}, agent="not_carried")
        yield Case(f"blob {blob}: a link to its own bytes", {"disk": as_link(blob)}, "damaged", 8)
    yield Case("blob: a folder", {"disk": as_folder("conf")}, "damaged", 8)
    yield Case("blob: a pipe", {"disk": as_pipe("conf")}, "damaged", 8)
    yield Case("blob: two swapped", {"disk": swapped}, "damaged", 8)
    yield Case("blob: no blob is here", {"disk": lambda made: [gone(blob)(made) for blob in ("big", "conf", "module")] and None},
               agent="not_carried")
    yield Case("blob: one not here, one damaged", {"disk": lambda made: gone("big")(made) or on("conf", flip(0))(made)},
               "damaged", 8)
    yield Case("blob: the name is not the digest, but the chunks fit", {
        "record": put("files", 0, "blob", "digest", "sha256:" + OTHER),
        "disk": lambda made: made.blob("big").rename(made.blob(OTHER)) and None})


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
    yield module_case("a dictionary", zstd_frame(MODULE, 0x61, b"\x05" + (len(MODULE) - 256).to_bytes(2, "little")))
    yield module_case("a window beyond 8 MiB in the second frame", zstd_frame(MODULE[:half]) + zstd_frame(MODULE[half:], 0, b"\x70"))
    yield module_case("a skippable frame", good + b"\x50\x2a\x4d\x18\x03\0\0\0abc", good=True)
    yield module_case("a byte after the frames", good + b"x")
    yield module_case("zeros after the frames", good + b"\0" * 8)
    yield module_case("a second file after the frames", good + zstd_frame(b"more"))
    yield module_case("cut", good[:-1])
    yield module_case("cut within the magic number", good[:3])
    yield module_case("the second frame cut", two[:-1])
    yield module_case("not zstd", MODULE)
    yield module_case("empty", b"")
    yield module_case("empty, and so is the file", b"", good=True, size=0)
    yield module_case("an empty frame, and so is the file", zstd_frame(b""), good=True, size=0)
    yield module_case("a wrong checksum", zstd_frame(MODULE, 0x24, tail=b"\0\0\0\0"))
    yield module_case("a wrong content size", zstd_frame(MODULE, 0x60, (len(MODULE) - 255).to_bytes(2, "little")))
    yield module_case("decodes to a byte less", good, size=len(MODULE) + 1)
    yield module_case("decodes to a byte more", good, size=len(MODULE) - 1)
    yield module_case("decodes to something, not nothing", good, size=0)
    yield module_case("a bomb", b"\x28\xb5\x2f\xfd\0\x50" + (b"\x02\0\x10\0" * 20000) + b"\x01\0\0")
    yield module_case("a reserved block type", good[:7] + bytes([good[7] | 6]) + good[8:])


# --- hints, section 2 ---------------------------------------------------------------------------


def descriptor(digest="sha256:" + OTHER, **more):
    """A descriptor of nothing."""
    return {"mediaType": "application/octet-stream", "digest": digest, "size": 1, **more}


def hint_cases():
    """They say where the envelope is, or they do not; nothing else in them counts."""
    for name, change in [
            ("a bundle more in the index", {"index": lambda value: value["manifests"].append(descriptor())}),
            ("the bundle not in the index", {"index": lambda value: value["manifests"].pop() and None}),
            ("the bundle's digest is another", {"index": put("manifests", 1, "digest", "sha256:" + OTHER)}),
            ("the bundle's manifest garbage", {"disk": on("bundle", lambda data: b"{")}),
            ("the bundle's manifest not here", {"disk": gone("bundle")}),
            ("no tables among the layers", {"manifest": lambda value: value["layers"].__delitem__(slice(1, None))}),
            ("a foreign table among the layers", {"manifest": put("layers", 1, descriptor())}),
            ("the envelope's size is another", {"manifest": put("layers", 0, "size", 1)}),
            ("the manifest's size is another", {"index": put("manifests", 0, "size", 1)}),
            ("the index's size is another", {"top": put("manifests", 0, "size", 1)}),
            ("annotations in the index", {"index": put("manifests", 0, "annotations", {"a": "b"})}),
            ("annotations in the manifest", {"manifest": put("annotations", {"org.example": "x"})}),
            ("annotations at the top", {"top": put("manifests", 0, "annotations", {"org.example": "x"})}),
            ("no annotations at the top", {"top": drop("manifests", 0, "annotations")}),
            ("a second descriptor at the top", {"top": lambda value: value["manifests"].append(descriptor())}),
            ("the manifest's bytes changed", {"disk": on("manifest", tail(b"\n"))}),
            ("the index's bytes changed", {"disk": on("index", tail(b"\n"))}),
            ("the envelope's bytes changed", {"disk": on("envelope", tail(b"\n"))}),
            ("oci-layout not here", {"disk": lambda made: (made.folder / "oci-layout").unlink()}),
            ("oci-layout garbage", {"disk": lambda made: (made.folder / "oci-layout").write_bytes(b"{") and None}),
            ("a foreign file among the blobs", {"disk": lambda made: (made.folder / "blobs/sha256/foreign").write_bytes(b"x") and None}),
            ("a foreign blob", {"disk": lambda made: made.put(b"foreign") and None}),
            ("the empty config not here", {"disk": lambda made: gone(sha(b"{}"))(made)})]:
        yield Case(f"hints: {name}", change)
    for name, change in [
            ("index.json not JSON", {"top_text": lambda data: b"{"}), ("index.json empty", {"top_text": lambda data: b""}),
            ("index.json with a key twice", {"top_text": first_key_again}), ("index.json a list", {"top_text": lambda data: b"[]"}),
            ("index.json with a byte after", {"top_text": tail(b"x")}),
            ("no descriptors", {"top": put("manifests", [])}), ("no manifests", {"top": drop("manifests")}),
            ("index.json points nowhere", {"top": put("manifests", 0, "digest", "sha256:" + OTHER)}),
            ("a digest that is a path", {"top": put("manifests", 0, "digest", "sha256:../../../etc/passwd")}),
            ("a digest in capitals", {"top": put("manifests", 0, "digest", "sha256:" + OTHER.upper())}),
            ("a digest of another kind", {"top": put("manifests", 0, "digest", "sha512:" + OTHER * 2)}),
            ("the index not here", {"disk": gone("index")}), ("the index garbage", {"disk": on("index", lambda data: b"{")}),
            ("the index empty", {"index": put("manifests", [])}), ("the manifest not here", {"disk": gone("manifest")}),
            ("the manifest garbage", {"disk": on("manifest", lambda data: b"{")}), ("no layers", {"manifest": put("layers", [])}),
            ("no layers at all", {"manifest": drop("layers")}), ("the envelope not here", {"disk": gone("envelope")}),
            ("the index points at itself", {"disk": lambda made: made.blob("index").write_bytes(
                text({"manifests": [descriptor("sha256:" + made.names["index"])]})) and None}),
            ("the envelope a folder", {"disk": as_folder("envelope")}),
            ("index.json of 4 MiB and a byte", {"top_text": lambda data: data + b" " * (4 * MIB + 1 - len(data))}),
            ("index.json a link", {"disk": lambda made: (made.folder / "index.json").rename(made.folder / "i") and
                                   (made.folder / "index.json").symlink_to("i")})]:
        yield Case(f"hints: {name}", change, "damaged", 1)
    yield Case("hints: index.json of 4 MiB", {"top_text": lambda data: data + b" " * (4 * MIB - len(data))})
    yield Case("hints: index.json not here", {"disk": lambda made: (made.folder / "index.json").unlink()}, "missing", 1)
    yield Case("hints: the envelope's place has another's envelope", {"disk": lambda made: made.blob("envelope").write_bytes(
        text({"payloadType": STATEMENT_TYPE, "payload": b64(b"{}"), "signatures": [entry("stranger", pae(b"{}"))]})) and None},
        "untrusted", 3)
    yield Case("hints: a table in the envelope's place", {"manifest": lambda value: put("layers", 0, value["layers"][1])(value)},
               "untrusted", 2)
    yield Case("hints: the envelope garbage", {"disk": on("envelope", lambda data: b"{")}, "untrusted", 2)


def all_cases():
    """The whole table."""
    for part in (json_cases, member_cases, base64_cases, envelope_cases, signature_cases, threshold_cases, trust_cases,
                 statement_cases, table_cases, record_cases, blob_cases, zstd_cases, hint_cases):
        yield from part()


CASES = list(all_cases())
