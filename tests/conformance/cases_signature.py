"""cases_signature.py - envelopes, signatures, thresholds and trust roots (FORMAT.md 3 and 4)."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils

from changes import Case, OTHER, flip, put, signed_by
from made import (
    KEYS,
    MIB,
    STATEMENT_TYPE,
    b64,
    entry,
    pae,
    public,
    raw_signature,
    sha,
    text,
    trust_of,
)

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group


def others(payload, count):
    """Signatures under key ids that nobody has."""
    return [entry("stranger", pae(payload), keyid=f"{n:064x}") for n in range(count)]


def fleet_sig(change):
    """The fleet's signature, its bytes changed."""
    return {
        "signatures": lambda value, payload: [
            entry("fleet", pae(payload), sig=change(raw_signature("fleet", pae(payload))))
        ]
    }


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
        return word[:at] + letters[letters.index(word[at]) + 1] + word[at + 1 :]

    spellings = [
        ("bits that are dropped", last_bits),
        ("without padding", lambda word: word.rstrip("=")),
        ("white space within", lambda word: word[:8] + " " + word[8:]),
        ("a newline after", lambda word: word + "\n"),
        ("two lines", lambda word: word[:8] + "\n" + word[8:]),
        ("more padding", lambda word: word + "="),
        ("a letter too many", lambda word: word + "A"),
        ("padding in the middle", lambda word: "QQ==" + word),
        ("a letter of another alphabet", lambda word: "-_" + word[2:]),
    ]
    for name, spell in spellings:
        yield Case(
            f"payload in base64: {name}",
            {
                "statement_text": lambda data: data + b" " * ((1 - len(data)) % 3),
                "envelope": lambda value, spell=spell: put("payload", spell(value["payload"]))(
                    value
                ),
            },
            "untrusted",
            2,
        )
        yield Case(
            f"signature in base64: {name}",
            {
                **fleet_sig(lambda sig: b"x" * 70),
                "envelope": lambda value, spell=spell: put(
                    "signatures", 0, "sig", spell(value["signatures"][0]["sig"])
                )(value),
            },
            "untrusted",
            2,
        )


def envelope_cases():
    """What the envelope is made of."""
    yield Case("good", {})
    yield Case(
        "payloadType of a trust root",
        {
            "envelope": put("payloadType", "application/vnd.larder.trust.v1+json"),
            "signatures": lambda value, payload: [
                entry("fleet", pae(payload, "application/vnd.larder.trust.v1+json"))
            ],
        },
        "untrusted",
        2,
    )
    yield Case("payloadType empty", {"envelope": put("payloadType", "")}, "untrusted", 2)
    yield Case(
        "payloadType in capitals",
        {"envelope": put("payloadType", STATEMENT_TYPE.upper())},
        "untrusted",
        2,
    )
    yield Case(
        "payloadType swapped after signing",
        {"signatures": lambda value, payload: [entry("fleet", pae(payload, "text/plain"))]},
        "untrusted",
        3,
    )
    yield Case(
        "the payload signed without its type",
        {"signatures": lambda value, payload: [entry("fleet", payload)]},
        "untrusted",
        3,
    )
    yield Case(
        "the payload in base64 signed",
        {"signatures": lambda value, payload: [entry("fleet", pae(b64(payload).encode()))]},
        "untrusted",
        3,
    )
    yield Case("payload empty", {"statement_text": lambda data: b""}, "untrusted", 4)
    yield Case(
        "payload changed after signing",
        {"signatures": lambda value, payload: [entry("fleet", pae(payload + b" "))]},
        "untrusted",
        3,
    )
    yield Case("no signatures", {"signatures": lambda value, payload: []}, "untrusted", 3)
    yield Case(
        "64 signatures", {"signatures": lambda value, payload: [*others(payload, 63), *value]}
    )
    yield Case(
        "65 signatures",
        {"signatures": lambda value, payload: [*others(payload, 64), *value]},
        "untrusted",
        2,
    )
    yield Case(
        "an envelope of 4 MiB", {"envelope_text": lambda data: data + b" " * (4 * MIB - len(data))}
    )
    yield Case(
        "an envelope of 4 MiB and a byte",
        {"envelope_text": lambda data: data + b" " * (4 * MIB + 1 - len(data))},
        "damaged",
        1,
    )
    for size in (0, 1, 7, 97, 200, 1 << 16):
        yield Case(
            f"a signature of {size} bytes",
            fleet_sig(lambda sig, size=size: b"\x30" * size),
            "untrusted",
            2,
        )
    for size in (8, 64, 72, 96):
        yield Case(
            f"a signature of {size} bytes that is none",
            fleet_sig(lambda sig, size=size: b"\x30" * size),
            "untrusted",
            3,
        )
    for keyid in ("", "x", OTHER[:63], OTHER + "0", OTHER.upper(), "sha256:" + OTHER):
        yield Case(
            f"the key id {keyid[:10]!r} of {len(keyid)} bytes",
            {
                "signatures": lambda value, payload, keyid=keyid: [
                    entry("fleet", pae(payload), keyid=keyid)
                ]
            },
            "untrusted",
            2,
        )


def signature_cases():
    """Who signed, and how."""
    yield Case("Ed25519", {**signed_by("edward"), "trust": put("keys", trust_of("edward")["keys"])})
    yield Case(
        "Ed25519, a bit flipped",
        {
            "trust": put("keys", trust_of("edward")["keys"]),
            "signatures": lambda value, payload: [
                entry("edward", pae(payload), sig=flip(40)(raw_signature("edward", pae(payload))))
            ],
        },
        "untrusted",
        3,
    )
    yield Case(
        "Ed25519, cut",
        {
            "trust": put("keys", trust_of("edward")["keys"]),
            "signatures": lambda value, payload: [
                entry("edward", pae(payload), sig=raw_signature("edward", pae(payload))[:63])
            ],
        },
        "untrusted",
        3,
    )
    yield Case(
        "ECDSA bytes under an Ed25519 key",
        {
            "trust": put("keys", trust_of("edward")["keys"]),
            "signatures": lambda value, payload: [
                entry("edward", pae(payload), sig=raw_signature("fleet", pae(payload)))
            ],
        },
        "untrusted",
        3,
    )
    for at in (0, 4, 20, 60, -1):
        yield Case(f"ECDSA, a bit of byte {at} flipped", fleet_sig(flip(at)), "untrusted", 3)
    yield Case("ECDSA, the other s", respell(lambda sig, r, s: der(r, ORDER - s)))
    for name, change in [
        ("s beyond the order", lambda sig, r, s: der(r, s + ORDER)),
        ("r and s zero", lambda sig, r, s: der(0, 0)),
        ("s zero", lambda sig, r, s: der(r, 0)),
        ("a zero before r", lambda sig, r, s: der(r, s, b"\0")),
        ("a byte after the end", lambda sig, r, s: sig + b"\0"),
        ("a length in two bytes", lambda sig, r, s: b"\x30\x81" + sig[1:]),
        ("a length without end", lambda sig, r, s: b"\x30\x80" + sig[2:] + b"\0\0"),
        ("r and s side by side", lambda sig, r, s: r.to_bytes(32, "big") + s.to_bytes(32, "big")),
        ("a set", lambda sig, r, s: b"\x31" + sig[1:]),
        ("cut", lambda sig, r, s: sig[:-1]),
    ]:
        yield Case(f"ECDSA, {name}", respell(change), "untrusted", 3)
    yield Case("signed by a stranger", signed_by("stranger"), "untrusted", 3)
    yield Case(
        "a stranger under the fleet's key id",
        {
            "signatures": lambda value, payload: [
                entry("stranger", pae(payload), keyid=sha(public("fleet")))
            ]
        },
        "untrusted",
        3,
    )
    yield Case(
        "the fleet under another key id",
        {"signatures": lambda value, payload: [entry("fleet", pae(payload), keyid=OTHER)]},
        "untrusted",
        3,
    )
    yield Case("a stranger and the fleet", signed_by("stranger", "fleet"))
    yield Case(
        "a bad signature and a good one of one key",
        {
            "signatures": lambda value, payload: [
                entry("fleet", pae(payload), sig=b"\x30" * 70),
                entry("fleet", pae(payload)),
            ]
        },
        "untrusted",
        2,
    )
    yield Case(
        "a bad signature of one trusted key, a good one of another",
        {
            "trust": lambda value: trust_of("second", "fleet"),
            "signatures": lambda value, payload: [
                entry("second", pae(payload), sig=b"\x30" * 70),
                entry("fleet", pae(payload)),
            ],
        },
    )


def threshold_cases():
    """Keys are counted, not signatures."""
    two = {"trust": lambda value: trust_of("fleet", "second", threshold=2)}
    three = {"trust": lambda value: trust_of("fleet", "second", "edward", threshold=3)}
    yield Case("2 of 2", {**two, **signed_by("fleet", "second")})
    yield Case("2 of 2 and a stranger", {**two, **signed_by("stranger", "second", "fleet")})
    yield Case("3 of 3, both kinds of keys", {**three, **signed_by("edward", "fleet", "second")})
    yield Case("1 of 2", {**two, **signed_by("fleet")}, "untrusted", 3)
    yield Case("1 of 2 and a stranger", {**two, **signed_by("fleet", "stranger")}, "untrusted", 3)
    yield Case(
        "one key twice, two signatures", {**two, **signed_by("fleet", "fleet")}, "untrusted", 2
    )
    yield Case(
        "one signature twice",
        {**two, "signatures": lambda value, payload: [entry("fleet", pae(payload))] * 2},
        "untrusted",
        2,
    )
    yield Case(
        "one signature under two key ids",
        {
            **two,
            "signatures": lambda value, payload: [
                entry("fleet", pae(payload)),
                entry("fleet", pae(payload), keyid=sha(public("second"))),
            ],
        },
        "untrusted",
        3,
    )
    yield Case(
        "one key id in two spellings",
        {
            **two,
            "signatures": lambda value, payload: [
                entry("fleet", pae(payload)),
                entry("fleet", pae(payload), keyid=sha(public("fleet")).upper()),
            ],
        },
        "untrusted",
        2,
    )
    yield Case(
        "2 of 2, one of them bad",
        {
            **two,
            "signatures": lambda value, payload: [
                entry("fleet", pae(payload)),
                entry("second", pae(payload + b" ")),
            ],
        },
        "untrusted",
        3,
    )
    yield Case(
        "2 of 2, both by the first key's hand",
        {
            **two,
            "signatures": lambda value, payload: [
                entry("fleet", pae(payload)),
                entry("fleet", pae(payload), keyid=sha(public("second"))),
            ],
        },
        "untrusted",
        3,
    )


def spki(key, point=serialization.PublicFormat.SubjectPublicKeyInfo):
    """Base64 of a foreign public key."""
    return b64(key.public_key().public_bytes(serialization.Encoding.DER, point))


def compressed():
    """The fleet's key with a compressed point: the same key under another key id."""
    point = (
        KEYS["fleet"]
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    )
    prefix = public("fleet")[2:23]
    body = prefix + b"\x03" + bytes([len(point) + 1]) + b"\0" + point
    return b64(b"\x30" + bytes([len(body)]) + body)


def trust_cases():
    """A root that is none lets nothing pass."""
    for name, key in [
        ("of P-384", spki(ec.generate_private_key(ec.SECP384R1()))),
        ("of RSA", spki(rsa.generate_private_key(65537, 2048))),
        ("with a compressed point", compressed()),
        ("and a byte", b64(public("fleet") + b"\0")),
        ("that is empty", ""),
        ("cut", b64(public("fleet")[:-1])),
        ("in base64 without padding", b64(public("fleet")).rstrip("=") + " "),
        ("that is not on the curve", b64(flip(-1)(public("fleet")))),
    ]:
        yield Case(
            f"trust: a key {name}", {"trust": put("keys", [{"public": key}])}, "no trust root", 0
        )
    keys = [ed25519.Ed25519PrivateKey.generate() for _ in range(32)]
    fleet = trust_of("fleet")["keys"][0]
    yield Case(
        "trust: 32 keys",
        {"trust": put("keys", [{"public": spki(key)} for key in keys[:31]] + [fleet])},
    )
    yield Case(
        "trust: 33 keys",
        {"trust": put("keys", [{"public": spki(key)} for key in keys] + [fleet])},
        "no trust root",
        0,
    )
    for name, change in [
        ("no keys", put("keys", [])),
        ("a key twice", put("keys", [fleet, fleet])),
        ("threshold 0", put("threshold", 0)),
        ("threshold 2 of 1", put("threshold", 2)),
        ("version 0", put("version", 0)),
        ("version 2^32 + 1", put("version", (1 << 32) + 1)),
        ("another format", put("format", "larder.trust.v2")),
    ]:
        yield Case(f"trust: {name}", {"trust": change}, "no trust root", 0)
    yield Case(
        "trust: payloadType of a statement",
        {"trust_envelope": put("payloadType", STATEMENT_TYPE)},
        "no trust root",
        0,
    )
    yield Case(
        "trust: a bare payload",
        {"trust_envelope_text": lambda data: text(trust_of("fleet"))},
        "no trust root",
        0,
    )
    yield Case(
        "trust: 256 KiB", {"trust_envelope_text": lambda data: data + b" " * (MIB // 4 - len(data))}
    )
    yield Case(
        "trust: 256 KiB and a byte",
        {"trust_envelope_text": lambda data: data + b" " * (MIB // 4 + 1 - len(data))},
        "no trust root",
        0,
    )
