"""larder-download: what it brings, of whom and by which way, what it may do while it does, and how it says that it could not."""

import datetime
import hashlib
import http.client
import http.server
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from larder import BUILD, Workshop, own_mounts, run
from registry_server import DockerRegistry, Registry, TokenServer
from roots import unpack
from server import Answer, Handler, Server
from test_old_guests import RELEASES, in_root, launcher, set_traps, sprung

MIB = 1 << 20
USER = 65521
CREATED = "2026-11-21T00:00:00Z"
PROGRAM = BUILD / "larder-download"
assert launcher  # a fixture

RANDOM = random.Random(6)
BLOBS = [RANDOM.randbytes(size) for size in (3 * MIB + 17, 5, MIB, 70_000, MIB + 1)]


def hex_of(data):
    return hashlib.sha256(data).hexdigest()


def blob_of(data):
    """As it stands in a want."""
    blob = {"digest": "sha256:" + hex_of(data), "size": len(data)}
    if len(data) > MIB:
        blob["chunks"] = [hex_of(data[at : at + MIB]) for at in range(0, len(data), MIB)]
    return blob


def want_of(sources, blobs=(), **more):
    return {"format": "larder.want.v1", "round": 1, "created": CREATED, "sources": list(sources), "connections": 4,
            "budget_s": 60, "blobs": [blob_of(data) for data in blobs], **more}


class Machine:
    """A folder as /var/lib/larder and /run/larder are."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.want, self.into, self.report = folder / "neednet", folder / "incoming", folder / "download.json"

    def words(self, want):
        self.want.write_text(want if isinstance(want, str) else json.dumps(want))
        self.want.chmod(0o600)
        self.report.unlink(missing_ok=True)
        return ["--want", self.want, "--into", self.into, "--report", self.report]

    def fetch(self, want, **options):
        """What it said: the reason, and all of the report."""
        done = run("larder-download", *self.words(want), **options)
        report = json.loads(self.report.read_text())
        assert done.returncode == (0 if report["reason"] == "done" else 14), done
        assert report["reason"] in done.stderr and report["text"] in done.stderr
        return report["reason"], report

    def brought(self):
        """Digest -> bytes."""
        return {path.name: path.read_bytes() for path in self.into.glob("blobs/sha256/*")}


@pytest.fixture
def open_folder():
    """One that everybody may look into, as larder-download's user has to for certificates."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


def served(server, blobs, base="/larder"):
    """The paths of a cache folder; gives the source."""
    for data in blobs:
        server.answers[f"{base}/blobs/sha256/{hex_of(data)}"] = Answer(data)
    return server.url(base)


def check_good(machine, report, blobs):
    reason, document = report
    assert reason == "done" and document["text"] == "", document
    assert machine.brought() == {hex_of(data): data for data in blobs}
    assert document["wanted"] == len(blobs) and not list(machine.into.glob("partial/*"))


def test_blobs_from_a_plain_server(machine):
    with Server() as server:
        report = machine.fetch(want_of([served(server, BLOBS)], BLOBS))
        check_good(machine, report, BLOBS)
        size = sum(map(len, BLOBS))
        assert report[1]["fetched"] == size == server.sent() and report[1]["brought"] == len(BLOBS)
        asked = len(server.requests)
        reason, again = machine.fetch(want_of([served(server, BLOBS)], BLOBS))
        assert (reason, again["fetched"], again["brought"], len(server.requests)) == ("done", 0, 0, asked)


def test_modes_and_owners(machine):
    """T20: its folder is nobody else's, the report is root's."""
    with Server() as server:
        machine.fetch(want_of([served(server, BLOBS)], BLOBS))
    assert oct(machine.into.stat().st_mode) == "0o40700" and oct(machine.report.stat().st_mode) == "0o100600"
    assert machine.report.stat().st_uid == 0
    for path in (machine.into, *machine.into.rglob("*")):
        assert (path.stat().st_uid, path.stat().st_gid) == (USER, USER), path
        assert not path.stat().st_mode & 0o7022, path


def test_what_is_not_there_or_something_else(machine):
    good, absent, other = BLOBS[3], BLOBS[1], BLOBS[2]
    with Server() as server:
        source = served(server, (good, other))
        server.answers[f"/larder/blobs/sha256/{hex_of(other)}"].data = bytes(len(other))
        reason, report = machine.fetch(want_of([source], (absent, good)))
        assert reason == "unreachable" and report["brought"] == 1 and report["wanted"] == 2
        assert machine.brought() == {hex_of(good): good}
        assert machine.fetch(want_of([source], (other,)))[0] == "upstream_changed"
        assert machine.brought() == {hex_of(good): good}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_next_source_has_what_the_first_lacks(machine):
    with Server() as first, Server() as second:
        sources = [f"http://127.0.0.1:{free_port()}/x", served(first, BLOBS[:2]), served(second, BLOBS)]
        check_good(machine, machine.fetch(want_of(sources, BLOBS)), BLOBS)


def test_the_top_of_a_cache(machine, tmp_path):
    """Index, manifest and envelope, as a layout; no table, no record, no blob that was not asked for."""
    shop = Workshop(tmp_path / "shop")
    shop.bake()
    with Server() as server:
        for path in shop.cache.rglob("*"):
            if path.is_file():
                server.answers[f"/larder/{path.relative_to(shop.cache)}"] = Answer(path.read_bytes())
        served(server, BLOBS[:1])
        assert machine.fetch(want_of([server.url("/larder")], BLOBS[:1], top=True))[0] == "done"
    brought, whole = machine.brought(), shop.blobs()
    assert brought.pop(hex_of(BLOBS[0])) == BLOBS[0]
    assert brought.items() <= whole.items() and shop.envelope_path().name in brought
    assert not any(b'"rows"' in data or b'"install"' in data for data in brought.values())
    for name in ("index.json", "oci-layout"):
        assert (machine.into / name).stat().st_uid == USER
    done = run("larder-verify", machine.into, "--trust", shop.trust)
    assert done.returncode == 5 and "untrusted" not in done.stdout, done


def test_a_source_without_a_top(machine):
    """What it has is brought all the same, and the reason says what is not there."""
    with Server() as server:
        reason, report = machine.fetch(want_of([served(server, BLOBS[:2])], BLOBS[:2], top=True))
    assert reason == "unreachable" and report["brought"] == 2 and "index.json" in report["text"], report
    assert set(machine.brought().values()) == set(BLOBS[:2])


def test_half_a_top_leaves_nothing(machine, tmp_path):
    """T23: who gives half of another one each time it is asked would fill the disk."""
    shop = Workshop(tmp_path / "shop")
    shop.bake()
    with Server() as server:
        for path in shop.cache.rglob("*"):
            if path.is_file() and path.name != shop.envelope_path().name:
                server.answers[f"/larder/{path.relative_to(shop.cache)}"] = Answer(path.read_bytes())
        served(server, BLOBS[:1])
        assert machine.fetch(want_of([server.url("/larder")], BLOBS[:1], top=True))[0] == "unreachable"
    assert machine.brought() == {hex_of(BLOBS[0]): BLOBS[0]} and not (machine.into / "index.json").exists()


def test_a_top_that_is_for_later_ends_with_the_budget(machine):
    """The watchdog is a quarter of what the servers would like it to wait."""
    with Server() as server, Server() as other:
        for one in (server, other):
            one.answers["/larder/index.json"] = Answer(statuses=[503] * 100, headers={"Retry-After": "30"})
        sources = [server.url("/larder"), other.url("/larder")]
        want = want_of(sources, top=True, budget_s=2)
        assert machine.fetch(want, prefix=("timeout", "-s", "KILL", "30"))[0] in ("unreachable", "timeout")


# --- certificates ----------------------------------------------------------------------------------------


def days(count):
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=count)


def certificate(folder, begins=-1, ends=1, host="localhost"):
    """A server's certificate and the CA that signed it, valid between these days."""
    key, ca_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def make(subject, public, issuer, **more):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(days(begins)).not_valid_after(days(ends))
        for extension in more.values():
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    ca = make(name("test CA"), ca_key.public_key(), name("test CA"), basic=x509.BasicConstraints(ca=True, path_length=0))
    alternatives = x509.SubjectAlternativeName([x509.DNSName(host), x509.DNSName("mirror.test")])
    leaf = make(name(host), key.public_key(), name("test CA"), names=alternatives)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "server.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                                          serialization.NoEncryption()))
    return folder / "ca.pem"


class Secure(Server):
    """A server with that certificate."""

    def __init__(self, folder, **validity):
        self.folder, self.validity = folder, validity
        super().__init__(folder)

    def use_tls(self, folder):
        self.certificate = certificate(folder, **self.validity)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)

    def url(self, path):
        return super().url(path).replace("127.0.0.1", "localhost")


def test_https_and_whose_certificates_count(machine, open_folder):
    with Secure(open_folder) as server:
        source = served(server, BLOBS)
        reason, report = machine.fetch(want_of([source], BLOBS))
        assert reason == "untrusted" and "certificate" in report["text"] and not machine.brought()
        assert not server.requests
        reason, report = machine.fetch(want_of([source], BLOBS, ca=str(open_folder / "none.pem")))
        assert reason == "untrusted" and not server.requests
        check_good(machine, machine.fetch(want_of([source], BLOBS, ca=str(server.certificate))), BLOBS)


def test_certificates_by_the_environment(machine, open_folder):
    with Secure(open_folder) as server:
        want = want_of([served(server, BLOBS)], BLOBS)
        check_good(machine, machine.fetch(want, env={"SSL_CERT_FILE": str(server.certificate)}), BLOBS)


def text_of(day):
    return day.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("begins, ends, created, reason", [
    (3650, 3660, days(3655), "done"),  # this machine's clock is ten years behind
    (3650, 3660, days(0), "untrusted"),
    (3650, 3660, days(3661), "untrusted"),
    (-10, -1, days(-5), "untrusted"),  # the later of both counts
    (-10, 10, days(-20), "done"),
])
def test_a_wrong_clock(machine, open_folder, begins, ends, created, reason):
    with Secure(open_folder, begins=begins, ends=ends) as server:
        want = want_of([served(server, BLOBS[1:2])], BLOBS[1:2], ca=str(server.certificate), created=text_of(created))
        assert machine.fetch(want)[0] == reason
        assert bool(server.requests) == (reason == "done")


# --- registries ------------------------------------------------------------------------------------------


def test_a_registry_that_wants_a_token(machine, tmp_path):
    """An anonymous one; the user's own logins are nobody's here."""
    with Registry() as registry, TokenServer() as tokens:
        registry.knobs.accept = ["Bearer t0ken"]
        registry.knobs.challenges = [tokens.challenge("repository:hpc/drivers:pull")]
        for data in BLOBS:
            registry.put_blob("hpc/drivers", data)
        login = tmp_path / "auth.json"
        login.write_text(json.dumps({"auths": {registry.host: {"auth": "dXNlcjpzZWNyZXQ="}}}))
        report = machine.fetch(want_of([registry.reference("hpc/drivers", "7")], BLOBS),
                               env={"REGISTRY_AUTH_FILE": str(login)})
        check_good(machine, report, BLOBS)
        assert tokens.requests and not [one for one in tokens.requests if "Authorization" in one.headers]


def test_debians_registry(machine, tmp_path):
    with DockerRegistry(tmp_path) as registry:
        for data in BLOBS:
            put_blob(registry, "hpc/drivers", data)
        check_good(machine, machine.fetch(want_of([registry.reference("hpc/drivers", "7")], BLOBS)), BLOBS)


def put_blob(registry, name, data):
    connection = http.client.HTTPConnection(registry.host)
    connection.request("POST", f"/v2/{name}/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    connection.request("PUT", answer.headers["Location"] + f"&digest=sha256:{hex_of(data)}", body=data,
                       headers={"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 201, answer.status
    connection.close()


# --- proxies ---------------------------------------------------------------------------------------------


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    """Whatever host is asked for is the one behind it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        owner = self.server.owner
        owner.seen.append(("GET", self.path, dict(self.headers)))
        path = "/" + self.path.split("/", 3)[3]
        behind = http.client.HTTPConnection("127.0.0.1", owner.port)
        behind.request("GET", path, headers={"Range": self.headers["Range"]} if "Range" in self.headers else {})
        answer = behind.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for key in ("Content-Length", "Content-Range", "Location"):
            if answer.headers[key]:
                self.send_header(key, answer.headers[key])
        self.end_headers()
        self.wfile.write(data)
        behind.close()

    def do_CONNECT(self):
        owner = self.server.owner
        owner.seen.append(("CONNECT", self.path, dict(self.headers)))
        behind = socket.create_connection(("127.0.0.1", owner.port))
        self.send_response(200)
        self.end_headers()
        back = threading.Thread(target=pump, args=(behind, self.connection), daemon=True)
        back.start()
        pump(self.connection, behind)
        back.join()
        behind.close()
        self.close_connection = True


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Proxy:
    """with Proxy(port) as proxy: proxy.url; all of it goes to that port."""

    def __init__(self, port):
        self.port, self.seen = port, []
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ProxyHandler)
        self.http.daemon_threads = True
        self.http.owner = self
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


@pytest.mark.parametrize("by", ["want", "environment"])
def test_through_a_proxy(machine, by):
    """The host is one that this machine cannot look up."""
    with Server() as server, Proxy(server.http.server_port) as proxy:
        served(server, BLOBS)
        more = {"proxy": proxy.url} if by == "want" else {}
        env = {"http_proxy": proxy.url} if by == "environment" else {}
        check_good(machine, machine.fetch(want_of(["http://mirror.test/larder"], BLOBS, **more), env=env), BLOBS)
        assert all(path.startswith("http://mirror.test/larder/blobs/") for _, path, _ in proxy.seen) and proxy.seen


def test_the_wants_proxy_comes_first(machine):
    with Server() as server, Proxy(server.http.server_port) as proxy, Proxy(free_port()) as other:
        served(server, BLOBS[:2])
        want = want_of(["http://mirror.test/larder"], BLOBS[:2], proxy=proxy.url)
        check_good(machine, machine.fetch(want, env={"http_proxy": other.url}), BLOBS[:2])
        assert proxy.seen and not other.seen


def test_https_through_a_proxy(machine, open_folder):
    """A tunnel: the proxy is told a name, and sees nothing."""
    with Secure(open_folder) as server, Proxy(server.http.server_port) as proxy:
        served(server, BLOBS)
        want = want_of(["https://mirror.test/larder"], BLOBS, ca=str(server.certificate))
        check_good(machine, machine.fetch(want, env={"https_proxy": proxy.url}), BLOBS)
        assert {seen[:2] for seen in proxy.seen} == {("CONNECT", "mirror.test:443")}


def test_a_proxys_password_is_not_told(machine):
    with Server() as server, Proxy(server.http.server_port) as proxy:
        served(server, BLOBS[:1])
        for port in (proxy.http.server_port, free_port()):
            want = want_of(["http://mirror.test/larder"], BLOBS[:1], proxy=f"http://user:s3cret@127.0.0.1:{port}", budget_s=2)
            done = run("larder-download", *machine.words(want))
            assert "s3cret" not in done.stdout + done.stderr + machine.report.read_text()
        assert [one for one in server.requests if "s3cret" in str(one.headers) or "Authorization" in one.headers] == []


@pytest.mark.parametrize("proxy", ["http://user:s3cret@h:99999", "foo://user:s3cret@h:1", "http://user:s3cret@[h"])
@pytest.mark.parametrize("by", ["want", "environment"])
def test_a_proxy_that_is_none_is_not_quoted(machine, by, proxy):
    """T17: libcurl would say all of it."""
    want = want_of(["http://mirror.test/larder"], BLOBS[:1], budget_s=1, **({"proxy": proxy} if by == "want" else {}))
    env = {"http_proxy": proxy, "all_proxy": proxy} if by == "environment" else {}
    done = run("larder-download", *machine.words(want | {"top": True}), env=env)
    assert "URL of the proxy" in done.stderr and "URL of the proxy" in machine.report.read_text(), done
    assert "s3cret" not in done.stdout + done.stderr + machine.report.read_text()


@pytest.mark.parametrize("host", ["169.254.77.7", "2851998983", "0xa9.0xfe.0x4d.0x7", "[fe80::1]", "[::ffff:169.254.77.7]"])
def test_a_proxys_neighbours_are_not_asked(machine, host):
    """T22: a redirect to an address that no socket of ours would be opened for."""
    blob = BLOBS[1]
    with Server() as server, Proxy(server.http.server_port) as proxy:
        server.answers[f"/larder/blobs/sha256/{hex_of(blob)}"] = Answer(redirect=f"http://{host}/x")
        reason, report = machine.fetch(want_of(["http://mirror.test/larder"], [blob], proxy=proxy.url, budget_s=20))
        assert reason == "untrusted" and "link-local" in report["text"], report
        assert {path for _, path, _ in proxy.seen} == {f"http://mirror.test/larder/blobs/sha256/{hex_of(blob)}"}


# --- what it may do --------------------------------------------------------------------------------------


class Watched(Handler):
    """Looks at who asks, while the second answer is awaited."""

    def do_GET(self):
        owner = self.server.owner
        if not owner.requests:
            return super().do_GET()
        owner.known.wait(30)
        owner.status = Path(f"/proc/{owner.pid}/status").read_text()
        owner.of = Path(f"/proc/{owner.pid}/environ").stat().st_uid
        owner.files = [os.readlink(path) for path in Path(f"/proc/{owner.pid}/fd").iterdir()]
        owner.limits = Path(f"/proc/{owner.pid}/limits").read_text()
        owner.asked.set()
        owner.go_on.wait(60)
        return super().do_GET()


def watched(server):
    server.http.RequestHandlerClass = Watched
    server.known, server.asked, server.go_on = (threading.Event() for _ in range(3))
    return server


def start(server, machine, want, **options):
    process = subprocess.Popen([PROGRAM, *machine.words(want)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               **options)
    server.pid = process.pid
    server.known.set()
    assert server.asked.wait(60)
    return process


def test_without_privileges(machine):
    with watched(Server()) as server:
        server.go_on.set()
        process = start(server, machine, want_of([served(server, BLOBS[:2])], BLOBS[:2], connections=1))
        process.communicate(timeout=60)
        assert process.returncode == 0
    fields = dict(line.split(":\t", 1) for line in server.status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == fields["Gid"].split() == [str(USER)] * 4 and fields["Groups"].strip() == ""
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == "1"
    assert server.of == 0  # another process of that user may not look into it, or trace it
    assert "Max core file size        0                    0 " in server.limits
    assert "Max open files            256                  256 " in server.limits


def test_no_file_of_roots_is_left_open(machine, tmp_path):
    secret = tmp_path / "secret"
    secret.touch(0o600)
    with watched(Server()) as server, secret.open() as left:
        server.go_on.set()
        want = want_of([served(server, BLOBS[:2])], BLOBS[:2], connections=1)
        assert start(server, machine, want, pass_fds=[left.fileno()]).wait(60) == 0
    assert str(machine.report) in server.files and str(secret) not in server.files


@pytest.mark.skipif(BUILD.name == "sanitize", reason="the sanitizers take more")
def test_very_many_blobs_take_little_memory(machine):
    """None of them comes, and each has its own reason. A want of so many is 12 MB."""
    with watched(Server()) as server:
        server.go_on.set()
        want = want_of([server.url("/x")], budget_s=5)
        want["blobs"] = [{"digest": f"sha256:{at:064x}", "size": 1000} for at in range(120_000)]
        start(server, machine, want).communicate(timeout=120)
    assert json.loads(machine.report.read_text())["wanted"] == 120_000 and not list(machine.into.glob("partial/*"))
    assert int(server.status.split("VmHWM:")[1].split()[0]) < 128 << 10  # KiB


def test_sigterm_ends_it_tidily(machine):
    """What came before lies there, and counts the next time."""
    want = want_of([], BLOBS[1:3], connections=1)
    with watched(Server()) as server:
        process = start(server, machine, want | {"sources": [served(server, BLOBS)]})
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
        server.go_on.set()
    assert process.returncode == 14, said
    report = json.loads(machine.report.read_text())
    assert (report["reason"], report["brought"]) == ("timeout", 1) and list(machine.brought().values()) == [BLOBS[1]]
    with Server() as server:
        check_good(machine, machine.fetch(want | {"sources": [served(server, BLOBS)]}), BLOBS[1:3])
        assert server.sent() == len(BLOBS[2])


def test_nobody_there_within_the_budget(machine):
    reason, report = machine.fetch(want_of([f"http://127.0.0.1:{free_port()}/x"], BLOBS[:1], budget_s=1))
    assert reason in ("unreachable", "timeout") and report["fetched"] == 0 and report["text"]


def test_a_folder_that_cannot_be_written(machine, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    machine.into = disk / "incoming"
    words = machine.words(want_of(["http://127.0.0.1:1/x"], BLOBS[:1]))
    command = 'mount -t tmpfs -o ro none "$1" && shift && exec "$@"'
    done = subprocess.run([*own_mounts(), "sh", "-c", command, "sh", disk, PROGRAM, *words], capture_output=True, text=True,
                          check=False)
    report = json.loads(machine.report.read_text())
    assert done.returncode == 14 and report["reason"] == "read_only" and "--into" in report["text"], (done, report)
    for other in (machine.want, machine.folder / "none/incoming"):
        machine.into = other
        reason, report = machine.fetch(want_of(["http://127.0.0.1:1/x"], BLOBS[:1]))
        assert reason == "internal" and f"--into {other}: " in report["text"]


def test_a_folder_of_somebody_else_is_not_followed(machine, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    machine.into.symlink_to(tmp_path / "elsewhere")
    assert machine.fetch(want_of([], ()))[0] == "internal"
    assert (tmp_path / "elsewhere").stat().st_uid == 0


@pytest.mark.parametrize("want, text", [
    ("", "neednet"), ("{}", "format: missing"), (json.dumps(want_of([]) | {"run": "sh"}), "run: unknown field"),
    (json.dumps(want_of(["/etc/passwd"])), "expected a URL"),
])
def test_a_want_that_is_none(machine, want, text):
    reason, report = machine.fetch(want)
    assert reason == "internal" and text in report["text"]
    assert not machine.into.exists()


@pytest.mark.parametrize("source", ["file:///etc", "https://user:s3cret@m.lan/x", "http://-m.lan/x", "http://m.lan/x?y=z"])
def test_sources_that_may_not_be(machine, source):
    reason, report = machine.fetch(want_of([source], BLOBS[:1]))
    assert reason == "unreachable" and "s3cret" not in report["text"] and not machine.brought()


def test_nothing_wanted_is_done(machine):
    assert machine.fetch(want_of([]))[0] == "done"


def test_usage(machine):
    assert run("larder-download", "--want", machine.want).returncode == 1
    assert run("larder-download", "--wnat", machine.want).returncode == 1
    assert "--into DIR" in run("larder-download", "--help").stdout


# --- hostile configuration -------------------------------------------------------------------------------


@pytest.mark.skipif(BUILD.name == "sanitize", reason="the sanitizers do not link statically")
@pytest.mark.parametrize("release", RELEASES)
def test_in_a_hostile_root(tmp_path, launcher, release):
    """T27: its nsswitch.conf and openssl.cnf name modules; none is opened, for a host in /etc/hosts, one that DNS would know,
    and one with TLS."""
    root = unpack(release, tmp_path / "root")
    set_traps(root)
    (root / "larder-download").write_bytes(PROGRAM.read_bytes())
    (root / "larder-download").chmod(0o755)
    (root / "etc/hosts").write_text("127.0.0.1 localhost mirror.test\n")
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    with Secure(tmp_path) as server:
        served(server, BLOBS)
        (root / "ca.pem").write_bytes(server.certificate.read_bytes())
        sources = ["http://unknown.test/x", f"https://mirror.test:{server.http.server_port}/larder"]
        (root / "want").write_text(json.dumps(want_of(sources, BLOBS, ca="/ca.pem")))
        done = in_root(launcher, root, "/larder-download", "--want", "/want", "--into", "/into", "--report", "/report")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in root.glob("into/blobs/sha256/*")} == {hex_of(data) for data in BLOBS}
    assert sprung(root) == set()
