"""Registries for tests: one that misbehaves as it is told, a token server, and Debian's docker-registry."""

import base64
import ctypes
import dataclasses
import hashlib
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

from server import self_signed

PATH = re.compile(r"^/v2/(?P<name>.+)/(?P<kind>manifests|blobs|blobs/uploads)/(?P<what>[^/]*)$")
TLS_HOST = "registry.localhost"  # curl takes it for this machine; larder asks it with TLS, unlike "localhost"
ENDLESS = 256 << 20  # a client that takes so much does not stop, and the disk is not full yet
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclasses.dataclass
class Seen:
    """One request, as the server saw it."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes = b""
    status: int = 0
    sent: int = 0
    port: int = 0  # of the client: one for each connection


@dataclasses.dataclass
class Knobs:
    """What the registry does wrong, or asks for. Everything off: it behaves."""

    statuses: list = dataclasses.field(default_factory=list)  # of the next answers, in turn
    retry_after: int | None = None  # with those
    blobs: dict = dataclasses.field(default_factory=dict)  # digest -> other bytes to give
    manifests: dict = dataclasses.field(default_factory=dict)  # tag or digest -> other bytes
    cuts: list = dataclasses.field(default_factory=list)  # bytes of the next blob bodies, then the end
    length: int | None = None  # announce this many bytes of a blob; -1: announce nothing
    endless: bool = False  # blob bodies without an end
    ranges: bool = True  # obey Range
    content_range: str | None = None  # instead of the true one
    start: int | None = None  # of the part that is given, whatever was asked for
    redirect: str | None = None  # blobs are there: "{digest}" is put in
    told_digest: str | None = None  # Docker-Content-Digest of every answer; "": none
    challenges: list = dataclasses.field(default_factory=list)  # WWW-Authenticate of a 401
    accept: list | None = None  # Authorization values that are good; None: no login is needed
    upload_origin: str = ""  # before the path in the Location of an upload
    upload_query: str = ""  # in that Location
    chunk_min: int | None = None
    cut_uploads: list = dataclasses.field(default_factory=list)  # take so many bytes of the next PATCHes
    lose_sessions: bool = False  # after such a cut, the session is gone
    mounts: bool = True
    long_header: int = 0  # bytes of a header in every answer
    stall: float = 0  # seconds before each answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def respond(self):
        owner = self.server.owner
        path, _, query = self.path.partition("?")
        self.seen = Seen(self.command, path, dict(urllib.parse.parse_qsl(query)), dict(self.headers))
        self.seen.port = self.client_address[1]
        with owner.lock:
            owner.requests.append(self.seen)
        time.sleep(owner.knobs.stall)
        owner.answer(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = respond

    def read_body(self, limit=None):
        """The body, or its first bytes, and then the connection ends."""
        size = int(self.headers.get("Content-Length", 0))
        self.seen.body = self.rfile.read(size if limit is None else min(limit, size))
        return self.seen.body

    def reply(self, status, headers=None, body=b"", length=None):
        knobs = self.server.owner.knobs
        headers = dict(headers or {})
        if knobs.told_digest is not None and "Docker-Content-Digest" in headers:
            headers["Docker-Content-Digest"] = knobs.told_digest
        if knobs.long_header:
            for i in range(knobs.long_header // 1000):
                headers[f"X-Long-{i}"] = "x" * 1000
        self.seen.status = status
        self.send_response(status)
        for key, value in headers.items():
            if value:
                self.send_header(key, str(value))
        if length is None or length >= 0:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.seen.sent += len(body)

    def error(self, status, code, headers=None):
        body = json.dumps({"errors": [{"code": code, "message": "no"}]}, separators=(",", ":")).encode()
        self.reply(status, {"Content-Type": "application/json", **(headers or {})}, body)

    def drop(self):
        """Ends the connection without another word."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class Base:
    """An HTTP server on this machine: with Registry() as registry: ..."""

    def __init__(self, address="127.0.0.1", tls_folder=None):
        self.lock = threading.Lock()
        self.requests = []
        self.knobs = Knobs()
        self.http = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.http.daemon_threads = True
        self.http.owner = self
        self.host = f"{TLS_HOST if tls_folder else address}:{self.http.server_port}"
        self.url = f"http{'s' if tls_folder else ''}://{self.host}"
        if tls_folder:
            self.use_tls(tls_folder)

    def use_tls(self, folder):
        """self.certificate is for SSL_CERT_FILE."""
        self.certificate, key = self_signed(folder, "registry", f"DNS:{TLS_HOST}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def seen(self, method=None, part=""):
        return [one for one in self.requests if method in (None, one.method) and part in one.path]


class Registry(Base):
    """registry.put_blob("hpc", b"..."); registry.put_manifest("hpc", "7", b"..."); registry.knobs.X = ..."""

    def __init__(self, address="127.0.0.1", tls_folder=None):
        super().__init__(address, tls_folder)
        self.blobs = {}  # (name, digest) -> bytes
        self.manifests = {}  # (name, tag or digest) -> bytes
        self.sessions = {}  # id -> bytearray

    def put_blob(self, name, data):
        self.blobs[name, digest_of(data)] = data
        return digest_of(data)

    def put_manifest(self, name, tag, data):
        self.manifests[name, tag] = self.manifests[name, digest_of(data)] = data
        return digest_of(data)

    def reference(self, name, tag="latest"):
        return f"oci://{self.host}/{name}:{tag}"

    def answer(self, call):
        knobs = self.knobs
        if knobs.statuses:
            status = knobs.statuses.pop(0)
            if status:
                call.read_body()
                headers = {"Retry-After": str(knobs.retry_after)} if knobs.retry_after is not None else {}
                return call.error(status, "TOOMANYREQUESTS" if status == 429 else "UNKNOWN", headers)
        if knobs.accept is not None and call.headers.get("Authorization") not in knobs.accept:
            call.read_body()
            return self.challenge(call)
        match = PATH.match(call.seen.path)
        if not match:
            call.read_body()
            return call.error(404, "NAME_UNKNOWN")
        name, kind, what = match["name"], match["kind"], match["what"]
        return getattr(self, kind.replace("/", "_") + "_" + call.command.lower())(call, name, what)

    def challenge(self, call):
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}'
        call.seen.status = 401
        call.send_response(401)
        for text in self.knobs.challenges:
            call.send_header("WWW-Authenticate", text)
        call.send_header("Content-Length", str(len(body)))
        call.end_headers()
        if call.command != "HEAD":
            call.wfile.write(body)

    # --- manifests

    def manifests_get(self, call, name, what):
        data = self.knobs.manifests.get(what, self.manifests.get((name, what)))
        if data is None:
            return call.error(404, "MANIFEST_UNKNOWN")
        return call.reply(200, {"Content-Type": INDEX, "Docker-Content-Digest": digest_of(data)}, data)

    manifests_head = manifests_get

    def manifests_put(self, call, name, what):
        data = call.read_body()
        self.put_manifest(name, what, data)
        headers = {"Location": f"/v2/{name}/manifests/{what}", "Docker-Content-Digest": digest_of(data)}
        return call.reply(201, headers)

    # --- blobs

    def blobs_head(self, call, name, what):
        data = self.blobs.get((name, what))
        if data is None:
            return call.error(404, "BLOB_UNKNOWN")
        if self.knobs.redirect:
            return call.reply(307, {"Location": self.knobs.redirect.replace("{digest}", what)})
        return call.reply(200, {"Docker-Content-Digest": what}, data)

    def blobs_get(self, call, name, what):
        knobs = self.knobs
        data = knobs.blobs.get(what, self.blobs.get((name, what)))
        if data is None:
            return call.error(404, "BLOB_UNKNOWN")
        if knobs.redirect:
            return call.reply(307, {"Location": knobs.redirect.replace("{digest}", what)})
        return self.send_blob(call, what, data)

    def send_blob(self, call, what, data):
        knobs, asked = self.knobs, call.headers.get("Range")
        headers = {"Docker-Content-Digest": what}
        status, whole = 200, len(data)
        if asked and knobs.ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if knobs.start is None else knobs.start
            if start >= whole:
                return call.reply(416)
            status, data = 206, data[start : int(last) + 1 if last else whole]
            headers["Content-Range"] = knobs.content_range or f"bytes {start}-{start + len(data) - 1}/{whole}"
        length = len(data) if knobs.length is None else knobs.length
        if knobs.endless:
            return self.send_endless(call, headers)
        if knobs.cuts:
            data = data[: knobs.cuts.pop(0)]
        call.reply(status, headers, data, length)
        if len(data) < length:
            call.drop()
        return None

    def send_endless(self, call, headers):
        call.reply(200, headers, b"", -1)
        while call.seen.sent < ENDLESS:
            call.wfile.write(b"x" * 65536)
            call.seen.sent += 65536

    # --- uploads

    def blobs_uploads_post(self, call, name, _what):
        call.read_body()
        mount, source = call.seen.query.get("mount"), call.seen.query.get("from")
        if mount and self.knobs.mounts and (source, mount) in self.blobs:
            self.blobs[name, mount] = self.blobs[source, mount]
            return call.reply(201, {"Location": f"/v2/{name}/blobs/{mount}", "Docker-Content-Digest": mount})
        session = str(uuid.uuid4())
        self.sessions[session] = bytearray()
        headers = self.session_headers(name, session)
        if self.knobs.chunk_min:
            headers["OCI-Chunk-Min-Length"] = str(self.knobs.chunk_min)
        return call.reply(202, headers)

    def session_headers(self, name, session):
        query = f"?{self.knobs.upload_query}" if self.knobs.upload_query else ""
        have = len(self.sessions.get(session, b""))
        location = f"{self.knobs.upload_origin}/v2/{name}/blobs/uploads/{session}{query}"
        return {"Location": location, "Range": f"0-{max(have - 1, 0)}"}

    def blobs_uploads_get(self, call, name, session):
        if session not in self.sessions:
            return call.error(404, "BLOB_UPLOAD_UNKNOWN")
        return call.reply(204, self.session_headers(name, session))

    def blobs_uploads_patch(self, call, name, session):
        if session not in self.sessions:
            call.read_body()
            return call.error(404, "BLOB_UPLOAD_UNKNOWN")
        have = self.sessions[session]
        if int(call.headers["Content-Range"].split("-")[0]) != len(have):
            call.read_body()
            return call.error(416, "RANGE_INVALID", self.session_headers(name, session))
        if self.knobs.cut_uploads:
            have += call.read_body(self.knobs.cut_uploads.pop(0))
            if self.knobs.lose_sessions:
                del self.sessions[session]
            return call.drop()
        have += call.read_body()
        return call.reply(202, self.session_headers(name, session))

    def blobs_uploads_put(self, call, name, session):
        data = call.read_body()
        if session not in self.sessions:
            return call.error(404, "BLOB_UPLOAD_UNKNOWN")
        data = bytes(self.sessions.pop(session)) + data
        digest = call.seen.query.get("digest")
        if digest != digest_of(data):
            return call.error(400, "DIGEST_INVALID")
        self.blobs[name, digest] = data
        return call.reply(201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})


class TokenServer(Base):
    """Gives one token to whoever has the right login. replies: instead, (status, bytes) in turn."""

    def __init__(self, token="t0ken", login=None, key="token", address="127.0.0.1", tls_folder=None):
        super().__init__(address, tls_folder)
        self.token, self.login, self.key = token, login, key
        self.replies = []

    def realm(self):
        return f"{self.url}/token"

    def challenge(self, scope="repository:x:pull"):
        return f'Bearer realm="{self.realm()}",service="registry.test",scope="{scope}"'

    def answer(self, call):
        call.seen.query = urllib.parse.parse_qs(call.path.partition("?")[2])
        if self.replies:
            status, body = self.replies.pop(0)
            return call.reply(status, {}, body)
        wanted = self.login and "Basic " + base64.b64encode(self.login.encode()).decode()
        if wanted and call.headers.get("Authorization") != wanted:
            return call.error(401, "UNAUTHORIZED")
        body = json.dumps({self.key: self.token, "expires_in": 300, "issued_at": "2026-01-01T00:00:00Z"})
        return call.reply(200, {"Content-Type": "application/json"}, body.encode())


def write_login(path, host, login, **other):
    """A file as podman and docker keep them."""
    auth = base64.b64encode(login.encode()).decode() if login else None
    entry = {"auth": auth} if auth else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": {host: entry}, **other}))
    return path


def bcrypt(password):
    """The only hash that docker-registry takes, from the C library's own crypt."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(password.encode(), b"$2b$04$" + b"larderlarderlarderlard").decode()


class DockerRegistry:
    """Debian's docker-registry: with DockerRegistry(tmp_path) as registry: ... registry.host, registry.storage"""

    def __init__(self, folder, login=None, address="127.0.0.1", tls=None):
        """A folder that served before is served again. tls: (certificate, key)."""
        self.folder = Path(folder) / "docker-registry"
        self.storage = self.folder / "storage"
        self.login, self.address, self.tls = login, address, tls
        self.storage.mkdir(parents=True, exist_ok=True)

    def configure(self):
        lines = ["version: 0.1", "log:", "  level: warn", "storage:", "  filesystem:"]
        lines += [f"    rootdirectory: {self.storage}", "  delete:", "    enabled: true"]
        lines += ["http:", f"  addr: {self.host}", "  secret: only-for-tests"]
        if self.tls:
            lines += ["  tls:", f"    certificate: {self.tls[0]}", f"    key: {self.tls[1]}"]
        if self.login:
            user, _, password = self.login.partition(":")
            (self.folder / "htpasswd").write_text(f"{user}:{bcrypt(password)}\n")
            lines += ["auth:", "  htpasswd:", "    realm: test", f"    path: {self.folder / 'htpasswd'}"]
        config = self.folder / "config.yml"
        config.write_text("\n".join(lines) + "\n")
        return config

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind((self.address, 0))
            self.host = f"{self.address}:{probe.getsockname()[1]}"
        self.url = f"http://{self.host}"
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", self.configure()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]},
            )
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait(self):
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url + "/v2/", timeout=5).close()
                return
            except urllib.error.HTTPError:
                return  # it wants a login
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError("docker-registry does not start: " + (self.folder / "log").read_text())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def blob(self, digest):
        """The file that holds a blob or a manifest."""
        value = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / value[:2] / value / "data"

    def reference(self, name, tag="latest"):
        return f"oci://{self.host}/{name}:{tag}"
