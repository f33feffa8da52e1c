"""made_tar.py - the tar of a cache (FORMAT.md 2.1), in pieces, so that a case can spoil exactly one of them.

The headers are those of Python's tarfile in its ustar form: a third hand beside larder's and the
verifier's. Nothing here checks what it packs.
"""

import base64
import json
import tarfile
from dataclasses import dataclass, field

from made import text

BLOCK = 512
END = bytes(2 * BLOCK)
BLOBS = "blobs/sha256/"
# Fields of a header: where, and how many bytes.
FIELDS = {
    "name": (0, 100),
    "mode": (100, 8),
    "owner": (108, 8),
    "group": (116, 8),
    "size": (124, 12),
    "time": (136, 12),
    "checksum": (148, 8),
    "type": (156, 1),
    "target": (157, 100),
    "magic": (257, 6),
    "version": (263, 2),
    "owner's name": (265, 32),
    "group's name": (297, 32),
    "major": (329, 8),
    "minor": (337, 8),
    "prefix": (345, 155),
    "rest": (500, 12),
}


def header(name, size, mode=0o644, kind=tarfile.REGTYPE, target=""):
    """One ustar header: owner, group and time are 0, and nobody has a name."""
    info = tarfile.TarInfo(name)
    info.size = size if size < 1 << 33 else 0  # beyond, tarfile has no ustar header
    info.mode, info.type, info.linkname = mode, kind, target
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape"))
    assert len(block) == BLOCK
    block[329:345] = b"0000000\0" * 2  # which some versions of Python leave empty
    if size >= 1 << 33:
        block[124:136] = b"\x80" + size.to_bytes(11, "big")
    return summed(block)


def summed(block):
    """A header whose checksum fits again, whatever else is wrong with it."""
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data, fill=b"\0"):
    """Filled up to a multiple of a block."""
    return data + fill * (-len(data) % BLOCK)


@dataclass
class Piece:
    """A file of a tar: its header, its bytes as they lie there."""

    name: str
    data: bytes
    block: bytes = None
    body: bytes = None

    def __post_init__(self):
        self.block = self.block or header(self.name, len(self.data))
        self.body = padded(self.data) if self.body is None else self.body

    def set(self, name, data):
        """A field, filled up with zeros unless it is as long as the field; the sum fits."""
        at, size = FIELDS[name]
        assert len(data) <= size
        block = self.block[:at] + data.ljust(size, b"\0") + self.block[at + size :]
        self.block = block if name == "checksum" else summed(block)


@dataclass
class Ball:
    """A tar in pieces; by name of a file, or by a test's name for a blob."""

    pieces: list
    names: dict = field(default_factory=dict)
    end: bytes = END

    def find(self, name):
        """The place of a piece."""
        name = BLOBS + self.names[name] if name in self.names else name
        return next(at for at, piece in enumerate(self.pieces) if piece.name == name)

    def __getitem__(self, name):
        return self.pieces[self.find(name)]

    def bytes(self):
        """The whole tar."""
        return b"".join(piece.block + piece.body for piece in self.pieces) + self.end

    def write(self, place):
        """The whole tar in a file; a body that is a number is a hole of so many bytes."""
        with open(place, "wb") as handle:
            for piece in self.pieces:
                handle.write(piece.block)
                if isinstance(piece.body, int):
                    handle.seek(piece.body, 1)
                else:
                    handle.write(piece.body)
            handle.write(self.end)


def ball_of(made):
    """The tar of a folder, blobs by digest; made.names finds them. Links and pipes are left out."""
    names = [name for name in ("oci-layout", "index.json") if (made.folder / name).is_file()]
    blobs = [path for path in (made.folder / "blobs/sha256").iterdir() if path.is_file()]
    pieces = [Piece(name, (made.folder / name).read_bytes()) for name in names]
    pieces += [Piece(BLOBS + path.name, path.read_bytes()) for path in sorted(blobs)]
    return Ball(pieces, dict(made.names))


def mark_of(base="sha256:" + "0" * 64, serial=6, **more):
    """The mark of a delta."""
    return text({"format": "larder.delta.v1", "base": base, "serial": serial, **more})


def with_mark(ball, data):
    """A tar with these bytes as its mark."""
    ball.pieces.insert(ball.find("index.json"), Piece("larder-delta.json", data))


def in_larder_s_order(folder):
    """The tar that larder writes of a good cache: the same cache is the same tar, byte for byte."""

    def blob(descriptor):
        return descriptor["digest"].split(":")[1]

    def read(name):
        return (folder / "blobs/sha256" / name).read_bytes()

    index = blob(json.loads((folder / "index.json").read_bytes())["manifests"][0])
    manifests = [blob(one) for one in json.loads(read(index))["manifests"]]
    manifest = json.loads(read(manifests[0]))
    layers = [blob(one) for one in manifest["layers"]]
    statement = json.loads(base64.b64decode(json.loads(read(layers[0]))["payload"]))
    tables = [one["digest"]["sha256"] for one in statement["subject"]]
    rows = [row for name in tables for row in json.loads(read(name))["rows"]]
    records = sorted({blob(row["record"]) for row in rows})
    order = [*layers, blob(manifest["config"]), *manifests, index, *records]
    there = sorted(path.name for path in (folder / "blobs/sha256").iterdir())
    order = list(dict.fromkeys(name for name in order if name in there))
    order += [name for name in there if name not in order]
    pieces = [Piece(name, (folder / name).read_bytes()) for name in ("oci-layout", "index.json")]
    return Ball(pieces + [Piece(BLOBS + name, read(name)) for name in order]).bytes()
