"""larder-download against servers that lie: always the right bytes, or a clear reason; never wrong bytes, never a leak."""

import os
import random
import socket
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from downloads import BLOBS, MIB, USER, Room, made_blob, memory_disk
from hostile_lies import LIES, RIGHT, WRONG
from hostile_server import NAME, HostileServer, Reply, hex_of, part

SIZE = sum(map(len, BLOBS))
SCHEMES = ("web", "oci")


def schemes_of(lie, way):
    """Who may tell this lie: registries alone ask for tokens, and the rest is the same for both."""
    if lie.name.startswith(("status 401", "token")):
        return ("oci",)
    return SCHEMES if way == "alone" else ("web",)


# --- every lie: alone, at first, and with somebody who says the truth ----------------------------------


def lies_at_first(tell, count):
    """The first answers are lies."""
    return lambda reply, seen, server: tell(reply, seen, server) if seen.number < count else None


def alone(lie, scheme, folder):
    """Nobody else has the blobs."""
    room = Room(folder)
    with HostileServer(BLOBS, lie.tell) as server:
        # who must come to an end by itself has all the time that a busy host may need
        ended = room.run([getattr(server, scheme)], budget_s=4 if "timeout" in lie.alone else 60)
        assert ended.report["reason"] in lie.alone | RIGHT, ended
        if lie.most:
            assert server.sent() <= lie.most * SIZE, (server.sent() / SIZE, ended)
    return ended


def at_first(lie, scheme, folder):
    """Two answers are lies: then a second run, if not the first, brings all."""
    room = Room(folder)
    with HostileServer(BLOBS, lies_at_first(lie.tell, 2)) as server:
        ended = room.run([getattr(server, scheme)])
        server.lie = None
        if ended.report["reason"] != "done":
            ended = room.run([getattr(server, scheme)])
        assert ended.report["reason"] == "done", ended
    return ended


def with_a_mirror(lie, scheme, folder):
    """The liar is asked first, and the mirror says the truth."""
    room = Room(folder)
    with HostileServer(BLOBS, lie.tell) as liar, HostileServer(BLOBS) as mirror:
        ended = room.run([getattr(liar, scheme), mirror.web], budget_s=60)
        assert ended.report["reason"] == "done", ended
        assert mirror.sent() <= 1.5 * SIZE
    return ended


WAYS = {"alone": alone, "at first": at_first, "with a mirror": with_a_mirror}
CELLS = [(way, lie, scheme) for lie in LIES for way in WAYS for scheme in schemes_of(lie, way)]


def name_of(cell):
    way, lie, scheme = cell
    return f"{lie.name}, {way}, {scheme}"


def told(cell):
    """What came of it, or what went wrong."""
    way, lie, scheme = cell
    with tempfile.TemporaryDirectory(prefix="larder-") as folder:
        try:
            return WAYS[way](lie, scheme, Path(folder))
        except Exception as error:
            return error


@pytest.fixture(scope="module")
def endings(request):
    """All cells that are asked for, many at once: most of them wait."""
    asked = [item for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    cells = [item.callspec.params["cell"] for item in asked if "cell" in item.callspec.params]
    with ThreadPoolExecutor(24) as pool:
        return {name_of(cell): ended for cell, ended in zip(cells, pool.map(told, cells))}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cell", CELLS, ids=name_of)
def test_lie(cell, endings):
    ended = endings[name_of(cell)]
    if isinstance(ended, Exception):
        raise ended


def test_every_lie_has_a_name_of_its_own():
    assert len({lie.name for lie in LIES}) == len(LIES) >= 120


# --- nothing that a lie is about ------------------------------------------------------------------------


def test_an_honest_server(tmp_path):
    """Nothing is asked for twice, and the blobs that are there are not asked for at all."""
    room = Room(tmp_path)
    with HostileServer(BLOBS) as server:
        assert room.run([server.web]).report["fetched"] == server.sent() == SIZE
        assert room.run([server.web]).report == {"format": "larder.download.v1", "reason": "done", "text": "",
                                                 "fetched": 0, "brought": 0, "wanted": len(BLOBS)}
        assert server.sent() == SIZE


def test_connections_are_kept(tmp_path):
    room = Room(tmp_path, [made_blob("small", 1000 + i) for i in range(300)])
    with HostileServer(room.blobs) as server:
        room.run([server.web])
        assert len({seen.connection for seen in server.requests}) <= 4
        assert len(server.requests) == len(room.blobs)


def test_large_without_chunks(tmp_path):
    """One piece then: proven when it is whole, and still no wrong byte is handed on."""
    blob = made_blob("whole", 5 * MIB)
    digest = {"digest": "sha256:" + hex_of(blob), "size": len(blob)}
    with HostileServer([blob]) as server, HostileServer() as liar:
        liar.put(spoilt(blob, (1,)), hex_of(blob))
        room = Room(tmp_path, [blob])
        assert room.run([liar.web], blobs=[digest], budget_s=60).report["reason"] in WRONG and not room.brought()
        assert room.run([liar.web, server.web], blobs=[digest]).report["reason"] == "done"
        assert server.sent() <= 2 * len(blob)


# --- cuts -----------------------------------------------------------------------------------------------


def cut_at_random(cuts, seed):
    """So many answers end too soon: in the head, before the first byte, or anywhere; with FIN or RST."""
    dice, lock, left = random.Random(seed), threading.Lock(), [cuts]

    def tell(reply, seen, server):
        with lock:
            if not left[0] or not reply.body:
                return
            left[0] -= 1
            where, reply.reset = dice.random(), dice.random() < 0.3
            if where < 0.1:
                head = reply.head()
                reply.raw, reply.body, reply.close = head[: dice.randrange(len(head))], b"", True
            else:
                reply.cut = 0 if where < 0.2 else dice.randrange(min(len(reply.body), MIB))
    tell.left = left
    return tell


@pytest.mark.parametrize("seed", range(10))
def test_500_cuts(tmp_path, seed):
    """Fifty in each run: whatever a cut leaves is kept, and no byte that came is fetched again."""
    room, cuts = Room(tmp_path, [made_blob(f"cuts {seed}", 24 * MIB + seed), *BLOBS]), cut_at_random(50, seed)
    size = sum(map(len, room.blobs))
    with HostileServer(room.blobs, cuts) as server:
        for _ in range(10):
            ended = room.run([server.web], budget_s=120)
            if ended.report["reason"] == "done":
                break
        assert ended.report["reason"] == "done" and cuts.left == [0], ended
        assert server.sent() <= 1.02 * size + 50 * 128 * 1024  # what was under way when a connection was reset


def test_cut_every_mib(tmp_path):
    """No answer ever holds more: it goes on at the byte where it ended."""
    def tell(reply, seen, server):
        reply.cut = 1_000_000

    room = Room(tmp_path, [made_blob("every", 24 * MIB)])
    with HostileServer(room.blobs, tell) as server:
        ended = room.run([server.web], budget_s=120)
        assert ended.report["reason"] == "done", ended
        assert ended.report["fetched"] <= 1.02 * 24 * MIB and server.sent() <= 1.02 * 24 * MIB


# --- mirrors --------------------------------------------------------------------------------------------


def spoilt(data, chunks, seed=0):
    """One bit of each of these chunks."""
    data, dice = bytearray(data), random.Random(seed)
    for chunk in chunks:
        at = chunk * MIB + dice.randrange(min(MIB, len(data) - chunk * MIB))
        data[at] ^= 1 << dice.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("race", (False, True), ids=("in order", "raced"))
def test_mirrors_that_disagree(tmp_path, race):
    """One lies about even chunks, the other about every third but those: each chunk is right somewhere."""
    blob = made_blob("disagree", 12 * MIB + 7)
    room = Room(tmp_path, [blob])
    wrong = [spoilt(blob, range(0, 13, 2)), spoilt(blob, range(1, 13, 2))]
    with HostileServer() as one, HostileServer() as other:
        one.put(wrong[0], hex_of(blob)), other.put(wrong[1], hex_of(blob))
        ended = room.run([one.web, other.web], race=race, budget_s=60)
        assert ended.report["reason"] == "done", ended
        assert ended.report["fetched"] <= 2.5 * len(blob)


def test_only_bad_chunks_are_fetched_again(tmp_path):
    blob = made_blob("bad chunks", 16 * MIB)
    room = Room(tmp_path, [blob])
    with HostileServer() as liar, HostileServer([blob]) as mirror:
        liar.put(spoilt(blob, (3, 4, 11)), hex_of(blob))
        assert room.run([liar.web, mirror.web], budget_s=60).report["reason"] == "done"
        assert mirror.sent() <= 3 * MIB and liar.sent() <= len(blob) + 3 * 2 * MIB


def test_all_mirrors_are_wrong(tmp_path):
    blob = made_blob("all wrong", 5 * MIB)
    room = Room(tmp_path, [blob, BLOBS[2]])
    with HostileServer() as one, HostileServer() as other:
        for server, seed in ((one, 1), (other, 2)):
            server.put(spoilt(blob, (2,), seed), hex_of(blob))
            server.put(spoilt(BLOBS[2], (0,), seed), hex_of(BLOBS[2]))
        ended = room.run([one.web, other.web])
        assert ended.report["reason"] in WRONG and not room.brought(), ended
        assert ended.report["fetched"] <= 8 * sum(map(len, room.blobs))
        one.put(blob), other.put(BLOBS[2])  # it is put right: only what was bad comes
        before = one.sent() + other.sent()
        assert room.run([one.web, other.web]).report["reason"] == "done"
        assert one.sent() + other.sent() - before <= 2 * MIB + 4 * len(BLOBS[2])


def test_another_file_under_way(tmp_path):
    """From the fifth answer on, the server has another file of the same size; the mirror still has the first."""
    blob, other = made_blob("before", 12 * MIB), made_blob("after", 12 * MIB)
    room = Room(tmp_path, [blob])

    def tell(reply, seen, server):
        return server.honest(seen) if seen.number < 4 else part(other, seen.span or (0, None), {"ETag": '"new"'})

    with HostileServer([blob], tell) as server, HostileServer([blob]) as mirror:
        ended = room.run([server.web])
        assert ended.report["reason"] in WRONG and not room.brought(), ended
        assert room.run([server.web, mirror.web], budget_s=60).report["reason"] == "done"


def nobody():
    """Where nobody listens, and no one's own end can come to lie, as it can at a port that was just given up."""
    return "http://127.0.0.1:1/larder"


def test_a_dead_mirror_and_a_good_one(tmp_path):
    with HostileServer(BLOBS) as server:
        for race in (False, True):
            room = Room(tmp_path / str(race))
            dead = [nobody(), "http://does-not-exist.invalid/larder", "https://127.0.0.1:9/larder"]
            ended = room.run([*dead, server.web], race=race, budget_s=60)
            assert ended.report["reason"] == "done", ended


def test_all_are_dead(tmp_path):
    ended = Room(tmp_path).run([nobody(), "http://does-not-exist.invalid/x", "oci://127.0.0.1:9/x:1"], budget_s=3)
    assert ended.report["reason"] == "unreachable", ended


def test_one_that_comes_up_late(tmp_path):
    """Nobody listens at first: it goes on asking, as long as its budget lasts."""
    late = HostileServer(BLOBS)
    late.listener.close()
    room = Room(tmp_path)
    process = room.start([late.web], budget_s=60)
    first = process.stdout.readline()  # it says so
    late.listener = socket.create_server(("127.0.0.1", late.port))
    with late:
        ended = room.ended(process)
    assert ended.report["reason"] == "done", (first, ended)


# --- secrets --------------------------------------------------------------------------------------------

BEARER = 'Bearer realm="{}/token",service="x",scope="repository:x:pull"'


def registry_with_token(realm):
    """Blobs for whoever has the token, which is given elsewhere."""
    def tell(reply, seen, server):
        if seen.header("authorization") == "Bearer s3cret-token":
            reply.headers["Set-Cookie"] = "id=s3cret-cookie; Path=/"
            return reply
        return Reply("401 Unauthorized", {"WWW-Authenticate": BEARER.format(realm), "Content-Length": 0})
    return tell


def gives_token(reply, seen, server):
    body = b'{"token":"s3cret-token"}'
    return Reply("200 OK", {"Content-Length": len(body), "Set-Cookie": "id=s3cret-cookie"}, body)


def test_a_token_stays_with_its_registry(tmp_path):
    """The registry sends to a storage of another origin: no header of ours goes there, no cookie anywhere."""
    with ExitStack() as stack:
        tokens = stack.enter_context(HostileServer(lie=gives_token))
        storage = stack.enter_context(HostileServer(BLOBS))
        asks = registry_with_token(tokens.url)

        def tell(reply, seen, server):
            reply = asks(reply, seen, server)
            if reply.status.startswith("401"):
                return reply
            return Reply("307 Temporary Redirect", {"Location": storage.url + seen.target, "Content-Length": 0,
                                                    "Set-Cookie": "id=s3cret-cookie; Domain=127.0.0.1"})

        registry = stack.enter_context(HostileServer(BLOBS, tell))
        ended = Room(tmp_path).run([registry.oci])
        assert ended.report["reason"] == "done", ended
        assert "Bearer s3cret-token" in registry.told("authorization")
        for server in (tokens, storage):
            assert server.requests and not server.told("authorization") and not server.told("proxy-authorization")
        for server in (tokens, storage, registry):
            assert not server.told("cookie") and not server.told("referer")
        assert NAME in tokens.requests[0].target.replace("%2F", "/")  # the scope is ours, not the challenge's


def test_a_proxy_s_login_stays_with_the_proxy(tmp_path):
    """Also where it sends elsewhere, and when it asks again and again."""
    with HostileServer(BLOBS) as proxy, HostileServer(BLOBS) as other:
        def elsewhere(reply, seen, server):
            return Reply("302 Found", {"Location": other.web + seen.target.split("/larder")[1], "Content-Length": 0})

        proxy.lie = lambda reply, seen, server: elsewhere(reply, seen, server) if "origin" in seen.target else None
        login = {"http_proxy": f"http://root:s3cret-login@{proxy.host}", "no_proxy": other.host.split(":")[0]}
        ended = Room(tmp_path / "elsewhere").run(["http://origin.invalid/larder"], env=login)
        assert ended.report["reason"] == "done" and proxy.told("proxy-authorization") and other.requests, ended
        for name in ("authorization", "proxy-authorization", "cookie"):
            assert not other.told(name) and (name == "proxy-authorization" or not proxy.told(name))
    with HostileServer(BLOBS) as proxy:
        proxy.lie = lambda reply, seen, server: Reply("407 Proxy Authentication Required", {
            "Proxy-Authenticate": 'Basic realm="x"', "Content-Length": 0})
        ended = Room(tmp_path / "again").run(["http://origin.invalid/larder"], env=login, budget_s=4)
        assert ended.report["reason"] != "done", ended


def test_a_user_s_logins_are_not_read(tmp_path):
    """Neither .netrc nor the login files of docker and podman, wherever HOME is."""
    home = tmp_path / "home"
    for name, text in {".netrc": "machine 127.0.0.1 login root password s3cret-login\n",
                       ".docker/config.json": '{"auths":{"127.0.0.1":{"auth":"czNjcmV0LWxvZ2luOng="}}}',
                       ".config/containers/auth.json": '{"auths":{"127.0.0.1":{"auth":"czNjcmV0LWxvZ2luOng="}}}',
                       ".curlrc": "user = root:s3cret-login\n"}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    with HostileServer(BLOBS) as server:
        trace = tmp_path / "trace"
        Room(tmp_path / "room").run([server.web, server.oci], env={"HOME": str(home)},
                                    prefix=("strace", "-f", "-qq", "-e", "trace=%file", "-o", str(trace)))
        assert not server.told("authorization") and str(home) not in trace.read_text()


# --- where it leads --------------------------------------------------------------------------------------


def addresses(trace):
    return [line for line in trace.read_text().splitlines() if "connect(" in line and "sin" in line]


@pytest.mark.parametrize("lie", [lie for lie in LIES if "link-local" in lie.name],
                         ids=lambda lie: lie.name)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_link_local_addresses_are_never_asked(tmp_path, lie, scheme):
    """The metadata service of a cloud answers whoever asks; nobody here asks it for a server's sake (T22)."""
    with HostileServer(BLOBS, lie.tell) as server:
        room, trace = Room(tmp_path), tmp_path / "trace"
        room.run([getattr(server, scheme)], budget_s=3,
                 prefix=("strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace)))
        asked = addresses(trace)
        assert asked and not [line for line in asked if "169.254" in line or "fe80" in line], asked


@pytest.fixture
def open_folder():
    """Where everybody may read."""
    with tempfile.TemporaryDirectory(prefix="larder-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_from_https_to_http(tmp_path, open_folder):
    with HostileServer(BLOBS) as plain:
        def tell(reply, seen, server):
            return Reply("302 Found", {"Location": plain.url + seen.target, "Content-Length": 0})

        with HostileServer(BLOBS, tell, tls_folder=open_folder) as server:
            ended = Room(tmp_path / "room").run([server.web], ca=str(server.certificate), budget_s=4)
            assert ended.report["reason"] != "done" and server.requests and not plain.requests, ended
            server.lie = None
            assert Room(tmp_path / "room").run([server.web], ca=str(server.certificate)).report["reason"] == "done"


def test_a_certificate_of_nobody(tmp_path):
    with HostileServer(BLOBS, tls_folder=tmp_path) as server:
        ended = Room(tmp_path / "room").run([server.web], budget_s=4)
        assert ended.report["reason"] == "untrusted" and not server.requests, ended


# --- kill -9, full disks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("race", (False, True), ids=("one source", "two sources"))
def test_killed_twenty_times(tmp_path, race):
    """What was fetched stays: at most one chunk of each connection comes again."""
    blob = made_blob("killed", 40 * MIB + 99)
    room, dice = Room(tmp_path, [blob, *BLOBS]), random.Random(race)
    size, connections = sum(map(len, room.blobs)), 4
    with HostileServer(room.blobs) as server, HostileServer(room.blobs) as other:
        sources = [server.web, other.web] if race else [server.web]
        for i in range(20):
            at = server.sent() + dice.randrange(3 * MIB) + 1
            process = room.start(sources, race=race, connections=connections, budget_s=60)
            server.alarms.append((at, process.kill))
            killed = room.ended(process)
            server.alarms.clear()
            if killed.code != -9:
                break
        assert i >= 8  # or next to nothing was shown
        last = room.ended(room.start(sources, race=race, connections=connections, budget_s=60))
        assert last.report["reason"] == "done" and room.is_whole()
        again = server.sent() + other.sent() - size
        assert again <= (i + 1) * connections * (MIB + 256 * 1024), again / MIB


def test_killed_beside_files_that_lie(tmp_path):
    """What is found in partial/ is believed for its bytes alone."""
    blob = made_blob("stale", 6 * MIB)
    room = Room(tmp_path, [blob])
    with HostileServer([blob]) as server:
        process = room.start([server.web])
        server.rate = 2 * MIB
        server.alarms.append((4 * MIB, process.kill))
        assert room.ended(process).code == -9
        server.rate = None
        for path in room.parts():
            data = bytearray(path.read_bytes())
            for at in range(0, len(data), MIB // 2):
                data[at] ^= 0x55
            path.write_bytes(data + b"longer than it may be" * MIB)
        assert room.run([server.web]).report["reason"] == "done"


@pytest.fixture
def small_disk(tmp_path):
    """incoming/ is 4 MiB."""
    place = tmp_path / "room/incoming"
    place.mkdir(parents=True)
    memory_disk(place, "size=4m,mode=700")
    yield place
    subprocess.run(["umount", place], check=True)


def test_full_disk(small_disk):
    """A clean end; when there is room, it goes on."""
    blob = made_blob("full", 9 * MIB)
    room = Room(small_disk.parent, [BLOBS[2], blob])
    with HostileServer(room.blobs) as server:
        ended = room.run([server.web])
        assert ended.report["reason"] == "no_space", ended
        assert server.sent() <= sum(map(len, room.blobs))  # nobody fetches what he cannot keep
        before = server.sent()
        subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
        ended = room.run([server.web])
        assert ended.report["reason"] == "done", ended
        assert server.sent() - before <= sum(map(len, room.blobs))


def test_disk_that_is_full_already(small_disk):
    room = Room(small_disk.parent, [made_blob("more", 2 * MIB), BLOBS[2]])
    room.plant(b"x" * (4 * MIB - 8192), hex_of(BLOBS[2]))
    with HostileServer(room.blobs) as server:
        ended = room.run([server.web])
        assert ended.report["reason"] in ("no_space", "done"), ended
        subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
        assert room.run([server.web]).report["reason"] == "done"


def test_disk_that_may_only_be_read(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with HostileServer(BLOBS) as server:
        ended = Room(small_disk.parent).run([server.web])
        assert ended.report["reason"] == "read_only", ended
        assert server.sent() == 0


# --- incoming/ and the want --------------------------------------------------------------------------------


def test_modes(tmp_path):
    """What others may read and write of what is left (T20)."""
    room = Room(tmp_path)
    with HostileServer(BLOBS) as server:
        process = room.start([server.web], prefix=("sh", "-c", 'umask 0; exec "$@"', "sh"))
        assert room.ended(process).report["reason"] == "done"
    found = {str(path.relative_to(tmp_path)): path.stat() for path in tmp_path.rglob("*")}
    blobs = [found.pop(f"incoming/blobs/sha256/{hex_of(data)}") for data in BLOBS]
    assert {(oct(state.st_mode), state.st_uid) for state in blobs} == {("0o100644", USER)}
    assert {name: (oct(state.st_mode), state.st_uid) for name, state in found.items()} == {
        "neednet": ("0o100600", 0), "download.json": ("0o100600", 0), "incoming": ("0o40700", USER),
        "incoming/blobs": ("0o40755", USER), "incoming/blobs/sha256": ("0o40755", USER), "incoming/partial": ("0o40755", USER)}


HOSTILE_PLACES = {
    "a link to a file": lambda path, victim: path.symlink_to(victim),
    "a hard link": lambda path, victim: path.hardlink_to(victim),
    "a folder": lambda path, victim: path.mkdir(),
    "a fifo": lambda path, victim: os.mkfifo(path),
}


@pytest.mark.parametrize("words", HOSTILE_PLACES)
@pytest.mark.parametrize("place", ("partial", "blobs/sha256"))
def test_hostile_names_in_incoming(tmp_path, place, words):
    """Another user of incoming/ cannot make it write elsewhere, nor wait."""
    room, victim = Room(tmp_path, [BLOBS[0]]), tmp_path / "victim"
    victim.write_text("untouched")
    room.plant(b"", "x", place)
    folder = room.incoming / place
    (folder / "x").unlink()
    HOSTILE_PLACES[words](folder / hex_of(BLOBS[0]), victim)
    with HostileServer(BLOBS) as server:
        process = room.start([server.web])
        code = process.wait(60)
        process.stdout.close()
    assert victim.read_text() == "untouched" and code in (0, 14)


WANTS = {
    "no JSON": "{",
    "another format": '{"format":"larder.want.v2"}',
    "nothing": "",
    "an array": "[]",
    "nested": "[" * 100000,
}
CHANGED = {
    "a source with a login": {"sources": ["http://root:s3cret-login@127.0.0.1/x"]},
    "a source with a query": {"sources": ["http://127.0.0.1/x?s3cret"]},
    "a file": {"sources": ["file:///etc"]},
    "a host that begins with -": {"sources": ["http://-x/"]},
    "a control character": {"sources": ["http://127.0.0.1/\r\nX-Injected:1"]},
    "unknown key": {"other": 1},
    "no connections": {"connections": 0},
    "a million connections": {"connections": 1000000},
    "a negative budget": {"budget_s": -1},
    "a bad date": {"created": "yesterday"},
    "a digest that is a path": {"blobs": [{"digest": "sha256:../../../../etc/passwd", "size": 1}]},
    "upper case": {"blobs": [{"digest": "sha256:" + "AB" * 32, "size": 1}]},
    "a size below zero": {"blobs": [{"digest": "sha256:" + "ab" * 32, "size": -1}]},
    "2^63": {"blobs": [{"digest": "sha256:" + "ab" * 32, "size": 1 << 63}]},
    "too few chunks": {"blobs": [{"digest": "sha256:" + "ab" * 32, "size": 3 * MIB, "chunks": ["ab" * 32] * 2}]},
    "too many chunks": {"blobs": [{"digest": "sha256:" + "ab" * 32, "size": 3 * MIB, "chunks": ["ab" * 32] * 4}]},
    "a blob twice": {"blobs": [{"digest": "sha256:" + "ab" * 32, "size": 1}] * 2},
}


@pytest.mark.parametrize("words", [*WANTS, *CHANGED])
def test_bad_wants(tmp_path, words):
    """It is root's own, and yet nothing happens but a reason."""
    room = Room(tmp_path)
    room.write_want(**{"sources": ["http://127.0.0.1:9/x"], **CHANGED.get(words, {})})
    if words in WANTS:
        room.want.write_text(WANTS[words])
    done = subprocess.run(room.words(), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode in (1, 14) and done.stderr, done
    assert "s3cret" not in done.stdout + done.stderr + (room.report.read_text() if room.report.exists() else "")
    assert not room.brought()
