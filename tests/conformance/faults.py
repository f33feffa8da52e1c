"""faults.py - what is wrong with a cache whichever way it comes: the rows of the matrix of routes.

The cache has two bundles: nic, which the test's machine needs, and spare, which a slice leaves out and
the base of a delta has already. Every fault is in what is carried on every route.
"""

import base64
import json
from dataclasses import dataclass

from changes import OTHER, flip, gone, on, put, signed_by, swap, tail
from made import (
    MODULE,
    b64,
    entry,
    pae,
    public,
    raw_signature,
    sha,
    text,
    trust_file,
    trust_of,
    zstd_frame,
)


@dataclass
class Fault:
    """A change of a good cache, and what every verifier must say on every route."""

    name: str
    changes: dict
    verdict: str
    step: int = None
    agent: str = None  # where it differs from the verdict's own reason
    least: int = 0


TWO = {"trust": lambda value: trust_of("fleet", "second", threshold=2)}


def signatures(make):
    """An envelope with these signatures."""
    return {"signatures": lambda value, payload: make(payload)}


def payload(change):
    """An envelope around other bytes than those that were signed."""

    def envelope(value):
        value["payload"] = b64(change(base64.b64decode(value["payload"])))

    return {"envelope": envelope}


def swapped(one, other):
    """Two files in each other's place."""

    def disk(made):
        left, right = made.blob(one), made.blob(other)
        data = left.read_bytes()
        left.write_bytes(right.read_bytes())
        right.write_bytes(data)

    return {"disk": disk}


def spoilt(name, change):
    """Other bytes under the name of a blob."""
    return {"disk": on(name, change)}


def signature_faults():
    """Who signed, and what."""
    bad = signatures(
        lambda data: [entry("fleet", pae(data), sig=flip(20)(raw_signature("fleet", pae(data))))]
    )
    yield Fault("signature wrong", bad, "untrusted", 3)
    yield Fault("signature missing", signatures(lambda data: []), "untrusted", 3)
    yield Fault("signed by an unknown key", signed_by("stranger"), "untrusted", 3)
    yield Fault(
        "signed by an unknown key under a known id",
        signatures(lambda data: [entry("stranger", pae(data), keyid=sha(public("fleet")))]),
        "untrusted",
        3,
    )
    yield Fault("below the threshold", {**TWO, **signed_by("fleet")}, "untrusted", 3)
    yield Fault("one key twice", {**TWO, **signed_by("fleet", "fleet")}, "untrusted", 2)
    twice = signatures(
        lambda data: [
            entry("fleet", pae(data)),
            entry("fleet", pae(data), keyid=sha(public("second"))),
        ]
    )
    yield Fault("one key under two ids", {**TWO, **twice}, "untrusted", 3)
    removed = {
        "chain": lambda value: [trust_file(2, "second", by=("fleet", "second"))],
        **signed_by("fleet"),
    }
    yield Fault("signed by a removed key", removed, "untrusted", 3)
    broken = {
        "chain": lambda value: [trust_file(2, "second", by=("second",))],
        **signed_by("second"),
    }
    yield Fault("trust chain not proven", broken, "untrusted", 3)
    proven = {
        "chain": lambda value: [trust_file(2, "second", by=("fleet", "second"))],
        **signed_by("second"),
    }
    yield Fault("trust chain altered", {**proven, **spoilt("trust 0", flip(40))}, "untrusted", 3)
    yield Fault("trust chain not there", {**proven, "disk": gone("trust 0")}, "untrusted", 3)


def statement_faults():
    """The bytes that were signed."""
    newer = payload(swap('"serial":7', '"serial":9'))
    yield Fault("statement altered", newer, "untrusted", 3)
    yield Fault("statement cut", payload(lambda data: data[:-1]), "untrusted", 3)
    yield Fault("statement longer", payload(tail(b" ")), "untrusted", 3)
    cut = {"statement_text": lambda data: data[:-1]}
    yield Fault("statement cut before it was signed", cut, "untrusted", 4)
    yield Fault("serial low", {}, "stale", 5, "serial", least=8)
    withdrawn = {"statement": put("predicate", "withdrawn", ["nic@1.0"])}
    yield Fault("withdrawn", withdrawn, "clean", None, "withdrawn")


def resigned_wrongly(data):
    """An envelope of as many bytes, with a signature in which a bit is another."""
    value = json.loads(data)
    first = value["signatures"][0]
    first["sig"] = b64(flip(20)(base64.b64decode(first["sig"])))
    return text(value)


def envelope_faults():
    """The envelope's file; its path is a hint, so that its bytes alone count."""
    yield Fault("envelope cut", spoilt("envelope", lambda data: data[:-1]), "untrusted", 2)
    yield Fault("envelope empty", spoilt("envelope", lambda data: b""), "untrusted", 2)
    flipped = spoilt("envelope", resigned_wrongly)
    yield Fault("envelope altered", flipped, "untrusted", 3)
    yield Fault("envelope longer, by white space", spoilt("envelope", tail(b"\n")), "clean")
    described = {"manifest": put("layers", 0, "size", 1)}
    yield Fault("envelope's described size wrong", described, "clean")
    yield Fault("envelope not there", {"disk": gone("envelope")}, "damaged", 1)
    yield Fault("cache manifest altered", spoilt("manifest", swap(":2", ":3")), "damaged", 1)
    yield Fault("cache manifest not there", {"disk": gone("manifest")}, "damaged", 1)


def table_faults():
    """The machine's own table."""
    yield Fault("table altered", spoilt("table", swap('"rank":50', '"rank":51')), "damaged", 6)
    yield Fault("table cut", spoilt("table", lambda data: data[:-1]), "damaged", 6)
    yield Fault("table longer", spoilt("table", tail(b" ")), "damaged", 6)
    for name, by in [("too large", 1), ("too small", -1)]:

        def size(value, by=by):
            value["predicate"]["tables"][1]["size"] += by

        yield Fault(f"table's signed size {name}", {"statement": size}, "damaged", 6)
    yield Fault("tables swapped", swapped("table", "far"), "damaged", 6)
    yield Fault("table not there", {"disk": gone("table")}, "incomplete", 6, "not_carried")


def record_faults():
    """The record of the bundle that the machine needs."""
    yield Fault("record altered", spoilt("record", swap("0-only", "0_only")), "damaged", 7)
    yield Fault("record cut", spoilt("record", lambda data: data[:-1]), "damaged", 7)
    yield Fault("record longer", spoilt("record", tail(b" ")), "damaged", 7)
    for name, by in [("too large", 1), ("too small", -1)]:

        def size(value, by=by):
            value["record"]["size"] += by

        yield Fault(f"record's signed size {name}", {"row": size}, "damaged", 7)
    yield Fault("records swapped", swapped("record", "spare record"), "damaged", 7)
    yield Fault("record not there", {"disk": gone("record")}, "clean", None, "not_carried")
    yield Fault("chunk list altered", spoilt("record", chunks_turned), "damaged", 7)


def chunks_turned(data):
    """The first two chunks of the list in the other order: as many bytes, other digests."""
    at = data.index(b'"chunks":["') + 11
    one, two = data[at : at + 64], data[at + 67 : at + 131]
    return data[:at] + two + data[at + 64 : at + 67] + one + data[at + 131 :]


def blob_faults():
    """The blobs of that bundle: one with chunks, one as it is, one packed."""
    for name in ("big", "conf", "module"):
        yield Fault(f"blob {name} altered", spoilt(name, flip(7)), "damaged", 8)
    for name in ("big", "conf"):
        yield Fault(f"blob {name} cut", spoilt(name, lambda data: data[:-1]), "damaged", 8)
        yield Fault(f"blob {name} longer", spoilt(name, tail(b"x")), "damaged", 8)
    yield Fault("blob empty", spoilt("conf", lambda data: b""), "damaged", 8)
    yield Fault("blobs swapped", swapped("conf", "module"), "damaged", 8)
    yield Fault("blob not there", {"disk": gone("conf")}, "clean", None, "not_carried")
    resigned = {"record": put("files", 0, "blob", "chunks", 1, OTHER)}
    yield Fault("chunk list altered, and signed so", resigned, "damaged", 8)

    def smaller(value):
        value["files"][1]["size"] = value["files"][1]["blob"]["size"] = 22

    yield Fault("blob's signed size too small", {"record": smaller}, "damaged", 8)
    decoded = {"record": put("files", 2, "size", len(MODULE) + 1)}
    yield Fault("decoded size wrong, and signed so", decoded, "damaged", 9)
    more = zstd_frame(MODULE) + b"more"
    behind = {"module": lambda value: more, "record": put("files", 2, "blob", blob_word(more))}
    yield Fault("bytes behind the frames, and signed so", behind, "damaged", 9)


def blob_word(data):
    """A record's word for a blob."""
    return {"digest": "sha256:" + sha(data), "size": len(data)}


def all_faults():
    """Every row of the matrix; the first is none."""
    yield Fault("none", {}, "clean")
    for part in (
        signature_faults,
        statement_faults,
        envelope_faults,
        table_faults,
        record_faults,
        blob_faults,
    ):
        yield from part()


FAULTS = list(all_faults())
