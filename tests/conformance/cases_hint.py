"""cases_hint.py - the layout around it all, which is not signed (FORMAT.md 2 and 8.1)."""

import os

from changes import (
    Case,
    OTHER,
    as_folder,
    as_link,
    as_pipe,
    drop,
    first_key_again,
    gone,
    head,
    nested,
    on,
    put,
    swap,
    tail,
)
from made import MIB, STATEMENT_TYPE, b64, entry, pae, sha, text


def descriptor(digest="sha256:" + OTHER, **more):
    """A descriptor of nothing."""
    return {"mediaType": "application/octet-stream", "digest": digest, "size": 1, **more}


def first_again(data, *_):
    """A key of the first descriptor of the index once more."""
    return data.replace(b'[{"mediaType"', b'[{"mediaType":"x","mediaType"', 1)


def first_of(size):
    """The first descriptor of the index made as long as this, by a key that nobody reads."""

    def change(data, *_):
        at = data.index(b"[{") + 1
        end = data.index(b"}", at) + 1
        key = b'{"x":"",'
        more = size - (end - at) - len(key) + 1
        return data[: at + 1] + b'"x":"' + b"y" * more + b'",' + data[at + 1 :]

    return change


def cut_behind_first(data, *_):
    """The index up to the end of its first descriptor."""
    return data[: data.index(b"}") + 1]


def deep_first(depth):
    """The first descriptor of the index holds so many lists, one in another."""
    return swap("[{", '[{"x":' + "[" * depth + "]" * depth + ",")


def hint_cases():
    """They say where the envelope is, or they do not; nothing else in them counts."""
    for name, change in [
        (
            "a bundle more in the index",
            {"index": lambda value: value["manifests"].append(descriptor())},
        ),
        ("the bundle not in the index", {"index": lambda value: value["manifests"].pop() and None}),
        (
            "the bundle's digest is another",
            {"index": put("manifests", 1, "digest", "sha256:" + OTHER)},
        ),
        ("the bundle's manifest garbage", {"disk": on("bundle", lambda data: b"{")}),
        ("the bundle's manifest not here", {"disk": gone("bundle")}),
        (
            "no tables among the layers",
            {"manifest": lambda value: value["layers"].__delitem__(slice(1, None))},
        ),
        ("a foreign table among the layers", {"manifest": put("layers", 1, descriptor())}),
        ("the envelope's size is another", {"manifest": put("layers", 0, "size", 1)}),
        ("the envelope's size is 4 MiB", {"manifest": put("layers", 0, "size", 4 * MIB)}),
        ("the envelope's size is 0", {"manifest": put("layers", 0, "size", 0)}),
        ("annotations in the index", {"index": put("manifests", 0, "annotations", {"a": "b"})}),
        ("annotations in the manifest", {"manifest": put("annotations", {"org.example": "x"})}),
        (
            "annotations at the top",
            {"top": put("manifests", 0, "annotations", {"org.example": "x"})},
        ),
        ("no annotations at the top", {"top": drop("manifests", 0, "annotations")}),
        (
            "a second descriptor at the top",
            {"top": lambda value: value["manifests"].append(descriptor())},
        ),
        ("the envelope's bytes changed", {"disk": on("envelope", tail(b"\n"))}),
        ("unknown keys at the top", {"top": put("x", 1)}),
        ("unknown keys in the index", {"index": put("x", 1)}),
        ("unknown keys in the manifest", {"manifest": put("x", 1)}),
        ("unknown keys in a descriptor", {"manifest": put("layers", 0, "x", 1)}),
        ("another artifactType", {"manifest": put("artifactType", "x")}),
        ("no media type of the envelope", {"manifest": drop("layers", 0, "mediaType")}),
        ("the index nested 32 deep", {"index_text": nested(31)}),
        ("an index of many values behind its first", {"index": put("x", [0] * 131072)}),
        ("the index cut behind its first manifest", {"index_text": cut_behind_first}),
        (
            "the index with garbage behind its first manifest",
            {"index_text": lambda data: cut_behind_first(data) + b"\xff\0}}}"},
        ),
        ("white space before the first manifest", {"index_text": swap("[", "[ \n\t\r")}),
        ("the first manifest of 4096 bytes", {"index_text": first_of(4096)}),
        ("the first manifest nested 32 deep", {"index_text": deep_first(31)}),
        (
            "garbage behind the first manifest",
            {"index": lambda value: value["manifests"].append(5)},
        ),
        ("garbage behind the envelope", {"manifest": lambda value: value["layers"].append(5)}),
        (
            "a path behind the first manifest",
            {
                "index": lambda value: value["manifests"].append(
                    descriptor("sha256:../../../etc/passwd")
                )
            },
        ),
        ("oci-layout not here", {"disk": lambda made: (made.folder / "oci-layout").unlink()}),
        (
            "oci-layout garbage",
            {"disk": lambda made: (made.folder / "oci-layout").write_bytes(b"{") and None},
        ),
        (
            "a foreign file among the blobs",
            {
                "disk": lambda made: (made.folder / "blobs/sha256/foreign").write_bytes(b"x")
                and None
            },
        ),
        ("a foreign blob", {"disk": lambda made: made.put(b"foreign") and None}),
        ("the empty config not here", {"disk": lambda made: gone(sha(b"{}"))(made)}),
    ]:
        yield Case(f"hints: {name}", change)
    for name, change in [
        ("index.json not JSON", {"top_text": lambda data: b"{"}),
        ("index.json empty", {"top_text": lambda data: b""}),
        ("index.json with a key twice", {"top_text": first_key_again}),
        ("index.json a list", {"top_text": lambda data: b"[]"}),
        ("index.json with a byte after", {"top_text": tail(b"x")}),
        ("no descriptors", {"top": put("manifests", [])}),
        ("no manifests", {"top": drop("manifests")}),
        ("index.json points nowhere", {"top": put("manifests", 0, "digest", "sha256:" + OTHER)}),
        (
            "a digest that is a path",
            {"top": put("manifests", 0, "digest", "sha256:../../../etc/passwd")},
        ),
        ("a digest in capitals", {"top": put("manifests", 0, "digest", "sha256:" + OTHER.upper())}),
        ("a digest of another kind", {"top": put("manifests", 0, "digest", "sha512:" + OTHER * 2)}),
        ("the index not here", {"disk": gone("index")}),
        ("the index garbage", {"disk": on("index", lambda data: b"{")}),
        ("the index empty", {"index": put("manifests", [])}),
        ("the manifest not here", {"disk": gone("manifest")}),
        ("the manifest garbage", {"disk": on("manifest", lambda data: b"{")}),
        ("no layers", {"manifest": put("layers", [])}),
        ("no layers at all", {"manifest": drop("layers")}),
        ("the envelope not here", {"disk": gone("envelope")}),
        (
            "the index points at itself",
            {
                "disk": lambda made: made.blob("index").write_bytes(
                    text({"manifests": [descriptor("sha256:" + made.names["index"])]})
                )
                and None
            },
        ),
        (
            "index.json a link",
            {
                "disk": lambda made: (made.folder / "index.json").rename(made.folder / "i")
                and (made.folder / "index.json").symlink_to("i")
            },
        ),
        ("the envelope a folder", {"disk": as_folder("envelope")}),
        (
            "an index of too many values, not in larder's spelling",
            {"index": put("x", [0] * 131072), "index_text": head(b" ")},
        ),
        (
            "the index empty, not in larder's spelling",
            {"index": put("manifests", []), "index_text": head(b" ")},
        ),
        (
            "the first manifest is a number",
            {"index": lambda value: value["manifests"].insert(0, 5)},
        ),
        ("the first manifest is a list", {"index": put("manifests", 0, [])}),
        ("the first manifest has a key twice", {"index_text": first_again}),
        ("the first manifest is cut", {"index_text": lambda data: data[:150]}),
        ("the first manifest of 4097 bytes", {"index_text": first_of(4097)}),
        ("the first manifest behind 4096 spaces", {"index_text": swap("[", "[" + " " * 4096)}),
        ("the first manifest nested 33 deep", {"index_text": deep_first(32)}),
        (
            "garbage behind the first manifest, not in larder's spelling",
            {"index_text": lambda data: b" " + data[:-2] + b",}]}"},
        ),
        (
            "index.json of 64 KiB and a byte",
            {"top_text": lambda data: data + b" " * (MIB // 16 + 1 - len(data))},
        ),
        (
            "the envelope's size is 4 MiB and a byte",
            {"manifest": put("layers", 0, "size", 4 * MIB + 1)},
        ),
        ("the manifest's size is another", {"index": put("manifests", 0, "size", 1)}),
        ("the index's size is another", {"top": put("manifests", 0, "size", 1)}),
        ("no size of the index", {"top": drop("manifests", 0, "size")}),
        ("the manifest longer", {"disk": on("manifest", tail(b"\n"))}),
        ("the index longer", {"disk": on("index", tail(b"\n"))}),
        (
            "the manifest changed",
            {"disk": on("manifest", swap('"schemaVersion":2', '"schemaVersion":3'))},
        ),
        (
            "the index changed",
            {"disk": on("index", swap('"schemaVersion":2', '"schemaVersion":3'))},
        ),
        (
            "the manifest with a fraction",
            {"manifest_text": swap('"schemaVersion":2', '"schemaVersion":2.5')},
        ),
        ("the manifest with a key twice", {"manifest_text": first_key_again}),
        ("the index nested 33 deep", {"index_text": nested(32)}),
        ("the envelope a link", {"disk": as_link("envelope")}),
        ("the index a link", {"disk": as_link("index")}),
        ("the envelope a pipe", {"disk": as_pipe("envelope")}),
        ("the index a pipe", {"disk": as_pipe("index")}),
        (
            "index.json a pipe",
            {
                "disk": lambda made: (made.folder / "index.json").unlink()
                or os.mkfifo(made.folder / "index.json")
            },
        ),
        (
            "the folder of blobs not here",
            {"disk": lambda made: (made.folder / "blobs").rename(made.folder / "b") and None},
        ),
        (
            "the folder of blobs a link",
            {
                "disk": lambda made: (made.folder / "blobs").rename(made.folder / "b")
                and (made.folder / "blobs").symlink_to("b")
            },
        ),
    ]:
        yield Case(f"hints: {name}", change, "damaged", 1)
    yield Case(
        "hints: index.json of 64 KiB",
        {"top_text": lambda data: data + b" " * (MIB // 16 - len(data))},
    )
    yield Case(
        "hints: index.json not here",
        {"disk": lambda made: (made.folder / "index.json").unlink()},
        "missing",
        1,
    )
    yield Case(
        "hints: the envelope's place has another's envelope",
        {
            "disk": lambda made: made.blob("envelope").write_bytes(
                text(
                    {
                        "payloadType": STATEMENT_TYPE,
                        "payload": b64(b"{}"),
                        "signatures": [entry("stranger", pae(b"{}"))],
                    }
                )
            )
            and None
        },
        "untrusted",
        3,
    )
    yield Case(
        "hints: a table in the envelope's place",
        {"manifest": lambda value: put("layers", 0, value["layers"][1])(value)},
        "untrusted",
        2,
    )
    yield Case(
        "hints: the envelope garbage", {"disk": on("envelope", lambda data: b"{")}, "untrusted", 2
    )
