"""cases_chain.py - versions of the trust root that the cache carries (FORMAT.md 4)."""

from changes import (
    Case,
    OTHER,
    as_folder,
    as_link,
    as_pipe,
    drop,
    first_key_again,
    flip,
    gone,
    on,
    put,
    signed_by,
    swap,
    tail,
)
from made import MIB, STATEMENT_TYPE, TRUST_TYPE, b64, entry, pae, public, sha, text
from made import trust_file, trust_of

QUARTER = MIB // 4
# The line of succession that most cases spoil one piece of: fleet, then second, then edward.
ROOT = trust_file(1, "fleet")
TWO = trust_file(2, "second", by=("fleet", "second"))
THREE = trust_file(3, "edward", by=("second", "edward"))
BOTH = trust_file(2, "fleet", "second", by=("fleet",))


def chain(name, files, signers, verdict="clean", step=None, **more):
    """A chain of these files, and who signed the envelope."""
    root = more.pop("root", None)
    changes = {"chain": lambda value: list(files), **signed_by(*signers), **more.pop("changes", {})}
    if root:
        changes["trust"] = lambda value: trust_of(*root[1:-1], version=root[0], threshold=root[-1])
    return Case(f"chain: {name}", changes, verdict, step, **more)


def untrusted(name, files, signers, **more):
    """Refused in the step that proves the chain and the envelope."""
    return chain(name, files, signers, "untrusted", 3, **more)


def grown(count, first=2):
    """So many versions, each signed by the one key of all of them."""
    return [trust_file(first + n, "fleet", by=("fleet",)) for n in range(count)]


def good_chains():
    """Who judges in the end."""
    yield chain("one step", [TWO], ["second"], kept=True)
    yield chain("two steps", [TWO, THREE], ["edward"], kept=True)
    yield chain("a key is added, the old one signs", [BOTH], ["fleet"], kept=True)
    yield chain("a key is added, it signs", [BOTH], ["second"], kept=True)
    yield chain(
        "the root is newer: the first is passed over",
        [TWO, THREE],
        ["edward"],
        root=(2, "second", 1),
        kept=True,
    )
    yield chain(
        "the root is the newest: all are passed over",
        [TWO, THREE],
        ["edward"],
        root=(3, "edward", 1),
        kept=False,
    )
    yield chain(
        "the root is beyond the chain", [TWO, THREE], ["fleet"], root=(9, "fleet", 1), kept=False
    )
    yield chain("it begins with the root", [ROOT, TWO], ["second"], kept=True)
    yield chain("the same version twice", [TWO, TWO, THREE], ["edward"], kept=True)
    yield chain("the same version again at the end", [TWO, THREE, TWO], ["edward"], kept=True)
    yield chain(
        "another version 1, signed by nobody, is passed over",
        [trust_file(1, "stranger"), TWO],
        ["second"],
        kept=True,
    )
    yield chain(
        "another version 2, signed by nobody, is passed over",
        [TWO, trust_file(2, "stranger")],
        ["second"],
        kept=True,
    )
    yield chain(
        "a version passed over has a bad signature",
        [trust_file(1, "fleet", signatures=lambda data: [entry("fleet", data)]), TWO],
        ["second"],
    )
    yield chain(
        "a threshold is raised",
        [trust_file(2, "fleet", "second", by=("fleet", "second"), threshold=2)],
        ["fleet", "second"],
        kept=True,
    )
    yield chain(
        "a threshold is lowered",
        [trust_file(2, "fleet", by=("fleet", "second"))],
        ["fleet"],
        root=(1, "fleet", "second", 2),
    )
    yield chain(
        "strangers signed it as well",
        [trust_file(2, "second", by=("stranger", "third", "second", "fleet"))],
        ["second"],
    )
    yield chain("64 versions", grown(64), ["fleet"], kept=True)
    yield chain(
        "the last version there can be",
        [trust_file(1 << 32, "second", by=("fleet", "second"))],
        ["second"],
        root=((1 << 32) - 1, "fleet", 1),
        kept=True,
    )
    yield chain("a version of 256 KiB", [TWO + b" " * (QUARTER - len(TWO))], ["second"])


def bad_orders():
    """A chain that does not lead from the root step by step."""
    four = trust_file(4, "third", by=("edward", "third"))
    yield untrusted("a gap at the beginning", [THREE], ["edward"])
    yield untrusted("a gap in the middle", [TWO, four], ["third"])
    yield untrusted("wrong order", [THREE, TWO], ["edward"])
    yield untrusted(
        "two steps at once, signed by the root's keys",
        [trust_file(3, "edward", by=("fleet", "edward"))],
        ["edward"],
    )
    yield untrusted(
        "a later version is proven by an earlier one",
        [TWO, trust_file(3, "edward", by=("fleet", "edward"))],
        ["edward"],
    )
    yield untrusted(
        "a version is proven by a later one",
        [trust_file(2, "second", by=("edward", "second")), THREE],
        ["edward"],
    )
    yield untrusted(
        "a version beyond the last",
        [trust_file((1 << 32) + 1, "second", by=("fleet", "second"))],
        ["second"],
        root=(1 << 32, "fleet", 1),
    )
    yield untrusted("broken, and the root's own key signed the envelope", [THREE], ["fleet"])
    yield untrusted(
        "broken at its end, and the newest proven signed the envelope", [TWO, four], ["second"]
    )
    yield chain("65 versions", grown(65), ["fleet"], "damaged", 1)
    yield chain("one version 65 times", [TWO] * 65, ["second"], "damaged", 1)
    yield chain(
        "65 versions, all passed over", grown(65), ["fleet"], "damaged", 1, root=(99, "fleet", 1)
    )


def envelope_judged():
    """The newest version judges the envelope, and no older one."""
    yield untrusted("a removed key signed the envelope", [TWO], ["fleet"])
    yield untrusted("a key removed two versions ago signed it", [TWO, THREE], ["fleet"])
    yield untrusted("a key removed one version ago signed it", [TWO, THREE], ["second"])
    yield untrusted(
        "the threshold was raised, one key signed",
        [trust_file(2, "fleet", "second", by=("fleet", "second"), threshold=2)],
        ["fleet"],
    )
    yield untrusted(
        "the threshold was raised, an old and a new key signed",
        [trust_file(2, "second", "third", by=("fleet", "second", "third"), threshold=2)],
        ["fleet", "second"],
    )
    yield untrusted(
        "the key of a version that was passed over signed it",
        [TWO, trust_file(2, "stranger", by=("fleet", "stranger"))],
        ["stranger"],
    )
    yield untrusted(
        "all passed over, and the newest in it signed", [TWO], ["second"], root=(2, "fleet", 1)
    )
    yield untrusted("nobody signed the envelope", [TWO], [])


def bad_signatures():
    """Both the keys before and its own must have signed, enough of them, each once."""
    for name, by in [
        ("signed by nobody", ()),
        ("not signed by the keys before", ("second",)),
        ("not signed by its own keys", ("fleet",)),
        ("signed by a stranger", ("stranger",)),
        ("signed by a stranger and its own", ("stranger", "second")),
    ]:
        for who, signer in [("", "second"), (", and the root's own key signed", "fleet")]:
            yield untrusted(name + who, [trust_file(2, "second", by=by)], [signer])
    two = (1, "fleet", "third", 2)
    yield untrusted(
        "below the old threshold",
        [trust_file(2, "second", by=("fleet", "second"))],
        ["second"],
        root=two,
    )
    yield untrusted(
        "below its own threshold",
        [trust_file(2, "second", "third", by=("fleet", "second"), threshold=2)],
        ["second", "third"],
    )
    yield chain(
        "at both thresholds",
        [trust_file(2, "second", "edward", by=("fleet", "third", "second", "edward"), threshold=2)],
        ["second", "edward"],
        root=two,
    )
    yield untrusted(
        "one key signed twice",
        [trust_file(2, "second", by=("fleet", "fleet", "second"))],
        ["second"],
        root=two,
    )
    yield untrusted(
        "one signature under two key ids",
        [
            trust_file(
                2,
                "second",
                signatures=lambda data: [
                    entry("fleet", pae(data, TRUST_TYPE)),
                    entry("fleet", pae(data, TRUST_TYPE), keyid=sha(public("third"))),
                    entry("second", pae(data, TRUST_TYPE)),
                ],
            )
        ],
        ["second"],
        root=two,
    )
    for name, signed in [
        ("another payload", lambda data: pae(data + b" ", TRUST_TYPE)),
        ("another payload type", pae),
        ("the bare payload", lambda data: data),
    ]:
        yield untrusted(
            f"the keys before signed {name}",
            [
                trust_file(
                    2,
                    "second",
                    signatures=lambda data, signed=signed: [
                        entry("fleet", signed(data)),
                        entry("second", pae(data, TRUST_TYPE)),
                    ],
                )
            ],
            ["second"],
        )
        yield untrusted(
            f"its own keys signed {name}",
            [
                trust_file(
                    2,
                    "second",
                    signatures=lambda data, signed=signed: [
                        entry("fleet", pae(data, TRUST_TYPE)),
                        entry("second", signed(data)),
                    ],
                )
            ],
            ["second"],
        )


def bad_files():
    """Versions that are no trust files: one that would be passed over must still be one."""
    twice = [{"public": b64(public("second"))}] * 2
    for name, spoil in [
        ("one public key twice", lambda value: value.update(keys=twice)),
        ("no keys", lambda value: value.update(keys=[])),
        ("threshold 0", lambda value: value.update(threshold=0)),
        ("threshold 2 of 1", lambda value: value.update(threshold=2)),
        ("version 0", lambda value: value.update(version=0)),
        ("another format", lambda value: value.update(format="larder.trust.v2")),
        ("an unknown key", lambda value: value.update(more=1)),
        ("no threshold", lambda value: value.pop("threshold")),
    ]:

        def payload(value, spoil=spoil):
            spoil(value)
            return text(value)

        bad = trust_file(2, "second", by=("fleet", "second"), payload=payload)
        yield untrusted(f"a version with {name}", [bad], ["second"])
    for name, change in [
        ("garbage", lambda data: b"{"),
        ("empty", lambda data: b""),
        ("with a key twice", first_key_again),
        ("with a byte after it", tail(b"x")),
        ("of a statement's type", swap(TRUST_TYPE, STATEMENT_TYPE)),
        ("larger than 256 KiB", lambda data: data + b" " * (QUARTER + 1 - len(data))),
        (
            "with a signature of 7 bytes",
            lambda data: trust_file(
                2, "second", signatures=lambda data: [entry("fleet", b"", sig=b"x" * 7)]
            ),
        ),
    ]:
        yield untrusted(f"a version {name}", [change(TWO)], ["second"])
        yield untrusted(f"a version passed over {name}", [change(ROOT), TWO], ["second"])


def bad_blobs():
    """What the descriptors of a chain lead to."""
    for name, disk in [
        ("not here", gone("trust 0")),
        ("a bit flipped", on("trust 0", flip(40))),
        ("the last bit flipped", on("trust 0", flip(-1))),
        ("cut", on("trust 0", lambda data: data[:-1])),
        ("longer, by white space", on("trust 0", tail(b" "))),
        ("empty", on("trust 0", lambda data: b"")),
        ("another version's bytes", on("trust 0", lambda data: BOTH)),
        ("a link", as_link("trust 0")),
        ("a folder", as_folder("trust 0")),
        ("a pipe", as_pipe("trust 0")),
    ]:
        for who, signer in [("", "edward"), (", and the root's own key signed", "fleet")]:
            yield untrusted(
                f"the first blob: {name}{who}", [TWO, THREE], [signer], changes={"disk": disk}
            )
    yield untrusted(
        "the second blob: not here", [TWO, THREE], ["second"], changes={"disk": gone("trust 1")}
    )
    yield untrusted(
        "a blob passed over: not here", [ROOT, TWO], ["second"], changes={"disk": gone("trust 0")}
    )
    yield untrusted(
        "a blob passed over: a bit flipped",
        [ROOT, TWO],
        ["second"],
        changes={"disk": on("trust 0", flip(-1))},
    )


def hints_to_chains():
    """The layers of the cache manifest; the rest of them is tried with the other hints."""
    for name, size in [
        ("one too many", len(TWO) + 1),
        ("one too few", len(TWO) - 1),
        ("0", 0),
        ("2^53", 1 << 53),
    ]:
        yield untrusted(
            f"its descriptor's size is {name}",
            [TWO],
            ["second"],
            changes={"manifest": put("layers", 1, "size", size)},
        )
    yield untrusted(
        "its descriptor's digest is another",
        [TWO],
        ["second"],
        changes={"manifest": put("layers", 1, "digest", "sha256:" + OTHER)},
    )
    for name, change in [
        ("has no digest", drop("layers", 1, "digest")),
        ("has no size", drop("layers", 1, "size")),
        ("has a path for a digest", put("layers", 1, "digest", "sha256:../../../etc/larder")),
        ("has a size below 0", put("layers", 1, "size", -1)),
        ("has a size that is text", put("layers", 1, "size", str(len(TWO)))),
    ]:
        yield chain(
            f"its descriptor {name}", [TWO], ["second"], "damaged", 1, changes={"manifest": change}
        )

    def moved(value):
        value["layers"].append(value["layers"].pop(1))

    def before(value):
        value["layers"].insert(0, value["layers"].pop(1))

    def lists(value):
        value["layers"].insert(1, [value["layers"][1]])

    yield chain("behind the tables", [TWO], ["second"], changes={"manifest": moved})
    yield chain(
        "before the envelope", [TWO], ["second"], "untrusted", 2, changes={"manifest": before}
    )
    yield chain("a list among the layers", [TWO], ["second"], changes={"manifest": lists})
    for name, change in [
        ("no media type", drop("layers", 1, "mediaType")),
        (
            "another media type",
            put("layers", 1, "mediaType", "application/vnd.larder.trust.v2+json"),
        ),
        ("a media type that is a number", put("layers", 1, "mediaType", 5)),
    ]:
        yield untrusted(f"with {name} it is none", [TWO], ["second"], changes={"manifest": change})
        yield chain(
            f"with {name} it is none, and the root judges",
            [TWO],
            ["fleet"],
            changes={"manifest": change},
            kept=False,
        )


def stale_chains():
    """What is old is old, whoever signs."""
    yield chain("proven, and the serial is low", [TWO], ["second"], "stale", 5, least=8)
    yield untrusted("broken, and the serial is low", [THREE], ["edward"], least=8)


def chain_cases():
    """All of section 4 that a cache can show."""
    for part in (
        good_chains,
        bad_orders,
        envelope_judged,
        bad_signatures,
        bad_files,
        bad_blobs,
        hints_to_chains,
        stale_chains,
    ):
        yield from part()
