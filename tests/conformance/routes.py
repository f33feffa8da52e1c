"""routes.py - the ways a cache comes: the columns of the matrix. None of them checks what it carries."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager

from faults import FAULTS
from hostile_server import WEB, HostileServer
from larder import BUILD
from made import make, pae, entry, sha
from made_tar import BLOBS, ball_of, mark_of, with_mark
from registry_server import DockerRegistry

PLACE = "usr/lib/larder/cache"


def put_raw(registry, name, data):
    """A blob, pushed in two requests."""
    base = f"{registry.url}/v2/{name}/blobs/uploads/"
    with urllib.request.urlopen(urllib.request.Request(base, method="POST"), timeout=60) as answer:
        place = urllib.parse.urljoin(base, answer.headers["Location"])
    place += ("&" if "?" in place else "?") + "digest=sha256:" + sha(data)
    kind = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(place, data, kind, method="PUT")
    urllib.request.urlopen(request, timeout=60).close()


def put_manifest(registry, name, tag, data):
    """A manifest or an index, under its digest or a tag."""
    kind = {"Content-Type": json.loads(data)["mediaType"]}
    request = urllib.request.Request(
        f"{registry.url}/v2/{name}/manifests/{tag}", data, kind, method="PUT"
    )
    urllib.request.urlopen(request, timeout=60).close()


def fill(registry, name, made):
    """Push what the digests are of, which is all that a registry takes; then spoil its storage alike."""
    manifests = [
        made.names[one] for one in ("manifest", "bundle", "spare bundle") if one in made.names
    ]
    index = made.names["index"]
    for digest in made.good.keys() - {*manifests, index}:
        put_raw(registry, name, made.good[digest])
    for digest in manifests:
        put_manifest(registry, name, "sha256:" + digest, made.good[digest])
    put_manifest(registry, name, "latest", made.good[index])
    for digest, data in made.good.items():
        path = made.blob(digest)
        if not path.exists():
            registry.blob(digest).unlink()
        elif path.read_bytes() != data:
            registry.blob(digest).write_bytes(path.read_bytes())


def make_base(folder, trust):
    """The older cache that a delta is taken into: the spare bundle and a table of its own."""

    def rows(value):
        del value["rows"][0]

    def far(value):
        value["rows"][0][
            "rank"
        ] = 49  # or the delta would lack a table, and be incomplete by itself

    return make(
        folder,
        trust,
        {
            "spare": lambda value: "carried",
            "table": rows,
            "far": far,
            "statement": lambda value: value["predicate"].update(serial=6),
            "signatures": lambda value, payload: [
                entry(name, pae(payload)) for name in ("fleet", "second")
            ],
            "disk": lambda made: [
                made.blob(name).unlink() for name in ("big", "conf", "module", "record")
            ]
            and None,
            "index": lambda value: value["manifests"].pop(1) and None,
        },
    )


class Route:
    """A cache on its way into a machine."""

    spare = "carried"

    def __init__(self, root, fault):
        self.root = root
        self.trust = root / "etc/larder/trust.json"
        self.made = make(
            self.first_place(), self.trust, {"spare": lambda value: self.spare, **fault.changes}
        )

    def first_place(self):
        """Where the folder is made."""
        return self.root.parent / "cache"

    @contextmanager
    def travel(self):
        """Yields what a verifier is given."""
        yield self.made.folder

    def arrive(self, source, fault):
        """Brings the cache into the machine; None, or the reason why what carries it refused to."""


class Directory(Route):
    """A folder, put where the agent looks."""

    def first_place(self):
        return self.root / PLACE


class Slice(Directory):
    """A folder without the bundle that the machine does not need."""

    spare = "left out"


class InTar(Route):
    """One tar, where the agent looks."""

    @contextmanager
    def travel(self):
        place = self.root / (PLACE + ".tar")
        place.parent.mkdir(parents=True, exist_ok=True)
        ball_of(self.made).write(place)
        yield place


# What larder copy says when it refuses, by the reason that the agent would give; the first that fits.
REFUSALS = (
    ("untrusted", r"signed by|not signed|signature|keyid|trust chain|statement: |envelope: line"),
    ("serial", r"serial \d+ is below"),
    ("damaged", r"the digest that was signed|its signed size|is cut short|is too long"),
    ("damaged", r"other bytes than|the registry announces|leads nowhere|envelope: blob"),
    ("damaged", r"the digest that is its name|status 404 \(MANIFEST_UNKNOWN\)"),
    ("not_carried", r"is not carried"),
)


def reason_of(text):
    """The reason in a refusal."""
    found = [reason for reason, words in REFUSALS if re.search(words, text)]
    return found[0] if found else text


class Copied(Route):
    """What larder copy takes into the machine's folder, or refuses to take."""

    proven = False

    def options(self, fault):
        """Proven by the trust root first, or by digests alone."""
        return ("--trust", self.trust, "--serial-at-least", fault.least) if self.proven else ()

    def words(self, source):
        """What is copied, and what comes on standard input."""
        return source, None

    def arrive(self, source, fault):
        place = self.root / PLACE
        top = place / "index.json"
        before = top.read_bytes() if top.exists() else None
        word, data = self.words(source)
        command = [BUILD / "larder", "copy", word, place, *self.options(fault)]
        done = subprocess.run(list(map(str, command)), input=data, capture_output=True)
        if done.returncode == 0:
            return None
        after = top.read_bytes() if top.exists() else None
        assert done.returncode == 1 and after == before, done  # it offers what it did before
        return reason_of(done.stderr.decode())


class InDelta(Copied):
    """The part of it that its base lacks, as a tar, taken into a folder that holds the base."""

    @contextmanager
    def travel(self):
        base = make_base(self.root / PLACE, self.root.parent / "base.json")
        had = {path.name for path in (base.folder / "blobs/sha256").iterdir()}
        ball = ball_of(self.made)
        ball.pieces = [piece for piece in ball.pieces if piece.name.removeprefix(BLOBS) not in had]
        with_mark(ball, mark_of("sha256:" + base.names["envelope"], 6))
        place = self.root.parent / "delta.tar"
        ball.write(place)
        yield place


class InRegistry(Copied):
    """A registry of its own: one file of its storage is shared by all names in it."""

    @contextmanager
    def travel(self):
        with DockerRegistry(self.root.parent) as registry:
            fill(registry, "test/cache", self.made)
            shutil.rmtree(self.made.folder)
            yield registry.reference("test/cache")


class InStream(Copied):
    """One tar, read once from its front."""

    @contextmanager
    def travel(self):
        place = self.root.parent / "cache.tar"
        ball_of(self.made).write(place)
        yield place

    def words(self, source):
        return "-", source.read_bytes()


class InParts(InStream):
    """One tar, cut in parts; those who verify are given the whole."""

    size = 65536

    def words(self, source):
        data, sums = source.read_bytes(), []
        for at in range(0, len(data), self.size):
            part = source.with_name(f"{source.name}.{at // self.size:03}")
            part.write_bytes(data[at : at + self.size])
            sums.append(f"{sha(part.read_bytes())}  {part.name}\n")
        listed = source.with_name(source.name + ".sha256")
        listed.write_text("".join(sums))
        return listed, None


class Downloaded(Route):
    """A machine without a cache, whose agent takes all of it over the network: the top, the tables, records and blobs."""

    def arrive(self, source, fault):
        (self.root / "etc/larder/firstboot.conf").write_text("net_budget_s=3\n")
        with self.place(source) as url:
            command = [BUILD / "larder-firstboot", "update", "--from", url, "--sysroot", self.root, "--json"]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode in (0, 14), done
        reason = json.loads(done.stdout)["reason"]
        return None if reason == "done" else reason

    @contextmanager
    def place(self, source):
        """Where it is fetched from."""
        yield source


class FromWeb(Downloaded):
    """A folder on a web server."""

    @contextmanager
    def place(self, source):
        with HostileServer() as server:
            for path in source.rglob("*"):
                if path.is_file():
                    server.files[f"{WEB}/{path.relative_to(source)}"] = path.read_bytes()
            yield server.web


class FromRegistry(Downloaded, InRegistry):
    """A registry, asked without a login."""


class ProvenDelta(InDelta):
    """The delta, proven by the trust root before it is taken."""

    proven = True


class ProvenRegistry(InRegistry):
    """The registry, likewise."""

    proven = True


ROUTES = {
    "directory": Directory,
    "slice": Slice,
    "tar": InTar,
    "delta": InDelta,
    "registry": InRegistry,
    "stream": InStream,
    "parts": InParts,
    "web, by the agent": FromWeb,
    "registry, by the agent": FromRegistry,
    "delta, proven": ProvenDelta,
    "registry, proven": ProvenRegistry,
}
COPIED = [name for name, route in ROUTES.items() if issubclass(route, Copied) and not issubclass(route, Downloaded)]

# Cells that cannot exist, and why.
CANNOT_BE = {
    (
        name,
        "cache manifest altered",
    ): "docker-registry hands out no manifest whose digest does not fit: it answers 500"
    for name, route in ROUTES.items()
    if issubclass(route, InRegistry)
}


def otherwise():
    """Cells in which what carries the cache gives another reason than the agent would: every byte is hashed
    on its way, those of the envelope and of the trust chain too, and without --trust nobody asks who signed.
    """
    for route in COPIED:
        proven, delta = ROUTES[route].proven, issubclass(ROUTES[route], InDelta)
        yield (route, "envelope longer, by white space"), "damaged"
        yield (route, "envelope's described size wrong"), "damaged"
        if not (delta and proven):  # there the signature is judged first
            yield (route, "envelope altered"), "damaged"
        if not delta:  # whose envelope is parsed first
            yield (route, "envelope cut"), "damaged"
            yield (route, "envelope empty"), "damaged"
        if not proven:
            yield (route, "trust chain altered"), "damaged"
            yield (route, "trust chain not there"), "not_carried"


# What larder-download finds wrong never gets as far as the agent's own reasons for it.
FETCHED = {
    "envelope altered": "upstream_changed",
    "envelope cut": "upstream_changed",
    "envelope empty": "upstream_changed",
    "envelope longer, by white space": "upstream_changed",
    "envelope's described size wrong": "upstream_changed",
    "envelope not there": "unreachable",
    "trust chain altered": "upstream_changed",
    "trust chain not there": "unreachable",
}


def otherwise_fetched():
    """Cells of the network routes: other bytes than were signed are what changed upstream, whoever carries them, and what is not
    there cannot be reached. What does not decode has the signed bytes."""
    for route in (name for name, kind in ROUTES.items() if issubclass(kind, Downloaded)):
        for fault in FAULTS:
            if fault.name in FETCHED:
                yield (route, fault.name), FETCHED[fault.name]
            elif fault.verdict == "damaged" and fault.step != 9:
                yield (route, fault.name), "upstream_changed"
            elif fault.agent == "not_carried":
                yield (route, fault.name), "unreachable"


OTHERWISE = {**dict(otherwise()), **dict(otherwise_fetched())}
# A registry is asked for a digest and a size, and what it sends has them or is damaged: for the envelope
# too, which elsewhere is judged by its signatures alone.
JUDGED = {
    (route, name): ("damaged", 1)
    for route in ("registry", "registry, proven", "registry, by the agent")
    for name in (
        "envelope altered",
        "envelope cut",
        "envelope empty",
        "envelope longer, by white space",
        "envelope's described size wrong",
    )
}
