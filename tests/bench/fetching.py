"""fetching.py - the download after a miss, beside curl, wget and aria2: servers that cut, lie, or are slow."""

import json
import random
import shutil
import sys
from collections import defaultdict

from kitchen import MIB
from line import Line, limit
from measure import PAIRS, TOP, WORK, Command, compare, middle, run

sys.path.insert(0, str(TOP / "tests/e2e"))

from downloads import Room, made_blob  # noqa: E402
from hostile_lies import LIES  # noqa: E402
from hostile_server import HostileServer, hex_of  # noqa: E402

FOLDER = WORK / "fetching"
CUT = 20 * MIB
ANY_CODE = tuple(range(256))
TELL = {lie.name: lie.tell for lie in LIES}


def fresh():
    """An empty folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)


def ours(server, blob, connections=4, before=None):
    """larder-download of one blob; before: run with the room, when that is empty."""
    room = Room(FOLDER / "room", [blob])

    def prepare():
        fresh()
        room.incoming.mkdir(parents=True)
        room.write_want([server.web], connections=connections, budget_s=600)
        if before:
            before(room)
    return room, Command(f"larder-download, {connections}", room.words(), prepare, codes=(0, 14))


def peers(server, blob, connections=4, retries=20):
    """Those who finish at all, each told to go on for as long as it takes; and curl, which is not made for that."""
    url, target = f"{server.web}/blobs/sha256/{hex_of(blob)}", FOLDER / "file"
    return {
        "wget -c": ["wget", "-q", "-c", "-t", "100", "--waitretry=0", "-O", target, url],
        f"aria2c -c -x {connections}": ["aria2c", "-q", "-c", "-x", connections, "-s", connections, "-k", "1M", "-m", "100",
                                        "--retry-wait=0", "--file-allocation=none", "-d", FOLDER, "-o", target.name, url],
        "curl -C - --retry": ["curl", "-s", "-f", "-C", "-", "--retry", retries, "--retry-delay", "1", "--retry-all-errors", "-o",
                              target, url],
    }


def outcome(code, data, blob):
    """What a peer left."""
    if data is None:
        return f"exit {code}, no file"
    if data == blob:
        return f"exit {code}, right"
    return f"exit {code}, {'WRONG CONTENT' if len(data) == len(blob) else 'wrong size'}"


def left(path):
    return path.read_bytes() if path.exists() else None


# --- D1 -----------------------------------------------------------------------------------------------


def cuts_every(size):
    """Each connection ends when its bodies held so many bytes."""
    rest = defaultdict(lambda: size)

    def tell(reply, seen, server):
        if len(reply.body) >= rest[seen.connection]:
            reply.cut = rest[seen.connection]
        rest[seen.connection] -= len(reply.body)
    return tell


def through_cuts():
    """D1"""
    blob, work = made_blob("cut", 200 * MIB), "200 MiB, cut every 20 MiB"
    with HostileServer([blob], cuts_every(CUT)) as server:
        lines = [cut_line(server, blob, work, connections) for connections in (1, 4)]
        lines.append(killed_line(server, blob, work))
        for name, words in peers(server, blob).items():
            before = server.sent()
            sample = run(Command(name, words, fresh, codes=ANY_CODE))
            found = outcome(sample.code, left(FOLDER / "file"), blob)
            lines.append(Line(work, name, theirs=sample, found=f"{found}; fetched {(server.sent() - before) / len(blob):.3f} x"))
    return lines


def cut_line(server, blob, work, connections):
    room, command = ours(server, blob, connections)
    before = server.sent()
    sample = run(command)
    assert sample.code == 0 and room.is_whole(), left(room.report)
    return limit(f"{work}, {connections} connections", sample, (server.sent() - before) / len(blob), "fetched {:.4f} x", 1.02,
                 "finishes, <= 1.02 x")


def killed_line(server, blob, work):
    """Killed ten times, each time when so much more was sent."""
    room, command = ours(server, blob)
    command.before()
    before, kills = server.sent(), 10
    for _ in range(kills):
        process = room.start([server.web], budget_s=600)
        server.alarms.append((server.sent() + 15 * MIB, process.kill))
        process.communicate()
        server.alarms.clear()
    sample = run(Command(command.name, command.words))
    again = (server.sent() - before - len(blob)) / kills / 4
    assert room.is_whole()
    return limit(f"{work}, killed {kills} times", sample, again / MIB, "finishes; {:.2f} MiB again a kill and connection", 1,
                 "<= 1 MiB of each")


# --- D2 -----------------------------------------------------------------------------------------------


def half_wrong(blob):
    """Half of it, two bytes of that wrong, in two chunks."""
    data = bytearray(blob[: len(blob) // 2])
    for chunk in (3, 11):
        data[chunk * MIB + random.Random(chunk).randrange(MIB)] ^= 1
    return bytes(data)


def half(blob):
    return blob[: len(blob) // 2]


def from_another(blob):
    """Half of the release before."""
    return made_blob("older", len(blob))[: len(blob) // 2]


CASES = {  # what is there already, what the server does, what may be sent at most
    "a wrong partial": (half_wrong, None, 0.5 + 2 / 40),
    "a partial of another release": (from_another, None, 1),
    "no Range": (half, "no range support", 1.02),
    "200 on a Range": (half, "status 200 on a range", 1.02),
    "206 from the start on": (half, "the whole file as 206", None),
}


def lies_found():
    """D2"""
    blob, lines = made_blob("resumed", 40 * MIB), []
    for words, (partial, lie, most) in CASES.items():
        with HostileServer([blob], TELL.get(lie)) as server:
            lines.append(resumed_line(server, blob, words, partial(blob), most))
            for name, command in peers(server, blob, 1, 0).items():
                sample = run(Command(name, command, lambda: fresh() or (FOLDER / "file").write_bytes(partial(blob)),
                                     codes=ANY_CODE))
                lines.append(Line(words, name, theirs=sample, found=outcome(sample.code, left(FOLDER / "file"), blob)))
    return [*lines, changed_line(blob)]


def resumed_line(server, blob, words, partial, most):
    room, command = ours(server, blob, before=lambda room: room.plant(partial, hex_of(blob)))
    sample = run(command)
    report, fetched = json.loads(room.report.read_text()), server.sent() / len(blob)
    right = room.is_whole() if report["reason"] == "done" else not room.brought() and most is None
    return Line(words, "", sample, None, f"{report['reason']}; fetched {fetched:.3f} x",
                f"right, <= {most:.2f} x" if most else "right, or said", right and (most is None or fetched <= most + 1e-9))


def changed_line(blob):
    """The file changes after 10 MiB; it keeps its size."""
    with HostileServer([blob]) as server:
        server.alarms.append((10 * MIB, lambda: server.put(made_blob("newer", len(blob)), hex_of(blob))))
        room, command = ours(server, blob)
        sample = run(command)
        report = json.loads(room.report.read_text())
        found = report["reason"] in ("upstream_changed", "damaged") and not room.brought()
        return Line("the file changes under way", "", sample, None, f"{report['reason']}, nothing handed on",
                    "found before use", found)


# --- D3 -----------------------------------------------------------------------------------------------

RATE = 4 * MIB


def at_once():
    """D3"""
    blob, work = made_blob("capped", 96 * MIB), "96 MiB, 4 MiB/s a connection"
    with HostileServer([blob]) as server:
        server.rate = RATE
        four, one = (ours(server, blob, connections)[1] for connections in (4, 1))
        found = compare(four, one, PAIRS, warm=False)
        speed, sample = 1 / found.ratio("wall"), middle(found.ours)
        lines = [Line(work, one.name, sample, middle(found.peer), f"{speed:.2f} x as fast", ">= 3.8 x", speed >= 3.8),
                 limit(work, sample, sample.rss / MIB, "RSS {:.1f} MiB", 16 + 4, "RSS <= 20 MiB")]
        theirs = [Command(name, words, fresh) for connections in (4, 1)
                  for name, words in peers(server, blob, connections).items() if name.startswith("aria2")]
        both = compare(*theirs, 1, warm=False)
        lines.append(Line(work, theirs[0].name, None, middle(both.ours), f"{1 / both.ratio('wall'):.2f} x as fast as with one"))
    return lines
