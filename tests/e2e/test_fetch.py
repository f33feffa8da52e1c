"""larder fetch against servers, disks and archives that misbehave."""

import hashlib
import json
import os
import pathlib
import random
import signal
import stat
import subprocess
import time

import pytest

from larder import own_mounts
from server import Answer, Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
LARDER = ROOT / os.environ.get("LARDER_BUILD", "build") / "larder"
KILOBYTES_300 = random.Random(1).randbytes(300_000)
OTHER_300 = random.Random(2).randbytes(300_000)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def pin(data, **changes):
    return {"sha256": sha256(data), "size": len(data)} | changes


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Bench:
    """A folder with one manifest and one store."""

    def __init__(self, folder):
        self.folder = folder
        self.store = folder / "store"
        self.env = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000"}

    def manifest(self, pins, urls=(), packages=(), name="tiny"):
        urls = list(pins) + list(urls)
        takes = [{"file": f"f{i}", "into": f"f{i}"} for i in range(len(urls))]
        takes += [{"packages": list(packages), "into": "P"}] if packages else []
        document = {
            "format": "larder.manifest.v1",
            "name": name,
            "licence": {
                "id": "GPL-2.0-only",
                "url": "https://www.kernel.org/licence.html",
                "redistribute": "yes",
                "accept": False,
            },
            "template": {
                "version": "1",
                "rank": 50,
                "os": ["debian:12"],
                "arch": ["x86_64"],
                "kernels": ["*"],
                "devices": ["pci:v00008086d000010D3sv*"],
                "install": [{"do": "load", "modules": ["e1000e"]}],
                "expect": {"driver": "e1000e", "carrier": True},
            },
            "files": {f"f{i}": {"url": url} for i, url in enumerate(urls)},
            "pins": pins,
            "bundles": [{"id": "a", "take": takes}],
        }
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(document, indent=2) + "\n")
        return path

    def lock(self, name="tiny"):
        return json.loads((self.folder / f"{name}.lock.json").read_text())

    def command(self, *arguments, store=None):
        return [LARDER, "fetch", "--store", store or self.store, "--progress", "none", *arguments]

    def run(self, *arguments, store=None, code=0, prefix=()):
        command = [*prefix, *self.command(*arguments, store=store)]
        result = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=120, cwd=self.folder
        )
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr and "Sanitizer" not in result.stderr
        return result

    def blob(self, data):
        return self.store / "blobs" / "sha256" / sha256(data)

    def has(self, data):
        return self.blob(data).exists() and self.blob(data).read_bytes() == data

    def check_store(self):
        """Nothing stands under a digest that it does not have."""
        for path in (self.store / "blobs" / "sha256").iterdir():
            assert sha256(path.read_bytes()) == path.name

    def partial(self, url):
        return self.store / "partial" / sha256(url.encode())


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    if bench.store.exists():
        bench.check_store()


@pytest.fixture
def server():
    with Server() as server:
        yield server


def test_many_files_in_parallel(bench, server):
    server.delay = 0.2
    files = {f"/{i}": random.Random(i).randbytes(1000 * i) for i in range(1, 9)}
    for path, data in files.items():
        server.answers[path] = Answer(data)
    manifest = bench.manifest({server.url(path): pin(data) for path, data in files.items()})
    result = bench.run(manifest, "--json")
    report = json.loads(result.stdout)
    assert [row["state"] for row in report["files"]] == ["fetched"] * 8
    assert all(bench.has(data) for data in files.values())
    assert server.most_active == 2  # per host
    assert result.stderr.count("larder: fetched http://127.0.0.1") == 8


def test_lock_is_written_and_second_run_opens_no_connection(bench, server):
    url = server.url("/a")
    server.answers["/a"] = Answer(KILOBYTES_300)
    manifest = bench.manifest({url: {"sha256": sha256(KILOBYTES_300)}})
    bench.run(manifest)
    assert bench.lock() == {
        "format": "larder.lock.v1",
        "files": {url: pin(KILOBYTES_300) | {"first_trusted": "2023-11-14"}},
        "packages": {},
    }
    before = (bench.folder / "tiny.lock.json").stat().st_ino
    assert "nothing to fetch" in bench.run(manifest).stdout
    assert len(server.requests) == 1
    assert (bench.folder / "tiny.lock.json").stat().st_ino == before


def test_modes(bench, server):
    server.answers["/a"] = Answer(b"a" * 1000)
    server.answers["/b"] = Answer(KILOBYTES_300, etag='"1"', cut=100_000, statuses=[])
    pins = {server.url("/a"): pin(b"a" * 1000), server.url("/b"): pin(KILOBYTES_300)}
    server.answers["/b"].later = [Answer(statuses=[404])]
    bench.run(bench.manifest(pins), code=1)
    assert bench.partial(server.url("/b")).stat().st_size == 100_000
    for path in [bench.store, *bench.store.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_wrong_digest(bench, server):
    server.answers["/a"] = Answer(OTHER_300, etag='"1"')
    url = server.url("/a")
    error = bench.run(bench.manifest({url: pin(KILOBYTES_300)}), code=1).stderr
    assert (
        f"larder: fetch: {url}: wrong content: expected sha256 {sha256(KILOBYTES_300)}, "
        f"got {sha256(OTHER_300)} (300000 bytes); nothing was kept" in error
    )
    assert not bench.store.exists()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer, text",
    [
        (Answer(KILOBYTES_300 + b"x"), "wrong size: expected 300000 bytes, the server announces 300001"),
        (Answer(KILOBYTES_300[:-1]), "wrong size: expected 300000 bytes, the server announces 299999"),
        (Answer(KILOBYTES_300 * 9, length=-1), "wrong size: more than the expected 300000 bytes"),
        (Answer(KILOBYTES_300[:-1], length=-1), "wrong size: ended after 299999 of 300000 bytes"),
    ],
)
def test_wrong_size(bench, server, answer, text):
    server.answers["/a"] = answer
    error = bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}), code=1).stderr
    assert f"larder: fetch: {server.url('/a')}: {text}" in error
    assert not bench.store.exists()


def test_size_zero_in_pin_is_learnt(bench, server):
    server.answers["/a"] = Answer(b"")
    bench.run(bench.manifest({server.url("/a"): {"sha256": sha256(b"")}}))
    assert bench.lock()["files"][server.url("/a")]["size"] == 0


def test_cut_every_100_kilobytes_resumes(bench, server):
    server.answers["/a"] = Answer(KILOBYTES_300 * 4, etag='"1"', cut=100_000)
    bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300 * 4)}))
    assert bench.has(KILOBYTES_300 * 4)
    assert server.sent() == len(KILOBYTES_300) * 4
    assert server.requests[1].headers["If-Range"] == '"1"'


def test_cut_without_ranges_fails_in_the_end(bench, server):
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"', cut=200_000, ranges=False)
    error = bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}), code=1).stderr
    assert f"{server.url('/a')}: transfer closed with 100000 bytes remaining to read" in error


def test_range_ignored_starts_over(bench, server):
    server.answers["/a"] = Answer(
        KILOBYTES_300, etag='"1"', cut=200_000, later=[Answer(KILOBYTES_300, etag='"1"', ranges=False)]
    )
    bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}))
    assert bench.has(KILOBYTES_300)
    assert "Range" in server.requests[1].headers


@pytest.mark.parametrize("validator", [{}, {"etag": 'W/"1"'}, {"modified": "Fri, 01 Jan 2100 00:00:00 GMT"}])
def test_no_strong_validator_no_resume(bench, server, validator):
    server.answers["/a"] = Answer(
        KILOBYTES_300, cut=200_000, **validator, later=[Answer(KILOBYTES_300, **validator)]
    )
    bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}))
    assert bench.has(KILOBYTES_300)
    assert "Range" not in server.requests[1].headers


def test_old_last_modified_resumes(bench, server):
    modified = "Fri, 01 Jan 2021 00:00:00 GMT"
    server.answers["/a"] = Answer(KILOBYTES_300, modified=modified, cut=200_000)
    bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}))
    assert server.requests[1].headers["If-Range"] == modified
    assert server.sent() == 300_000


@pytest.mark.parametrize("obey", [True, False])
def test_file_changes_between_tries(bench, server, obey):
    """First other bytes, then the right ones: never a mix of both."""
    server.answers["/a"] = Answer(
        OTHER_300, etag='"1"', cut=200_000, later=[Answer(KILOBYTES_300, etag='"2"', obey_if_range=obey)]
    )
    bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}))
    assert bench.has(KILOBYTES_300)


def test_file_changes_under_the_same_validator(bench, server):
    """The mix has the right size; its digest throws it away, and the file is fetched once more."""
    server.answers["/a"] = Answer(OTHER_300, etag='"1"', cut=200_000, later=[Answer(KILOBYTES_300, etag='"1"')])
    bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}))
    assert bench.has(KILOBYTES_300)
    assert [request.status for request in server.requests] == [200, 206, 200]


@pytest.mark.parametrize(
    "content_range", ["bytes 199999-299999/300000", "bytes 200000-299999/300001", "bytes 200000-299999/*", "nonsense"]
)
def test_lying_content_range(bench, server, content_range):
    server.answers["/a"] = Answer(
        KILOBYTES_300, etag='"1"', cut=200_000, later=[Answer(KILOBYTES_300, etag='"1"', content_range=content_range)]
    )
    bench.run(bench.manifest({server.url("/a"): pin(KILOBYTES_300)}))
    assert bench.has(KILOBYTES_300)
    assert server.requests[2].headers.get("Range") is None


def leave_partial(bench, server, data, etag='"1"'):
    """A first run that breaks off after 200 kB."""
    broken = Answer(data, etag=etag, cut=200_000, later=[Answer(statuses=[404])])
    server.answers["/a"] = broken
    manifest = bench.manifest({server.url("/a"): pin(KILOBYTES_300)})
    error = bench.run(manifest, code=1).stderr
    assert f"{server.url('/a')}: the server answers with status 404" in error
    assert bench.partial(server.url("/a")).stat().st_size == 200_000
    server.requests.clear()
    return manifest


def test_next_run_resumes(bench, server):
    manifest = leave_partial(bench, server, KILOBYTES_300)
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"')
    bench.run(manifest)
    assert bench.has(KILOBYTES_300)
    assert server.sent() == 100_000
    assert not list((bench.store / "partial").iterdir())


def test_next_run_finds_damage_in_the_partial(bench, server):
    manifest = leave_partial(bench, server, KILOBYTES_300)
    with bench.partial(server.url("/a")).open("r+b") as file:
        file.write(b"damage")
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"')
    bench.run(manifest)
    assert bench.has(KILOBYTES_300)


def test_whole_partial_needs_no_connection(bench, server):
    manifest = leave_partial(bench, server, KILOBYTES_300)
    bench.partial(server.url("/a")).write_bytes(KILOBYTES_300)
    bench.run(manifest)
    assert bench.has(KILOBYTES_300) and not server.requests


@pytest.mark.parametrize("size", [300_000, 300_001, 900_000])
def test_wrong_whole_partial_is_thrown_away(bench, server, size):
    manifest = leave_partial(bench, server, KILOBYTES_300)
    bench.partial(server.url("/a")).write_bytes(b"x" * size)
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"')
    bench.run(manifest)
    assert bench.has(KILOBYTES_300)


@pytest.mark.parametrize("note", ["", "{", '{"url":"http://other/","validator":"x","sha256":"y"}'])
def test_strange_note_is_ignored(bench, server, note):
    manifest = leave_partial(bench, server, OTHER_300)
    bench.partial(server.url("/a")).with_name(bench.partial(server.url("/a")).name + ".json").write_text(note)
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"')
    bench.run(manifest)
    assert bench.has(KILOBYTES_300)
    assert "Range" not in server.requests[0].headers


def test_killed_run_resumes(bench, server):
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"', stall=60)
    manifest = bench.manifest({server.url("/a"): pin(KILOBYTES_300)})
    process = subprocess.Popen(bench.command(manifest), env=bench.env)
    partial = bench.partial(server.url("/a"))
    wait_for(lambda: partial.exists() and partial.stat().st_size == 150_000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"')
    server.requests.clear()
    bench.run(manifest)
    assert bench.has(KILOBYTES_300)
    assert server.sent() == 150_000


def test_stalled_server(bench, server):
    server.answers["/a"] = Answer(b"content", etag='"1"', stall=60)
    manifest = bench.manifest({server.url("/a"): pin(b"content")})
    error = bench.run(manifest, "--timeout", "1", code=1).stderr
    assert f"{server.url('/a')}: Operation too slow" in error


@pytest.mark.parametrize(
    "statuses, requests, text",
    [
        ([503, 503], 3, None),
        ([429], 2, None),
        ([503] * 3, 3, "the server answers with status 503"),
        ([404], 1, "the server answers with status 404"),
        ([403], 1, "the server answers with status 403"),
        ([206], 1, "the server sends a part that nobody asked for"),
    ],
)
def test_statuses(bench, server, statuses, requests, text):
    server.answers["/a"] = Answer(b"content", statuses=statuses)
    manifest = bench.manifest({server.url("/a"): pin(b"content")})
    error = bench.run(manifest, code=1 if text else 0).stderr
    assert len(server.requests) == requests
    if text:
        assert f"larder: fetch: {server.url('/a')}: {text}" in error


def test_one_failure_does_not_lose_the_others(bench, server):
    server.answers["/good"] = Answer(b"good")
    server.answers["/last"] = Answer(b"last")
    pins = {server.url(path): pin(path[1:].encode()) for path in ["/bad", "/good", "/worse", "/last"]}
    error = bench.run(bench.manifest(pins), code=1).stderr
    assert bench.has(b"good") and bench.has(b"last")
    assert set(bench.lock()["files"]) == {server.url("/good"), server.url("/last")}
    for path in ["/bad", "/worse"]:
        assert f"{server.url(path)}: the server answers with status 404" in error
    assert "2 of 4 files could not be fetched" in error


def test_unreachable(bench):
    url = "http://127.0.0.1:9/a"
    error = bench.run(bench.manifest({url: pin(b"a")}), code=1).stderr
    assert f"larder: fetch: {url}: Failed to connect to 127.0.0.1 port 9" in error


def test_redirects(bench, server):
    server.answers["/a"] = Answer(redirect="/b?token=secret")
    server.answers["/b?token=secret"] = Answer(b"content")
    bench.run(bench.manifest({server.url("/a"): pin(b"content")}))
    assert bench.has(b"content")


@pytest.mark.parametrize(
    "target, text",
    [
        ("file:///etc/passwd", "redirect to file: refused"),
        ("ftp://127.0.0.1/a", "redirect to ftp: refused"),
        ("http://user:secret@127.0.0.1/a", "redirect with a user name: refused"),
        ("http://-oProxyCommand/a", "redirect to a bad"),
        ("/a", "more than 5 redirects"),
        ("/gone?token=secret", "the server answers with status 404"),
    ],
)
def test_refused_redirects(bench, server, target, text):
    server.answers["/a"] = Answer(redirect=target)
    error = bench.run(bench.manifest({server.url("/a"): pin(b"root")}), code=1).stderr
    assert f"larder: fetch: {server.url('/a')}: {text}" in error
    assert "secret" not in error


def test_https(bench, server, tmp_path):
    with Server(tmp_path) as secure:
        secure.answers["/a"] = Answer(b"content")
        secure.answers["/down"] = Answer(redirect=server.url("/a"))
        server.answers["/a"] = Answer(b"content")
        manifest = bench.manifest({secure.url("/a"): pin(b"content")})
        error = bench.run(manifest, code=1).stderr
        assert f"{secure.url('/a')}: TLS: SSL certificate problem: self-signed certificate" in error
        bench.env["SSL_CERT_FILE"] = str(secure.certificate)
        bench.run(manifest)
        assert bench.has(b"content")
        bench.blob(b"content").unlink()
        error = bench.run(bench.manifest({secure.url("/down"): pin(b"content")}), code=1).stderr
        assert f"{secure.url('/down')}: redirect from https to http: refused" in error
        assert not server.requests


def test_file_url(bench, tmp_path):
    (tmp_path / "driver.bin").write_bytes(b"local")
    bench.run(bench.manifest({f"file://{tmp_path}/driver.bin": pin(b"local")}))
    assert bench.has(b"local")
    url = f"file://{tmp_path}/none.bin"
    error = bench.run(bench.manifest({url: pin(b"none")}), code=1).stderr
    assert f"{url}: no such file, or not readable" in error


def test_pin_flow(bench, tmp_path):
    url = f"file://{tmp_path}/driver.bin"
    (tmp_path / "driver.bin").write_bytes(b"first")
    manifest = bench.manifest({}, urls=[url])
    before = json.loads(manifest.read_text())
    error = bench.run(manifest, code=1).stderr
    assert f"tiny.json: no pin for {url}; run fetch --pin to trust what arrives now" in error
    result = bench.run(manifest, "--pin", "--json")
    assert json.loads(result.stdout)["files"][0]["state"] == "pinned"
    assert f"trust begins here: {url} sha256 {sha256(b'first')} size 5" in result.stderr
    after = json.loads(manifest.read_text())
    assert list(after) == list(before) and after == before | {"pins": {url: pin(b"first")}}
    assert "nothing to fetch" in bench.run(manifest).stdout
    bench.blob(b"first").unlink()
    (tmp_path / "driver.bin").write_bytes(b"later")
    assert "wrong content" in bench.run(manifest, code=1).stderr


def test_pin_keeps_to_the_lock(bench, tmp_path):
    """A pin that was lost does not make other content trusted."""
    url = f"file://{tmp_path}/driver.bin"
    (tmp_path / "driver.bin").write_bytes(b"first")
    bench.run(bench.manifest({}, urls=[url]), "--pin")
    bench.blob(b"first").unlink()
    (tmp_path / "driver.bin").write_bytes(b"later")
    assert "wrong content" in bench.run(bench.manifest({}, urls=[url]), "--pin", code=1).stderr


def test_lock_against_pin(bench, server):
    url = server.url("/a")
    server.answers["/a"] = Answer(b"a")
    bench.run(bench.manifest({url: pin(b"a")}))
    error = bench.run(bench.manifest({url: pin(b"b")}), code=1).stderr
    assert f"{url}: the manifest pins sha256 {sha256(b'b')}" in error
    assert f"the lock names sha256 {sha256(b'a')}" in error
    assert len(server.requests) == 1


def test_two_manifests_contradict(bench, server):
    url = server.url("/a")
    one, two = bench.manifest({url: pin(b"a")}), bench.manifest({url: pin(b"b")}, name="two")
    error = bench.run(one, two, code=1).stderr
    assert f"another manifest names sha256 {sha256(b'a')}" in error and not server.requests


def test_two_manifests_share(bench, server):
    url = server.url("/a")
    server.answers["/a"] = Answer(b"a")
    bench.run(bench.manifest({url: pin(b"a")}), bench.manifest({url: pin(b"a")}, name="two"))
    assert len(server.requests) == 1
    assert url in bench.lock("tiny")["files"] and url in bench.lock("two")["files"]


def test_frozen(bench, server):
    server.answers["/a"] = Answer(b"a")
    manifest = bench.manifest({server.url("/a"): pin(b"a")})
    error = bench.run(manifest, "--frozen", code=1).stderr
    assert f"the lock does not name {server.url('/a')}" in error and not server.requests
    bench.run(manifest)
    bench.blob(b"a").unlink()
    bench.run(manifest, "--frozen")
    assert bench.has(b"a")
    error = bench.run(bench.manifest({}, packages=["hostname"]), "--frozen", code=1).stderr
    assert "tiny.json: the lock does not name package hostname" in error


def test_offline(bench, server):
    manifest = bench.manifest({server.url("/a"): pin(b"a"), server.url("/b"): pin(b"b")})
    error = bench.run(manifest, "--offline", code=1).stderr
    assert f"offline: the store lacks {server.url('/a')}" in error
    assert f"offline: the store lacks {server.url('/b')}" in error
    server.answers |= {"/a": Answer(b"a"), "/b": Answer(b"b")}
    bench.run(manifest)
    server.requests.clear()
    bench.run(manifest, "--offline")
    assert not server.requests


def test_damaged_blob_is_fetched_again(bench, server):
    server.answers["/a"] = Answer(KILOBYTES_300)
    manifest = bench.manifest({server.url("/a"): pin(KILOBYTES_300)})
    bench.run(manifest)
    bench.blob(KILOBYTES_300).write_bytes(b"short")
    assert "the store's copy was damaged" in bench.run(manifest).stderr
    assert bench.has(KILOBYTES_300)


def test_mirror(bench, server):
    server.answers["/m/a"] = Answer(b"a")
    url = "https://drivers.invalid/a"
    site = bench.folder / "site.json"
    mirrors = [{"prefix": "https://drivers.invalid/", "use": server.url("/m/")}]
    site.write_text(json.dumps({"format": "larder.site.v1", "mirrors": mirrors}))
    bench.run(bench.manifest({url: pin(b"a")}), "--site", site)
    assert list(bench.lock()["files"]) == [url]
    bench.run(bench.manifest({}, urls=[url + "2"], name="b"), "--site", site, "--pin", code=1)
    error = bench.run(bench.manifest({url + "3": pin(b"c")}, name="c"), "--site", site, code=1).stderr
    assert f"{url}3: from {server.url('/m/a3')}: the server answers with status 404" in error


def test_mirror_over_http_needs_a_pin(bench, server):
    url = "https://drivers.invalid/a"
    site = bench.folder / "site.json"
    mirrors = [{"prefix": "https://drivers.invalid/", "use": server.url("/m/")}]
    site.write_text(json.dumps({"format": "larder.site.v1", "mirrors": mirrors}))
    error = bench.run(bench.manifest({}, urls=[url]), "--site", site, "--pin", code=1).stderr
    assert "http without a pin: anyone on the way may change what arrives" in error


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["--update", "--frozen"], "--update goes with neither --frozen nor --offline"),
        (["--pin", "--offline"], "--pin goes with neither --frozen nor --offline"),
        (["--progress", "loud"], "--progress: expected auto, plain, json or none, got 'loud'"),
    ],
)
def test_usage(bench, arguments, text):
    assert text in bench.run(bench.manifest({}, packages=["hostname"]), *arguments, code=2).stderr


def test_store_in_use(bench, server):
    server.answers["/a"] = Answer(b"a", stall=60, length=2)
    manifest = bench.manifest({server.url("/a"): {"sha256": sha256(b"a")}})
    process = subprocess.Popen(bench.command(manifest), env=bench.env)
    wait_for(lambda: server.requests)
    assert "lock: in use by another process" in bench.run(manifest, code=1).stderr
    process.kill()
    process.wait()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@needs_root
def test_full_disk(bench, server, small_disk):
    server.answers["/a"] = Answer(KILOBYTES_300, etag='"1"')
    manifest = bench.manifest({server.url("/a"): pin(KILOBYTES_300)})
    error = bench.run(manifest, store=small_disk / "store", code=1).stderr
    assert f"{server.url('/a')}: write into the store: No space left on device" in error
    assert not list((small_disk / "store" / "blobs" / "sha256").iterdir())
    subprocess.run(["mount", "-o", "remount,size=900k", small_disk], check=True)
    server.requests.clear()
    bench.run(manifest, store=small_disk / "store")
    assert server.sent() < 300_000  # what had been written was not lost
    blob = small_disk / "store" / "blobs" / "sha256" / sha256(KILOBYTES_300)
    assert blob.read_bytes() == KILOBYTES_300


@needs_root
def test_unwritable_store(bench, server, small_disk):
    server.answers["/a"] = Answer(b"a")
    manifest = bench.manifest({server.url("/a"): pin(b"a")})
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    error = bench.run(manifest, store=small_disk / "store", code=1).stderr
    assert "open folder store: No such file or directory" in error or "Read-only file system" in error
    assert not server.requests


def test_store_that_is_a_file(bench):
    (bench.folder / "plain").write_text("")
    manifest = bench.manifest({}, packages=["hostname"])
    error = bench.run(manifest, store=bench.folder / "plain", code=1).stderr
    assert "open folder plain: Not a directory" in error


def has_index():
    asked = ["apt-get", "-qq", "download", "--print-uris", "hostname"]
    return subprocess.run(asked, capture_output=True).stdout.startswith(b"'")


needs_apt = pytest.mark.skipif(not has_index(), reason="needs apt and its index")


@needs_apt
def test_package(bench):
    manifest = bench.manifest({}, packages=["hostname"])
    result = bench.run(manifest, "--json")
    (package,) = json.loads(result.stdout)["packages"]
    assert package["state"] == "fetched" and package["origin"].startswith("Debian ")
    assert package["file"] == f"hostname_{package['version']}_{package['arch']}.deb"
    locked = bench.lock()["packages"]["hostname"]
    assert locked["sha256"] == package["sha256"]
    assert (bench.store / "blobs" / "sha256" / package["sha256"]).stat().st_size == package["size"]
    assert not list((bench.store / "partial").iterdir())
    bench.env["PATH"] = "/nowhere"
    strange = bench.folder / "apt.conf"
    strange.write_text('Dir::State::lists "/nowhere";')
    bench.env["APT_CONFIG"] = str(strange)  # apt would fail now: it is not asked
    assert "nothing to fetch" in bench.run(manifest).stdout


def end_processes_in(folder):
    """Ends what works in a folder: apt, whose starter was killed."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            pass


@needs_root
@needs_apt
def test_killed_package_download_is_cleaned_up(bench, server):
    """apt works as its own user in a folder of its own, and the next run removes what was left."""
    server.delay = 60
    config = bench.folder / "apt.conf"
    config.write_text(f'Acquire::http::Proxy "{server.url("/")}"; Acquire::https::Proxy "{server.url("/")}";')
    bench.env["APT_CONFIG"] = str(config)
    manifest = bench.manifest({}, packages=["hostname"])
    process = subprocess.Popen(bench.command(manifest), env=bench.env)
    link = bench.store / "partial" / "apt"
    wait_for(lambda: server.requests and link.exists() and link.owner() == "_apt")
    folder = pathlib.Path(os.readlink(link))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    process.kill()
    process.wait()
    end_processes_in(folder)
    assert folder.exists()
    del bench.env["APT_CONFIG"]
    bench.run(manifest)
    assert not folder.exists() and not list((bench.store / "partial").iterdir())


@needs_apt
def test_package_of_the_lock_comes_again(bench):
    manifest = bench.manifest({}, packages=["hostname"])
    bench.run(manifest)
    blob = bench.store / "blobs" / "sha256" / bench.lock()["packages"]["hostname"]["sha256"]
    blob.unlink()
    assert "offline: the store lacks package hostname" in bench.run(manifest, "--offline", code=1).stderr
    bench.run(manifest, "--frozen")
    assert blob.exists()


def rewrite_lock(bench, **changes):
    lock = bench.lock()
    lock["packages"]["hostname"] |= changes
    (bench.folder / "tiny.lock.json").write_text(json.dumps(lock))


@needs_apt
def test_package_with_other_content_than_the_lock(bench):
    manifest = bench.manifest({}, packages=["hostname"])
    bench.run(manifest)
    right = bench.lock()["packages"]["hostname"]["sha256"]
    rewrite_lock(bench, sha256="0" * 64)
    error = bench.run(manifest, code=1).stderr
    assert f"package hostname: wrong content: expected sha256 {'0' * 64}, got {right}" in error


@needs_apt
def test_package_version_that_is_gone(bench):
    manifest = bench.manifest({}, packages=["hostname"])
    bench.run(manifest)
    now = bench.lock()["packages"]["hostname"]["version"]
    rewrite_lock(bench, sha256="0" * 64, version="0.1-old")
    error = bench.run(manifest, code=1).stderr
    assert "package hostname: the archive no longer has version 0.1-old" in error
    assert "'larder fetch --update'" in error
    bench.run(manifest, "--update")
    assert bench.lock()["packages"]["hostname"]["version"] == now


@needs_apt
def test_package_that_does_not_exist(bench):
    error = bench.run(bench.manifest({}, packages=["hostnam"]), code=1).stderr
    assert 'package hostnam: not in apt\'s index; did you mean "hostname"?' in error
    # apt takes it for a pattern and would bring other packages
    error = bench.run(bench.manifest({}, packages=["h.stname"]), code=1).stderr
    assert "package h.stname: not in apt's index" in error
    assert not (bench.folder / "tiny.lock.json").exists()


HIDE_APT = """
import os, subprocess, sys
subprocess.run(["mount", "--bind", sys.argv[1], "/usr/bin"], check=True)
os.execv(sys.argv[2], sys.argv[2:])
"""


@needs_root
def test_no_apt_here(bench):
    empty = bench.folder / "empty"
    empty.mkdir()
    prefix = [*own_mounts(), "/usr/bin/python3", "-c", HIDE_APT, empty]
    error = bench.run(bench.manifest({}, packages=["hostname"]), code=1, prefix=prefix).stderr
    assert "packages need apt, as Debian and Ubuntu have it: apt-get: no such program" in error
