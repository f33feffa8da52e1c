"""verifier.py - a second verifier of larder's caches, written from docs/FORMAT.md alone.

It exists to disagree: where it and larder-verify give different answers, one of them, or FORMAT.md,
is wrong. So it shares no code with them and leans on as little as it can: the standard library and
python3-cryptography. Zstandard is not in the standard library: frames are walked here (window,
dictionary, what is left over), and the `zstd` program decodes them. tar is, and is not used: its reader
takes far more than section 2.1 allows.

    verifier.py CACHE --trust FILE [--serial-at-least N] [--json]

CACHE is a folder, a tar, a delta, or oci://HOST[:PORT]/NAME[:TAG] on this machine.

Exit codes are larder-verify's: 0 clean, 4 untrusted, 3 damaged, 5 incomplete, 6 stale, 1 otherwise.
"""

import argparse
import base64
import binascii
import contextlib
import hashlib
import http.client
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TOP_MAX, VALUES_MAX = 64 * KIB, 131072
DELTA_MAX, FIRST_MAX, TAR_BLOBS_MAX = 4096, 4096, 1 << 20
BLOCK, CHAIN_MAX, ENTRIES_MAX = 512, 64, 65536
LAYOUT_MAX = ENVELOPE_MAX = TABLE_MAX = 4 * MIB
TRUST_MAX = 256 * KIB
STATEMENT_MAX = CHUNK = MIB
RECORD_MAX = 16 * MIB
FILE_MAX = 16 * GIB
WINDOW_MAX = PREFIX = 8 * MIB
PATCH_FRAME = 4 * MIB
INTEGER_MAX = 1 << 53
DEPTH_MAX = 32

STATEMENT_TYPE = "application/vnd.in-toto+json"
TRUST_TYPE = "application/vnd.larder.trust.v1+json"

CODES = {
    "clean": 0,
    "missing": 1,
    "no trust root": 1,
    "untrusted": 4,
    "damaged": 3,
    "incomplete": 5,
    "stale": 6,
}
WORST_FIRST = ("untrusted", "damaged", "incomplete", "stale")


class Bad(Exception):
    """What was read is not what FORMAT.md says."""


class Absent(Exception):
    """What was looked for is not here, which is not the same as being wrong."""


@dataclass
class Finding(Exception):
    """A step of section 8 that failed."""

    step: int
    verdict: str
    text: str


@dataclass
class Report:
    """The answer: the first step that failed, and the worst verdict of all."""

    findings: list = field(default_factory=list)
    serial: int = 0
    blobs: int = 0

    @property
    def verdict(self):
        """An auditor goes on behind step 5, and reports the worst."""
        if not self.findings:
            return "clean"
        found = [finding.verdict for finding in self.findings]
        return next((verdict for verdict in WORST_FIRST if verdict in found), found[0])

    @property
    def step(self):
        """The step of the finding that gave the verdict; None when clean."""
        return next((f.step for f in self.findings if f.verdict == self.verdict), None)


# --- JSON, the preamble of FORMAT.md ------------------------------------------------------------


def no_duplicates(pairs):
    """An object whose keys are all different; json.loads alone would keep the last."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Bad("a key stands twice")
    return made


def bounded_integer(digits):
    """An integer that every parser reads alike; its length first, or converting it costs."""
    if len(digits) > 17 or abs(int(digits)) > INTEGER_MAX:
        raise Bad("an integer beyond 2^53")
    return int(digits)


def refuse_number(digits):
    """Fractions, exponents, NaN and Infinity."""
    raise Bad(f"{digits[:20]} is not an integer")


def check_depth(text):
    """Nesting, counted before anything recurses; brackets in strings do not count."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text, flags=re.DOTALL)
    depth = 0
    for bracket in re.findall(r"[][{}]", bare):
        depth += 1 if bracket in "[{" else -1
        if depth > DEPTH_MAX:
            raise Bad("nested too deep")


def check_strings(value):
    """No NUL, no control characters but tab and newline, no half of a surrogate pair."""
    if isinstance(value, dict):
        for key, inner in value.items():
            check_strings(key)
            check_strings(inner)
    elif isinstance(value, list):
        for inner in value:
            check_strings(inner)
    elif isinstance(value, str) and re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", value):
        raise Bad("a control character or a lone surrogate in a string")


def strict_json(data):
    """Bytes to a value, or Bad."""
    try:
        text = data.decode("utf-8")
        check_depth(text)
        value = json.loads(
            text,
            object_pairs_hook=no_duplicates,
            parse_int=bounded_integer,
            parse_float=refuse_number,
            parse_constant=refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise Bad(f"not JSON: {error}") from error
    check_strings(value)
    return value


def keys(value, *needed, optional=()):
    """An object with exactly these keys."""
    if not isinstance(value, dict):
        raise Bad("not an object")
    for name in needed:
        if name not in value:
            raise Bad(f"{name} is missing")
    for name in value:
        if name not in needed and name not in optional:
            raise Bad(f"unknown key {name[:40]}")
    return value


def integer(value, low, high):
    """An integer within limits; true and false are none, whatever Python thinks."""
    if type(value) is not int or not low <= value <= high:
        raise Bad(f"not an integer from {low} to {high}: {str(value)[:40]}")
    return value


def array(value, low, high):
    """A list of so many elements."""
    if not isinstance(value, list) or not low <= len(value) <= high:
        raise Bad(f"not a list of {low} to {high}")
    return value


def string(value):
    """Any string."""
    if not isinstance(value, str):
        raise Bad("not a string")
    return value


def words(value, most):
    """Text for people: not empty, and not endless."""
    if not 1 <= len(string(value).encode("utf-8")) <= most:
        raise Bad(f"not 1 to {most} bytes")


def boolean(value):
    """true or false."""
    if not isinstance(value, bool):
        raise Bad("not true or false")


def different(values):
    """None twice."""
    if len(set(values)) != len(values):
        raise Bad("an element stands twice")


def rising(values):
    """Strict order: each is greater than the one before."""
    for before, after in zip(values, values[1:]):
        if not before < after:
            raise Bad(f"out of order, or twice: {str(after)[:60]}")


# --- words, section 1 ---------------------------------------------------------------------------

RESERVED = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?", re.IGNORECASE | re.DOTALL)
HEADS = re.compile(
    r"pci:v[0-9A-F]{8}|usb:v[0-9A-F]{4}|virtio:d[0-9A-F]{8}|PCI\\VEN_[0-9A-F]{4}"
    r"|vmbus:[0-9a-f]{32}|VMBUS\\\{[0-9a-f]{8}"
)
URL = re.compile(r"(?=.{1,2048}$)[\x21-\x7e]*://[\x21-\x7e]*")
MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,54}")


def full(pattern, value):
    """The whole string matches; `$` would let a newline pass."""
    if not re.fullmatch(pattern, string(value)):
        raise Bad(f"malformed: {value[:60]!r}")
    return value


def hex_digest(value):
    """64 lower-case hex digits."""
    return full(r"[0-9a-f]{64}", value)


def digest(value):
    """sha256:HEX; returns the HEX."""
    return full(r"sha256:[0-9a-f]{64}", value)[7:]


def safe_name(value):
    """A name that is one file name on every system."""
    full(r"[A-Za-z0-9._+~-]{1,128}", value)
    if value in (".", "..") or value[0] == "-" or value[-1] == "." or RESERVED.fullmatch(value):
        raise Bad(f"not a safe name: {value!r}")
    return value


def safe_path(value):
    """Safe names joined by slashes."""
    parts = string(value).split("/")
    if len(parts) > 16 or len(value.encode("utf-8")) > 512:
        raise Bad("a path too long")
    for part in parts:
        safe_name(part)
    return value


def glob(value):
    """Stars and literal bytes; nothing else is special, and matching stays cheap."""
    full(r"[\x21-\x7e]{1,128}", value)
    if value.count("*") > 8 or any(letter in value for letter in "?[]"):
        raise Bad(f"not a glob: {value!r}")
    return value


def device_glob(value):
    """A glob that cannot claim every device: bus and vendor are literal."""
    if not HEADS.match(string(value)):
        raise Bad(f"no literal bus and vendor: {value[:60]!r}")
    glob(value)


def from_base64(value):
    """RFC 4648 section 4 in its one spelling."""
    try:
        data = base64.b64decode(string(value).encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Bad("not base64") from error
    if base64.b64encode(data).decode() != value:
        raise Bad("base64 in another spelling")
    return data


# --- the one tar, section 2.1 -------------------------------------------------------------------

FILE, LINK, FOLDER = b"0", b"2", b"5"
EIGHT_GIB = 8 * GIB


@dataclass
class Entry:
    """All that a header says."""

    path: bytes
    mode: int = 0o644
    size: int = 0
    kind: bytes = FILE
    target: bytes = b""
    start: int = 0  # where its bytes begin


def split_path(path):
    """Name and prefix of a header; what fits into no header is Bad."""
    if len(path) <= 100:
        return path, b""
    slashes = [at for at, byte in enumerate(path) if byte == 0x2F and len(path) - at - 1 <= 100]
    name, prefix = (path[slashes[0] + 1 :], path[: slashes[0]]) if slashes else (b"", b"")
    if not name or not 1 <= len(prefix) <= 155:
        raise Bad("a path that fits into no header")
    return name, prefix


def tar_header(entry):
    """The 512 bytes that follow from an entry."""
    path = entry.path + (b"/" if entry.kind == FOLDER else b"")
    name, prefix = split_path(path)
    size = b"%011o\0" % entry.size
    if entry.size >= EIGHT_GIB:
        size = b"\x80" + entry.size.to_bytes(11, "big")
    block = bytearray(BLOCK)
    for at, field_bytes in (
        (0, name),
        (100, b"%07o\0" % entry.mode),
        (108, b"0000000\0" * 2),
        (124, size),
        (136, b"0" * 11),
        (148, b" " * 8),
        (156, entry.kind),
        (157, entry.target),
        (257, b"ustar\x0000"),
        (329, b"0000000\0" * 2),
        (345, prefix),
    ):
        block[at : at + len(field_bytes)] = field_bytes
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def octal(field_bytes):
    """A number, however it is spelled; the comparison with the one spelling judges."""
    if not re.fullmatch(rb"[0-7]+", field_bytes):
        raise Bad("not a number in octal digits")
    return int(field_bytes, 8)


def until_nul(field_bytes):
    """A field that is filled up with zeros."""
    return field_bytes.split(b"\0", 1)[0]


def tar_entry(block):
    """A header, or Bad where it is not the one that its entry has."""
    kind = block[156:157]
    if kind not in (FILE, LINK, FOLDER):
        raise Bad(f"an entry of type {kind!r}")
    prefix, path = until_nul(block[345:500]), until_nul(block[:100])
    path = prefix + b"/" + path if prefix else path
    if kind == FOLDER:
        path = path[:-1] if path.endswith(b"/") else path
    large = block[124] == 0x80
    size = int.from_bytes(block[125:136], "big") if large else octal(block[124:135])
    entry = Entry(path, octal(block[100:107]), size, kind, until_nul(block[157:257]))
    if entry.mode > 0o777 or (kind != FILE and size) or (kind == LINK) != bool(entry.target):
        raise Bad("a header that contradicts itself")
    if not path or tar_header(entry) != block:
        raise Bad("a header in another spelling")
    return entry


def tar_entries(walk):
    """Every entry of a tar, in order; the end is two zero blocks and nothing behind them."""
    whole = walk.left
    while True:
        block = walk.take(BLOCK)
        if not any(block):
            break
        entry = tar_entry(block)
        entry.start = whole - walk.left
        walk.skip(entry.size)
        if any(walk.take(-entry.size % BLOCK)):
            raise Bad("not filled up with zeros")
        yield entry
    if any(walk.take(BLOCK)) or walk.left:
        raise Bad("the tar does not end where it says")


# --- where the files of a cache are -------------------------------------------------------------


class Source:
    """A cache: index.json, manifests and blobs, wherever they are."""

    def open(self, name):
        """A blob, open, and its size. Absent, or Bad."""
        raise NotImplementedError

    def index(self):
        """The bytes of the index that the hints begin with, their digest proven."""
        top = strict_json(few_values(self.top()))
        return self.signed(*first(top, "manifests"), LAYOUT_MAX, "index")

    def top(self):
        """The bytes of index.json."""
        raise NotImplementedError

    def manifest(self, name, size):
        """The bytes of a manifest."""
        return self.signed(name, size, LAYOUT_MAX, "manifest")

    def envelope(self, name, _size):
        """The bytes of the envelope; the path to it is a hint, and they need no digest."""
        return self.blob(name, ENVELOPE_MAX)

    def blob(self, name, limit):
        """All bytes of a blob, believed in nothing yet."""
        handle, size = self.open(name)
        with handle:
            if size > limit:
                raise Bad(f"{name}: larger than {limit}")
            return handle.read()

    def signed(self, name, size, limit, what):
        """All bytes of a blob whose digest and size are given."""
        if size > limit:
            raise Bad(f"{what}: its size is beyond {limit}")
        return proven(self.blob(name, limit), name, size, what)


def proven(data, name, size, what):
    """The bytes, if they have this digest and size."""
    if len(data) != size:
        raise Bad(f"{what}: {len(data)} bytes instead of {size}")
    if hashlib.sha256(data).hexdigest() != name:
        raise Bad(f"{what}: another digest")
    return data


def kept(data):
    """Bytes as an open file, which the zstd program can read as well."""
    handle = tempfile.TemporaryFile()
    handle.write(data)
    handle.seek(0)
    return handle


class Folder(Source):
    """A cache in a folder; no link in the place of a blob or of its folders is followed."""

    def __init__(self, path):
        self.path = path

    def parents(self, name):
        """Bad where a link stands in the place of a folder."""
        for end in (at for at, letter in enumerate(name) if letter == "/"):
            if os.path.islink(os.path.join(self.path, name[:end])):
                raise Bad(f"{name[:end]}: a link")

    def open(self, name):
        """A blob's file."""
        return self.regular(f"blobs/sha256/{name}")

    def regular(self, name):
        """A regular file, open, and its size."""
        self.parents(name)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            handle = os.open(os.path.join(self.path, name), flags)
        except FileNotFoundError as error:
            raise Absent(f"{name}: not here") from error
        except OSError as error:
            raise Bad(f"{name}: {error.strerror}") from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            raise Bad(f"{name}: not a regular file")
        return os.fdopen(handle, "rb"), status.st_size

    def top(self):
        handle, size = self.regular("index.json")
        with handle:
            if size > TOP_MAX:
                raise Bad("index.json: larger than 64 KiB")
            return handle.read()


LAYOUT_TEXT = b'{"imageLayoutVersion":"1.0.0"}'
HEADS_OF_TAR = (b"oci-layout", b"larder-delta.json", b"index.json")


def check_delta(data):
    """The mark of a part, section 2.2."""
    value = keys(strict_json(data), "format", "base", "serial")
    if value["format"] != "larder.delta.v1":
        raise Bad("another format of a delta")
    digest(value["base"])
    integer(value["serial"], 1, 1 << 48)


class Tar(Source):
    """A cache, or a part of one, as one tar; its form is judged before anything in it is read."""

    def __init__(self, path):
        self.handle = open(path, "rb")
        self.heads, self.blobs = {}, {}
        walk = Walk(self.handle, os.fstat(self.handle.fileno()).st_size)
        for entry in tar_entries(walk):
            self.take(entry)
        for name, limit in ((b"oci-layout", len(LAYOUT_TEXT)), (b"larder-delta.json", DELTA_MAX)):
            if name in self.heads and self.heads[name].size > limit:
                raise Bad(f"{name.decode()}: too large")
        if b"oci-layout" in self.heads and self.head(b"oci-layout") != LAYOUT_TEXT:
            raise Bad("oci-layout: another version")
        if b"larder-delta.json" in self.heads:
            check_delta(self.head(b"larder-delta.json"))
        if b"index.json" in self.heads and self.heads[b"index.json"].size > TOP_MAX:
            raise Bad("index.json: larger than 64 KiB")

    def take(self, entry):
        """Nothing but the files of a cache, in their order."""
        if entry.kind != FILE or entry.mode != 0o644:
            raise Bad(f"{entry.path}: not a file of mode 0644")
        if entry.path in HEADS_OF_TAR:
            later = HEADS_OF_TAR[HEADS_OF_TAR.index(entry.path) :]
            if self.blobs or any(name in self.heads for name in later):
                raise Bad(f"{entry.path}: not at its place")
            self.heads[entry.path] = entry
            return
        found = re.fullmatch(rb"blobs/sha256/([0-9a-f]{64})", entry.path)
        if not found or len(self.blobs) == TAR_BLOBS_MAX:
            raise Bad(f"{entry.path}: no file of a cache")
        if found[1].decode() in self.blobs:
            raise Bad(f"{entry.path}: twice")
        self.blobs[found[1].decode()] = entry

    def bytes_of(self, entry):
        """The bytes of an entry; the walk has seen that they are there."""
        self.handle.seek(entry.start)
        return self.handle.read(entry.size)

    def head(self, name):
        """One of the files before the blobs."""
        return self.bytes_of(self.heads[name])

    def top(self):
        if b"index.json" not in self.heads:
            raise Absent("index.json: not here")
        return self.head(b"index.json")

    def open(self, name):
        if name not in self.blobs:
            raise Absent(f"{name}: not here")
        return kept(self.bytes_of(self.blobs[name])), self.blobs[name].size


class Registry(Source):
    """A cache in a registry on this machine, section 2.3."""

    PLACE = re.compile(r"oci://(127\.0\.0\.1:[0-9]+)/([a-z0-9][a-z0-9/_.-]*)(?::([\w.-]{1,128}))?")

    def __init__(self, url):
        host, name, tag = self.PLACE.fullmatch(full(self.PLACE, url)).groups()
        self.base, self.tag = f"http://{host}/v2/{name}", tag or "latest"

    def get(self, path, limit):
        """A document of at most limit bytes."""
        accept = (
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
        )
        request = urllib.request.Request(f"{self.base}/{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                data = answer.read(limit + 1)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise Absent(f"{path}: not here") from error
            raise Bad(f"{path}: {error}") from error
        except http.client.IncompleteRead as error:
            raise Bad(f"{path}: cut") from error
        if len(data) > limit:
            raise Bad(f"{path}: larger than {limit}")
        return data

    def index(self):
        try:
            return self.get(f"manifests/{self.tag}", LAYOUT_MAX)
        except Absent as error:
            raise Absent("index.json: no such tag") from error

    def manifest(self, name, size):
        return proven(self.get(f"manifests/sha256:{name}", LAYOUT_MAX), name, size, "manifest")

    def envelope(self, name, size):
        """What a registry sends has the digest and size that were asked for, the envelope too."""
        return self.signed(name, size, ENVELOPE_MAX, "envelope")

    def open(self, name):
        data = self.get(f"blobs/sha256:{name}", FILE_MAX)
        return kept(data), len(data)


def source_of(path):
    """The cache at a place."""
    if str(path).startswith("oci://"):
        return Registry(str(path))
    if os.path.exists(path) and not os.path.isdir(path):
        try:
            return Tar(path)
        except Bad as error:
            raise Finding(1, "damaged", f"{path}: {error}") from error
    return Folder(path)


# --- hints, section 2 ---------------------------------------------------------------------------


def first(document, name):
    """The first descriptor of a list; all else in a hint is not read."""
    listed = document.get(name) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
        raise Bad(f"{name} holds no descriptor")
    found = listed[0]
    return digest(found.get("digest")), integer(found.get("size"), 0, INTEGER_MAX)


FRONT = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['


def first_manifest(data):
    """The first descriptor of the index; one that begins as larder's do is read no further."""
    if not data.startswith(FRONT):
        return first(strict_json(few_values(data)), "manifests")
    text = data[len(FRONT) : len(FRONT) + FIRST_MAX].decode("utf-8", "surrogateescape")
    text = text.lstrip(" \t\n\r")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise Bad(f"no descriptor: {error}") from error
    one = strict_json(text[:end].encode("utf-8", "surrogateescape"))
    return first({"manifests": [one]}, "manifests")


def few_values(data):
    """Brackets that open, and commas, outside strings: what parsing would have to hold."""
    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", data, flags=re.DOTALL)
    if 1 + sum(bare.count(sign) for sign in (b",", b"[", b"{")) > VALUES_MAX:
        raise Bad("too many values")
    return data


def versions(manifest):
    """The versions of the trust root that a cache carries: the layers of that type, in their order."""
    found = [
        (digest(layer.get("digest")), integer(layer.get("size"), 0, INTEGER_MAX))
        for layer in manifest["layers"]
        if isinstance(layer, dict) and layer.get("mediaType") == TRUST_TYPE
    ]
    if len(found) > CHAIN_MAX:
        raise Bad("more than 64 versions of the trust root")
    return found


def find_envelope(source):
    """Follow the hints to what ought to be an envelope, and to the versions of the trust root."""
    try:
        manifest = source.manifest(*first_manifest(source.index()))
        manifest = strict_json(few_values(manifest))
        name, size = first(manifest, "layers")
        if size > ENVELOPE_MAX:
            raise Bad("an envelope of more than 4 MiB")
        return source.envelope(name, size), versions(manifest)
    except Absent as error:
        verdict = "missing" if error.args[0].startswith("index.json") else "damaged"
        raise Finding(1, verdict, str(error)) from error
    except Bad as error:
        raise Finding(1, "damaged", str(error)) from error


# --- keys and signatures, section 3 -------------------------------------------------------------


# RFC 5480 and RFC 8410: all of a SubjectPublicKeyInfo but the point.
P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
ED25519_HEAD = bytes.fromhex("302a300506032b6570032100")


def public_key(der):
    """A key that larder takes, in the one spelling that makes its key id its own."""
    if len(der) > 128:
        raise Bad("a public key of more than 128 bytes")
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Bad("not a public key") from error
    if der != spelled(key):
        raise Bad("a public key in another spelling")
    return key


def spelled(key):
    """The one spelling of a key; written out for P-256, since OpenSSL keeps the form of a point."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ED25519_HEAD + key.public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return P256_HEAD + key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
    raise Bad("neither ECDSA on P-256 nor Ed25519")


def is_good(key, signature, signed):
    """Whether this key made this signature; ECDSA in DER, not in BER."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
            return True
        if utils.encode_dss_signature(*utils.decode_dss_signature(signature)) != signature:
            return False
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        return True
    except (InvalidSignature, ValueError):
        return False


def pre_authentication(payload_type, payload):
    """What is signed: DSSE's PAE."""
    name = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def parse_envelope(data, payload_type):
    """Payload and [(key id, signature)]."""
    value = keys(strict_json(data), "payloadType", "payload", "signatures")
    if value["payloadType"] != payload_type:
        raise Bad("another payloadType")
    payload = from_base64(value["payload"])
    signatures = []
    for entry in array(value["signatures"], 0, 64):
        keys(entry, "keyid", "sig")
        signature = from_base64(entry["sig"])
        if not 8 <= len(signature) <= 96:
            raise Bad(f"a signature of {len(signature)} bytes")
        signatures.append((hex_digest(entry["keyid"]), signature))
    different([name for name, _ in signatures])
    return payload, signatures


# --- trust, section 4 ---------------------------------------------------------------------------


@dataclass
class Trust:
    """A version of the trust root: key id -> key, and how many of them must have signed."""

    version: int
    threshold: int
    keys: dict

    def accepts(self, signed, signatures):
        """Enough different keys; the key id says which key a signature claims to be by."""
        signers = {
            name
            for name, signature in signatures
            if name in self.keys and is_good(self.keys[name], signature, signed)
        }
        return len(signers) >= self.threshold


def parse_trust(data):
    """A trust file: what it says, its payload, and who claims to have signed it."""
    if len(data) > TRUST_MAX:
        raise Bad("a trust root larger than 256 KiB")
    payload, signatures = parse_envelope(data, TRUST_TYPE)
    value = keys(strict_json(payload), "format", "version", "threshold", "keys")
    if value["format"] != "larder.trust.v1":
        raise Bad("another format")
    version = integer(value["version"], 1, 1 << 32)
    found = {}
    for entry in array(value["keys"], 1, 32):
        der = from_base64(keys(entry, "public")["public"])
        found[hashlib.sha256(der).hexdigest()] = public_key(der)
    if len(found) != len(value["keys"]):
        raise Bad("a key stands twice")
    trust = Trust(version, integer(value["threshold"], 1, len(found)), found)
    return trust, pre_authentication(TRUST_TYPE, payload), signatures


def next_trust(newest, data):
    """What judges after one more version of a chain: it, or the newest so far where it is older."""
    trust, signed, signatures = parse_trust(data)
    if trust.version <= newest.version:
        return newest
    if trust.version != newest.version + 1:
        raise Bad(f"version {trust.version} does not follow version {newest.version}")
    if not newest.accepts(signed, signatures):
        raise Bad(f"version {trust.version} is not signed by enough keys of the one before it")
    if not trust.accepts(signed, signatures):
        raise Bad(f"version {trust.version} is not signed by enough of its own keys")
    return trust


def walk_chain(source, root, chain):
    """The newest version that the chain proves; a chain that is there and broken proves nothing."""
    newest = root
    for name, size in chain:
        newest = next_trust(newest, source.signed(name, size, TRUST_MAX, "trust chain"))
    return newest


def read_trust(path):
    """The trust root of a file; a link is followed, since its owner placed it."""
    try:
        with open(path, "rb") as handle:
            return parse_trust(handle.read(TRUST_MAX + 1))[0]
    except (OSError, Bad) as error:
        raise Finding(0, "no trust root", f"{path}: {error}") from error


# --- statement, section 5 -----------------------------------------------------------------------


def table_name(value):
    """FAMILY/ID-VERSION/ARCH."""
    parts = string(value).split("/")
    if len(parts) != 3 or parts[0] not in ("linux", "windows"):
        raise Bad(f"not a table's name: {value[:60]!r}")
    for part in parts:
        safe_name(part)
    if parts[1] != "any" and not re.fullmatch(r".+-.+", parts[1]):
        raise Bad(f"neither ID-VERSION nor any: {value!r}")
    return value


def check_withdrawn(value):
    """NAME@VERSION."""
    name, at, version = string(value).partition("@")
    if not at:
        raise Bad("no @")
    safe_name(name)
    safe_name(version)


def parse_statement(payload):
    """The statement as serial and [(table name, digest, size)]."""
    if len(payload) > STATEMENT_MAX:
        raise Bad("a statement larger than 1 MiB")
    value = keys(strict_json(payload), "_type", "predicateType", "subject", "predicate")
    if value["_type"] != "https://in-toto.io/Statement/v1":
        raise Bad("another _type")
    if value["predicateType"] != "urn:larder:driver-cache:v1":
        raise Bad("another predicateType")
    tables = []
    for subject in array(value["subject"], 0, 4096):
        keys(subject, "name", "digest")
        tables.append(
            (table_name(subject["name"]), hex_digest(keys(subject["digest"], "sha256")["sha256"]))
        )
    rising([name.encode() for name, _ in tables])
    serial, sizes = parse_predicate(value["predicate"], len(tables))
    return serial, [(*table, size) for table, size in zip(tables, sizes)]


def parse_predicate(value, count):
    """The serial, and the sizes of the tables."""
    keys(value, "serial", "created", "name", "tables", "sources", "withdrawn")
    full(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", value["created"])
    safe_name(value["name"])
    if len(array(value["tables"], 0, 4096)) != count:
        raise Bad("as many tables as subjects, no more, no less")
    sizes = [integer(keys(entry, "size")["size"], 0, TABLE_MAX) for entry in value["tables"]]
    for source in array(value["sources"], 0, 64):
        full(URL, source)
    for withdrawn in array(value["withdrawn"], 0, 4096):
        check_withdrawn(withdrawn)
    different(value["sources"])
    different(value["withdrawn"])
    return integer(value["serial"], 1, 1 << 48), sizes


# --- table, section 6 ---------------------------------------------------------------------------

ROW = (
    "name",
    "version",
    "id",
    "rank",
    "kernels",
    "devices",
    "sizes",
    "excludes",
    "requires",
    "early",
    "like",
    "secure_boot",
    "link_layer",
    "record",
    "bytes",
)


def check_list(value, check, least=0):
    """A list of a row: bounded, none twice."""
    for element in array(value, least, 1024):
        check(element)
    different(value)


def check_row(row):
    """One row; returns what its place in the order is judged by."""
    keys(row, *ROW)
    for name in ("name", "version", "id"):
        safe_name(row[name])
    integer(row["rank"], 0, 1000)
    check_list(row["kernels"], glob)
    check_list(row["sizes"], glob)
    check_list(row["devices"], device_glob, least=1)
    check_list(row["excludes"], safe_name)
    check_list(row["requires"], safe_name)
    boolean(row["early"])
    boolean(row["like"])
    boolean(row["secure_boot"])
    if string(row["link_layer"]) not in ("", "InfiniBand", "Ethernet"):
        raise Bad("neither InfiniBand nor Ethernet")
    keys(row["record"], "digest", "size")
    digest(row["record"]["digest"])
    integer(row["record"]["size"], 0, RECORD_MAX)
    integer(row["bytes"], 0, INTEGER_MAX)
    return (row["name"], row["version"], row["id"], row["kernels"], row["record"]["digest"])


def parse_table(data):
    """The rows; all words in the order are ASCII, so Python's order of strings is byte order."""
    rows = keys(strict_json(data), "rows")["rows"]
    rising([check_row(row) for row in array(rows, 0, 8192)])
    return rows


# --- record, section 7 --------------------------------------------------------------------------


def check_chunks(blob):
    """Chunks if and only if the blob is larger than one, and exactly so many."""
    large = blob["size"] > CHUNK
    if large != ("chunks" in blob):
        raise Bad("chunks where there should be none, or none where there should be")
    if large:
        count = -(-blob["size"] // CHUNK)
        for chunk in array(blob["chunks"], count, count):
            hex_digest(chunk)


def check_stored(entry, encodings):
    """What is stored, how, and to how many bytes it decodes."""
    integer(entry["size"], 0, FILE_MAX)
    if string(entry["encoding"]) not in encodings:
        raise Bad("unknown encoding")
    blob = keys(entry["blob"], "digest", "size", optional=("chunks",))
    digest(blob["digest"])
    integer(blob["size"], 0, FILE_MAX)
    check_chunks(blob)
    if entry["encoding"] == "identity" and blob["size"] != entry["size"]:
        raise Bad("identity, and yet another size")


def check_patch(entry):
    """Section 7.3: a base that is no patch, and a place in it for each frame."""
    base = keys(entry["base"], "encoding", "size", "blob")
    check_stored(base, ("identity", "zstd"))
    count = -(-integer(entry["size"], 1, FILE_MAX) // PATCH_FRAME)
    last = 0
    for place in array(entry["from"], count, count):
        last = integer(place, last, base["size"] - 1)


TREES = ("tar+zstd", "tar+zstd-patch")
PATCHES = ("zstd-patch", "tar+zstd-patch")


def check_file(entry):
    """One file of a bundle, or a tree."""
    encoding = entry.get("encoding") if isinstance(entry, dict) else None
    tree, patch = encoding in TREES, encoding in PATCHES
    more = ["entries"] * tree + ["base", "from"] * patch
    keys(entry, "path", "mode", "size", "encoding", "blob", *more)
    safe_path(entry["path"])
    if integer(entry["mode"], 0, 511) not in ((0o755,) if tree else (0o644, 0o755)):
        raise Bad("mode is neither 0644 nor 0755")
    integer(entry.get("entries", 1), 1, ENTRIES_MAX)
    check_stored(entry, ("identity", "zstd", *TREES, *PATCHES))
    if patch:
        check_patch(entry)


def absolute_folder(value):
    """A slash and a safe path."""
    if not string(value).startswith("/"):
        raise Bad("not absolute")
    safe_path(value[1:])


RESERVED_ENV = re.compile(
    r"(LD_|BASH|SHELL|PYTHON|PERL|RUBY|NODE_|GCONV_|GLIBC_|OPENSSL_|SSL_|LC_).*"
    r"|PATH|IFS|ENV|LANG|LANGUAGE|LOCPATH|NLSPATH|HOME|PS4|CDPATH|DEBIAN_FRONTEND"
)
UNIT = r"(?=.{1,128}$)[A-Za-z0-9][A-Za-z0-9@:_.-]*\.(service|socket|timer|path|target)"
SYSCTL = r"(?=.{1,128}$)-?[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*){1,9}"
WAAGENT = r"(?=.{1,128}$)[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9]+){0,9}"
LIMITS = (
    *("as", "core", "data", "fsize", "memlock", "rss", "stack"),
    *("locks", "msgqueue", "nofile", "nproc", "sigpending"),
)


def command_word(value):
    """A word of a command: printable, and of placeholders only those of the closed list."""
    full(r"[\x20-\x7e]{1,2048}", value)
    if re.search(r"%\{(?!log\}|stage\}|kernel\})", value):
        raise Bad(f"an unknown placeholder: {value[:60]!r}")
    return value


def undo_word(value):
    """Such a word without the bundle's files, which need not be there any more."""
    if "%{stage}" in command_word(value):
        raise Bad("an undo that needs the bundle's files")


def package_name(value):
    """A name that no package tool takes for an option."""
    full(r"[A-Za-z0-9].*", safe_name(value))


def one_line(value):
    """What stands behind a '=' and is read back as it is."""
    return full(r"(?! )[\x20-\x7e]{1,256}(?<! )", value)


def env_pair(key, value):
    """A variable that an installer may have."""
    full(r"[A-Z_][A-Z0-9_]{0,127}", key)
    if RESERVED_ENV.fullmatch(key):
        raise Bad(f"a variable that no installer may have: {key}")
    command_word(value)


def sysctl_pair(key, value):
    """A kernel parameter."""
    full(SYSCTL, key)
    one_line(value)


def limit_pair(key, value):
    """An item of limits.conf."""
    if key not in LIMITS or (key == "nofile" and value == "unlimited"):
        raise Bad(f"no such limit: {key[:40]}")
    full(r"unlimited|0|[1-9][0-9]{0,11}", value)


def waagent_pair(key, value):
    """A line of waagent.conf."""
    full(WAAGENT, key)
    full(r'[^#"]*', one_line(value))


def pairs(check):
    """An object of 1 to 64 pairs of texts."""

    def checked(value):
        if not isinstance(value, dict) or not 1 <= len(value) <= 64:
            raise Bad("not an object of 1 to 64 settings")
        for key, text in value.items():
            check(key, string(text))

    return checked


def listed(most, check, twice=False):
    """A list of 1 to so many, none twice unless that is allowed."""

    def checked(value):
        for item in array(value, 1, most):
            check(item)
        if not twice:
            different(value)

    return checked


def exit_code(value):
    """What a program can exit with."""
    integer(value, 0, 255)


NAMES = listed(65536, string)
# For each kind: the fields it needs, those it may have, and the rule of each that no other kind shares.
STEPS = {
    "files": (("files", "into"), ()),
    "modules": (("files",), ()),
    "load": (("modules",), ()),
    "packages": (("files",), ("hold",)),
    "dkms": (("module",), ("version", "files")),
    "command": (("argv",), ("env", "timeout_s", "ok", "reboot", "undo", "removes")),
    "service": (("units",), ("start",)),
    "sysctl": (("settings",), ()),
    "limits": (("settings",), ()),
    "ipoib": ((), ()),
    "rdma_names": ((), ()),
    "waagent": (("settings",), ()),
}
FIELDS = {
    "files": NAMES,
    "into": absolute_folder,
    "modules": listed(64, lambda name: full(MODULE, name)),
    "hold": boolean,
    "module": safe_name,
    "version": safe_name,
    "argv": listed(64, command_word, twice=True),
    "env": pairs(env_pair),
    "timeout_s": lambda value: integer(value, 1, 86400),
    "ok": listed(256, exit_code),
    "reboot": listed(256, exit_code),
    "undo": listed(64, undo_word, twice=True),
    "removes": listed(64, package_name),
    "units": listed(64, lambda name: full(UNIT, name)),
    "start": boolean,
}
SETTINGS = {
    "sysctl": pairs(sysctl_pair),
    "limits": pairs(limit_pair),
    "waagent": pairs(waagent_pair),
}


def check_program(word, files):
    """The first word of a command: an executable file of the record, one in a tree of it, or an absolute path."""
    if not word.startswith("%{stage}/"):
        return absolute_folder(word)
    path = safe_path(word[len("%{stage}/") :])
    if path in files:
        if files[path]["encoding"] in TREES or files[path]["mode"] != 0o755:
            raise Bad("a command that is no executable file")
        return None
    for end, sign in enumerate(path):
        if sign == "/" and files.get(path[:end], {}).get("encoding") in TREES:
            return None
    raise Bad("a command that the record has not")


def check_command(step, files):
    """What a command runs, and how its exit codes are read."""
    for words_of in ("argv", "undo"):
        if words_of in step:
            check_program(step[words_of][0], files)
    different(step.get("ok", [0]) + step.get("reboot", []))


def check_dkms(step):
    """A version is that of a tree."""
    if ("version" in step) != ("files" in step) or len(step.get("files", [0])) != 1:
        raise Bad("dkms: a version and one tree go together")
    safe_name(step["module"] + "-" + step.get("version", "0"))


def check_step(step, files):
    """One step of an install; it names files of this record only, and trees in two kinds of it."""
    if not isinstance(step, dict) or not isinstance(step.get("do"), str) or step["do"] not in STEPS:
        raise Bad("unknown step")
    do = step["do"]
    keys(step, "do", *STEPS[do][0], optional=STEPS[do][1])
    for key in step:
        rule = SETTINGS[do] if key == "settings" else FIELDS.get(key)
        if rule:
            rule(step[key])
    for path in step.get("files", []):
        if path not in files:
            raise Bad("a step names a file that the record has not")
        tree = files[path]["encoding"] in TREES
        if tree and do not in ("files", "dkms") or not tree and do == "dkms":
            raise Bad("a step that takes files is given a tree, or one that takes a tree a file")
    different([path.rsplit("/", 1)[-1] for path in step.get("files", [])])
    if do == "dkms":
        check_dkms(step)
    if do == "command":
        check_command(step, files)


def check_expect(value):
    """What proves success."""
    keys(value, optional=("driver", "link_layer", "port", "carrier"))
    full(MODULE, value.get("driver", "any"))
    boolean(value.get("carrier", False))
    if value.get("link_layer", "Ethernet") not in ("InfiniBand", "Ethernet"):
        raise Bad("unknown link_layer")
    if value.get("port", "logical") not in ("physical", "logical"):
        raise Bad("unknown port")


def parse_record(data):
    """The files of a record."""
    value = keys(strict_json(data), "files", "install", "expect", "origins", "licence")
    for entry in array(value["files"], 0, 65536):
        check_file(entry)
    paths = [entry["path"] for entry in value["files"]]
    rising(paths)
    folders = {path[:end] for path in paths for end, sign in enumerate(path) if sign == "/"}
    if folders & set(paths):
        raise Bad("a file is a folder of another")
    for step in array(value["install"], 1, 64):
        check_step(step, {entry["path"]: entry for entry in value["files"]})
    check_expect(value["expect"])
    for origin in array(value["origins"], 0, 4096):
        keys(origin, "from", "sha256", "size")
        words(origin["from"], 2048)
        hex_digest(origin["sha256"])
        integer(origin["size"], 0, INTEGER_MAX)
    words(value["licence"], 128)
    return value["files"]


# --- zstd, RFC 8878 -----------------------------------------------------------------------------


class Walk:
    """Reads a blob from its start to its end; running short is Bad."""

    def __init__(self, handle, size):
        self.handle, self.left = handle, size

    def take(self, count):
        """The next bytes."""
        if count > self.left:
            raise Bad("a frame is cut")
        self.left -= count
        return self.handle.read(count)

    def number(self, count):
        """The next bytes as a little-endian number."""
        return int.from_bytes(self.take(count), "little")

    def skip(self, count):
        """Leave out bytes."""
        if count > self.left:
            raise Bad("a frame is cut")
        self.left -= count
        self.handle.seek(count, os.SEEK_CUR)


def frame_window(walk, descriptor):
    """The rest of a frame header (3.1.1.1): window, dictionary, content size."""
    single = descriptor & 0x20
    window = 0
    if not single:
        log = walk.number(1)
        base = 1 << (10 + (log >> 3))
        window = base + (base >> 3) * (log & 7)
    if walk.number((0, 1, 2, 4)[descriptor & 3]):
        raise Bad("a frame that needs a dictionary")
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    content = walk.number(width) + (256 if width == 2 else 0)
    return content if single else window


def walk_frame(walk):
    """One Zstandard frame, its blocks left out."""
    descriptor = walk.number(1)
    if descriptor & 0x08:
        raise Bad("a reserved bit of a frame is set")
    if frame_window(walk, descriptor) > WINDOW_MAX:
        raise Bad("a window larger than 8 MiB")
    last = False
    while not last:
        header = walk.number(3)
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == 3:
            raise Bad("a reserved block type")
        walk.skip(1 if kind == 1 else size)
    walk.skip(4 if descriptor & 4 else 0)


def walk_frames(handle, size, skippable=True):
    """Every byte of the blob belongs to a frame that may be decoded, and there is one; gives where each ends."""
    walk, ends = Walk(handle, size), []
    if not size:
        raise Bad("no frame")
    while walk.left:
        magic = walk.number(4)
        if magic == 0xFD2FB528:
            walk_frame(walk)
            ends.append(size - walk.left)
        elif skippable and magic & 0xFFFFFFF0 == 0x184D2A50:
            walk.skip(walk.number(4))
        else:
            raise Bad("bytes that are no frame")
    return ends


def decoded(handle, most, *options):
    """What the zstd program makes of a blob, as an open file, and its size; never much beyond most."""
    handle.seek(0)
    made, count = tempfile.TemporaryFile(), 0
    with subprocess.Popen(
        ["zstd", "-q", "-d", "-c", "--memory=8MB", *options],
        stdin=handle,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as tool:
        while count <= most:
            piece = tool.stdout.read(CHUNK)
            if not piece:
                break
            made.write(piece)
            count += len(piece)
        if count > most:
            tool.kill()
    if count <= most and tool.returncode:
        raise Bad("does not decode")
    made.seek(0)
    return made, count


def unpacked(handle, entry):
    """What a blob that is no patch decodes to, as an open file of its signed size."""
    if entry["encoding"] == "identity":
        return handle
    handle.seek(0)
    walk_frames(handle, entry["blob"]["size"])
    made, size = decoded(handle, entry["size"])
    if size != entry["size"]:
        made.close()
        raise Bad("decodes to another size")
    return made


def patch_frame(data, prefix, size):
    """A frame, decoded with its prefix; exactly so many bytes."""
    with tempfile.NamedTemporaryFile() as near, kept(data) as packed:
        near.write(prefix)
        near.flush()
        made, got = decoded(packed, size, f"--patch-from={near.name}")
    with made:
        if got != size:
            raise Bad("a frame decodes to another size")
        return made.read()


def patched(handle, base, entry):
    """What a patch decodes to; base is what its base does."""
    handle.seek(0)
    ends = walk_frames(handle, entry["blob"]["size"], skippable=False)
    if len(ends) != len(entry["from"]):
        raise Bad("another number of frames")
    handle.seek(0)
    made, left, start = tempfile.TemporaryFile(), entry["size"], 0
    for end, place in zip(ends, entry["from"]):
        base.seek(place)
        size = min(left, PATCH_FRAME)
        made.write(patch_frame(handle.read(end - start), base.read(PREFIX), size))
        start, left = end, left - size
    made.seek(0)
    return made


# --- trees, section 7.1 -------------------------------------------------------------------------


def check_target(target, depth):
    """A link stays inside the tree when it is followed by name alone, from depth folders below its top."""
    rest, ups = target, 0
    while rest.startswith("../"):
        rest, ups = rest[3:], ups + 1
    if not 1 <= len(target) <= 100 or ups > depth:
        raise Bad(f"a link to {target[:60]!r}")
    for part in rest.split("/"):
        safe_name(part)


MODES = {FILE: (0o644, 0o755), FOLDER: (0o755,), LINK: (0o777,)}


def check_tree_entry(entry, folders):
    """One entry; what is above it was an entry of its own, and a folder."""
    path = entry.path.decode("ascii", "replace")
    if len(safe_path(path)) > 255:
        raise Bad("a path of more than 255 bytes")
    if entry.mode not in MODES[entry.kind]:
        raise Bad(f"{path}: mode {entry.mode:o}")
    above = path.rpartition("/")[0]
    if above and above not in folders:
        raise Bad(f"{path}: lies in no folder of this tree")
    if entry.kind == LINK:
        check_target(entry.target.decode("ascii", "replace"), path.count("/"))
    if entry.kind == FOLDER:
        folders.add(path)


def check_tree(handle, size, count):
    """A whole tree, decoded."""
    folders, paths = set(), []
    for entry in tar_entries(Walk(handle, size)):
        check_tree_entry(entry, folders)
        paths.append(entry.path)
        if len(paths) > count:
            raise Bad("more entries than are signed")
    if len(paths) != count:
        raise Bad("fewer entries than are signed")
    rising(paths)


# --- verification, section 8 --------------------------------------------------------------------


def check_blob(source, blob):
    """Step 8: size, then every chunk; returns the open file."""
    name = blob["digest"][7:]
    handle, size = source.open(name)
    try:
        if size != blob["size"]:
            raise Bad(f"{name}: {size} bytes instead of {blob['size']}")
        for number, expected in enumerate(blob.get("chunks", [name])):
            if hashlib.sha256(handle.read(CHUNK)).hexdigest() != expected:
                raise Bad(f"{name}: chunk {number} has another digest")
    except Bad:
        handle.close()
        raise
    return handle


class Audit:
    """Walks all that a statement covers, and goes on behind a finding."""

    def __init__(self, source, report):
        self.source, self.report, self.seen = source, report, set()

    def found(self, step, verdict, error):
        """Remember a finding."""
        self.report.findings.append(Finding(step, verdict, str(error)))

    def tables(self, tables):
        """Step 6."""
        for name, table_digest, size in tables:
            try:
                rows = parse_table(self.source.signed(table_digest, size, TABLE_MAX, "table"))
            except Absent as error:
                self.found(6, "incomplete", f"table {name}: {error}")
            except Bad as error:
                self.found(6, "damaged", f"table {name}: {error}")
            else:
                for row in rows:
                    self.record(row)

    def record(self, row):
        """Step 7; a record that is not here belongs to a bundle that is not carried."""
        name = digest(row["record"]["digest"])
        try:
            size = row["record"]["size"]
            files = parse_record(self.source.signed(name, size, RECORD_MAX, "record"))
        except Absent:
            return
        except Bad as error:
            self.found(7, "damaged", f"record of {row['name']}: {error}")
            return
        for entry in files:
            self.file(entry)

    def file(self, entry):
        """Steps 8 and 9, once for each different way to read a blob."""
        ways = ("blob", "encoding", "size", "entries", "base", "from")
        token = json.dumps([entry.get(name) for name in ways], sort_keys=True)
        if token in self.seen:
            return
        self.seen.add(token)
        base = entry.get("base")
        with self.blob(entry["blob"]) as handle, self.blob(base and base["blob"]) as near:
            try:
                self.decode(handle, near, entry)
            except Bad as error:
                self.found(9, "damaged", f"{entry['path']}: {error}")

    @contextlib.contextmanager
    def blob(self, blob):
        """Step 8: a blob's open file, or None where it is not here or not good."""
        try:
            handle = check_blob(self.source, blob) if blob else None
        except Absent:
            handle = None
        except Bad as error:
            self.found(8, "damaged", error)
            handle = None
        if not handle:
            yield None
            return
        self.report.blobs += 1
        with handle:
            yield handle

    @staticmethod
    def decode(handle, near, entry):
        """Step 9; identity has its size by section 7. Of a patch the base is decoded whatever became of the rest."""
        with contextlib.ExitStack() as stack:
            base = near and stack.enter_context(unpacked(near, entry["base"]))
            if not handle or "base" in entry and not base:
                return
            whole = patched(handle, base, entry) if base else unpacked(handle, entry)
            stack.enter_context(whole)
            if entry["encoding"] in TREES:
                check_tree(whole, entry["size"], entry["entries"])


def trusted_statement(source, root):
    """Steps 1 to 4: each of them stops."""
    data, chain = find_envelope(source)
    try:
        payload, signatures = parse_envelope(data, STATEMENT_TYPE)
    except Bad as error:
        raise Finding(2, "untrusted", str(error)) from error
    try:
        trust = walk_chain(source, root, chain)
    except (Absent, Bad) as error:
        raise Finding(3, "untrusted", f"trust chain: {error}") from error
    if not trust.accepts(pre_authentication(STATEMENT_TYPE, payload), signatures):
        raise Finding(3, "untrusted", "not signed by enough keys of the trust root")
    try:
        return parse_statement(payload)
    except Bad as error:
        raise Finding(4, "untrusted", str(error)) from error


def verify(path, trust_path, least=0):
    """The whole of section 8 on one cache."""
    report = Report()
    try:
        trust = read_trust(trust_path)
        source = source_of(path)
        report.serial, tables = trusted_statement(source, trust)
    except Finding as finding:
        report.findings.append(finding)
        return report
    audit = Audit(source, report)
    if report.serial < least:
        audit.found(5, "stale", f"serial {report.serial}, and {least} is the least accepted")
    audit.tables(tables)
    return report


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="a second verifier of larder's caches")
    parser.add_argument("cache")
    parser.add_argument("--trust", required=True)
    parser.add_argument("--serial-at-least", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    report = verify(args.cache, args.trust, args.serial_at_least)
    if args.json:
        findings = [vars(finding) for finding in report.findings]
        print(
            json.dumps(
                {
                    "verdict": report.verdict,
                    "step": report.step,
                    "serial": report.serial,
                    "blobs": report.blobs,
                    "findings": findings,
                }
            )
        )
    else:
        print(f"{args.cache}: {report.verdict}, serial {report.serial}, {report.blobs} blobs")
        for finding in report.findings:
            print(f"  step {finding.step}: {finding.verdict}: {finding.text}")
    return CODES[report.verdict]


if __name__ == "__main__":
    sys.exit(main())
