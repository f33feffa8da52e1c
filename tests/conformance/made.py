"""made.py - makes a small good cache, stage by stage, so that a case can spoil exactly one of them.

Everything above a spoilt stage is made from the spoilt bytes: digests, sizes and signatures fit,
and only the rule that the case is about can refuse it.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

KERNEL = "6.1.0-1-test"
MIB = 1 << 20
BIG = hashlib.shake_128(b"a file of three chunks").digest(2 * MIB + 9)
CONF = b"options nic speed=fast\n"
MODULE = b"\x7fELF" + b"module " * 400
SPARE = b"of a bundle that the test's machine does not need\n" * 9
STATEMENT_TYPE = "application/vnd.in-toto+json"
TRUST_TYPE = "application/vnd.larder.trust.v1+json"
EMPTY = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "", "size": 2}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
# Keys of this run only: nothing here can sign for anybody.
KEYS = {
    "fleet": ec.generate_private_key(ec.SECP256R1()),
    "second": ec.generate_private_key(ec.SECP256R1()),
    "third": ec.generate_private_key(ec.SECP256R1()),
    "stranger": ec.generate_private_key(ec.SECP256R1()),
    "edward": ed25519.Ed25519PrivateKey.generate(),
}


@lru_cache(64)
def sha(data):
    """The hex digest; that of the one large file is asked for in every case."""
    return hashlib.sha256(data).hexdigest()


def text(value):
    """JSON without white space, as larder writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def b64(data):
    """Canonical base64."""
    return base64.b64encode(data).decode()


# --- keys ---------------------------------------------------------------------------------------


def public(key):
    """DER SubjectPublicKeyInfo of a private key, or of the name of one."""
    key = KEYS[key] if isinstance(key, str) else key
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pae(payload, payload_type=STATEMENT_TYPE):
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def raw_signature(key, signed):
    """A signature's bytes."""
    key = KEYS[key] if isinstance(key, str) else key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    return key.sign(signed, ec.ECDSA(hashes.SHA256()))


def entry(key, signed, sig=None, keyid=None):
    """One element of an envelope's signatures."""
    return {
        "keyid": sha(public(key)) if keyid is None else keyid,
        "sig": b64(raw_signature(key, signed) if sig is None else sig),
    }


def trust_of(*names, threshold=1, version=1):
    """What a trust root says."""
    return {
        "format": "larder.trust.v1",
        "version": version,
        "threshold": threshold,
        "keys": [{"public": b64(public(name))} for name in names],
    }


def trust_file(version, *names, by=(), threshold=1, payload=None, signatures=None):
    """A version of the trust root, signed by these keys; payload and signatures are changes of it."""
    value = trust_of(*names, threshold=threshold, version=version)
    data = text(value) if payload is None else payload(value)
    made = [entry(name, pae(data, TRUST_TYPE)) for name in by]
    return text(
        {
            "payloadType": TRUST_TYPE,
            "payload": b64(data),
            "signatures": made if signatures is None else signatures(data),
        }
    )


# --- the good cache -----------------------------------------------------------------------------


def zstd_frame(data, descriptor=0x20, header=None, tail=b""):
    """A frame of one raw block; by default a single segment that says its size."""
    if header is None:
        flag, width, less = (0, 1, 0) if len(data) < 256 else (1, 2, 256)
        descriptor |= flag << 6
        header = (len(data) - less).to_bytes(width, "little")
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + header + block + tail


@lru_cache(64)
def chunks_of(data):
    """The digest of each MiB."""
    return tuple(sha(data[at : at + MIB]) for at in range(0, len(data), MIB))


def blob_of(data):
    """A record's word for a blob."""
    made = {"digest": "sha256:" + sha(data), "size": len(data)}
    return {**made, "chunks": list(chunks_of(data))} if len(data) > MIB else made


def file_of(path, data, stored=None, mode=420):
    """A record's word for a file; stored is its blob when that is zstd."""
    return {
        "path": path,
        "mode": mode,
        "size": len(data),
        "encoding": "identity" if stored is None else "zstd",
        "blob": blob_of(data if stored is None else stored),
    }


def good_record(module):
    """A bundle whose one step a machine made of folders can do alone."""
    files = [
        file_of("nic/big.bin", BIG),
        file_of("nic/nic.conf", CONF),
        file_of("nic/nic.ko", MODULE, module, 493),
    ]
    return {
        "files": files,
        "install": [
            {"do": "files", "files": [entry["path"] for entry in files], "into": "/etc/larder-test"}
        ],
        "expect": {"driver": "nic", "carrier": False},
        "origins": [{"from": "https://example.org/vendor.tar.gz", "sha256": sha(b""), "size": 0}],
        "licence": "GPL-2.0-only",
    }


def row_of(name, record_text, total, **changes):
    """A row that fits the test's machine."""
    return {
        "name": name,
        "version": "1.0",
        "id": "nic",
        "rank": 50,
        "kernels": [KERNEL],
        "devices": ["pci:v00008086d000010D3sv*sd*bc02sc*i*"],
        "sizes": [],
        "excludes": [],
        "requires": [],
        "early": False,
        "like": False,
        "secure_boot": True,
        "link_layer": "",
        "record": {"digest": "sha256:" + sha(record_text), "size": len(record_text)},
        "bytes": total,
        **changes,
    }


def far_table():
    """The table of `any`: one bundle that no device here asks for, and that is not carried."""
    return {"rows": [row_of("far", b"far away", 5, devices=["pci:v00001234d*"])]}


def statement_of(tables):
    """The statement over [(name, bytes of the table)]."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha(data)}} for name, data in tables],
        "predicateType": "urn:larder:driver-cache:v1",
        "predicate": {
            "serial": 7,
            "created": "2026-11-21T00:00:00Z",
            "name": "test",
            "tables": [{"size": len(data)} for _, data in tables],
            "sources": ["https://mirror.example.org/larder"],
            "withdrawn": ["nic@0.9"],
        },
    }


def total_of(record):
    """The sum of the blobs of a record, each once, as far as the record makes sense."""
    try:
        files = [*record["files"], *(f["base"] for f in record["files"] if "base" in f)]
        return sum({f["blob"]["digest"]: f["blob"]["size"] for f in files}.values())
    except (KeyError, TypeError):
        return 0


# --- stages -------------------------------------------------------------------------------------


@dataclass
class Made:
    """A cache on disk, and the names of what is in it."""

    folder: Path
    trust: Path
    names: dict = field(default_factory=dict)
    bundles: list = field(default_factory=list)  # (record, blobs) by name: those carried whole
    good: dict = field(
        default_factory=dict
    )  # digest -> the bytes that it is of, whatever is on disk

    def blob(self, name):
        """The file of a blob, by a name of this test or by its digest."""
        return self.folder / "blobs/sha256" / self.names.get(name, name)

    def put(self, data, name=None):
        """Store a blob under its digest; returns an OCI descriptor without a media type."""
        digest = sha(data)
        if name:
            self.names[name] = digest
        self.good[digest] = data
        self.blob(digest).write_bytes(data)
        return {"digest": "sha256:" + digest, "size": len(data)}


class Stages:
    """The changes of a case, applied each at its stage; a change returns a new value or None."""

    def __init__(self, changes):
        self.changes = dict(changes)

    def at(self, stage, value, *more):
        """The value after this stage's change."""
        change = self.changes.pop(stage, None)
        made = change(value, *more) if change else None
        return value if made is None else made

    def json(self, stage, value):
        """A document: changed as a value, then as its bytes."""
        return self.at(stage + "_text", text(self.at(stage, value)))


def make_spare(made, how):
    """The row of a second bundle; its one blob is "carried", or "left out" as a slice leaves it out."""
    record = good_record(b"")
    record["files"] = [file_of("spare/spare.bin", SPARE)]
    record["install"][0]["files"] = ["spare/spare.bin"]
    record_text = text(record)
    made.put(record_text, "spare record")
    if how == "carried":
        made.put(SPARE, "spare")
        made.bundles.append(("spare record", ("spare",)))
    return row_of("spare", record_text, len(SPARE), devices=["pci:v0000FFFFd*"])


def make_tables(made, stages):
    """Blobs, record and tables; returns [(name, bytes)]."""
    module = stages.at("module", zstd_frame(MODULE))
    for name, data in (("big", BIG), ("conf", CONF), ("module", module)):
        made.put(data, name)
    record = stages.at("record", good_record(module))
    record_text = stages.at("record_text", text(record))
    made.put(record_text, "record")
    row = stages.at("row", row_of("nic", record_text, total_of(record)))
    made.bundles.append(("record", ("big", "conf", "module")))
    how = stages.at("spare", "none")
    rows = [row] if how == "none" else [row, make_spare(made, how)]
    far, table = stages.json("far", far_table()), stages.json("table", {"rows": rows})
    made.put(far, "far")
    made.put(table, "table")
    return [("linux/any/x86_64", far), ("linux/debian-12/x86_64", table)]


def make_envelope(made, stages, tables):
    """Statement and envelope; returns the envelope's descriptor."""
    payload = stages.json("statement", statement_of(tables))
    signatures = stages.at("signatures", [entry("fleet", pae(payload))], payload)
    envelope = {"payloadType": STATEMENT_TYPE, "payload": b64(payload), "signatures": signatures}
    return made.put(stages.json("envelope", envelope), "envelope")


def layer(kind, descriptor):
    """A descriptor with a media type of ours."""
    return {"mediaType": f"application/vnd.larder.{kind}", **descriptor}


def manifest_of(made, kind, layers):
    """An OCI manifest."""
    config = {**EMPTY, **made.put(b"{}")}
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": f"application/vnd.larder.{kind}.v1",
        "config": config,
        "layers": layers,
    }


def stored(made, name):
    """The descriptor of what is already stored."""
    data = made.blob(name).read_bytes()
    return {"digest": "sha256:" + made.names[name], "size": len(data)}


def put_bundle(made, record, blobs):
    """The manifest of a bundle that is carried whole."""
    blobs = [layer("blob.v1", stored(made, name)) for name in sorted(blobs, key=made.names.get)]
    record_layer = layer("record.v1+json", stored(made, record))
    name = "bundle" if record == "record" else "spare bundle"
    return made.put(text(manifest_of(made, "bundle", [record_layer, *blobs])), name)


def make_hints(made, stages, envelope):
    """The OCI layout around it all."""
    tables = [layer("table.v1+json", stored(made, name)) for name in ("far", "table")]
    dsse = {"mediaType": "application/vnd.dsse.envelope.v1+json", **envelope}
    chain = [
        layer("trust.v1+json", made.put(data, f"trust {place}"))
        for place, data in enumerate(stages.at("chain", []))
    ]
    layers = [dsse, *chain, *tables]
    cache = made.put(stages.json("manifest", manifest_of(made, "cache", layers)), "manifest")
    bundles = [put_bundle(made, *bundle) for bundle in made.bundles]
    entries = [{"mediaType": MANIFEST, **descriptor} for descriptor in (cache, *bundles)]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    index = made.put(stages.json("index", index), "index")
    top = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [
            {
                "mediaType": INDEX,
                **index,
                "annotations": {"org.opencontainers.image.ref.name": "test"},
            }
        ],
    }
    (made.folder / "index.json").write_bytes(stages.json("top", top))
    (made.folder / "oci-layout").write_bytes(text({"imageLayoutVersion": "1.0.0"}))


def make_trust(made, stages):
    """The trust root: version 1, unsigned."""
    payload = stages.json("trust", trust_of("fleet"))
    envelope = {"payloadType": TRUST_TYPE, "payload": b64(payload), "signatures": []}
    made.trust.write_bytes(stages.json("trust_envelope", envelope))


def make(folder, trust, changes):
    """A cache in a folder and a trust root, spoilt as a case says."""
    made = Made(Path(folder), Path(trust))
    (made.folder / "blobs/sha256").mkdir(parents=True)
    made.trust.parent.mkdir(parents=True, exist_ok=True)
    stages = Stages(changes)
    make_hints(made, stages, make_envelope(made, stages, make_tables(made, stages)))
    make_trust(made, stages)
    stages.at("disk", made)
    assert not stages.changes, f"no such stage: {list(stages.changes)}"
    return made
