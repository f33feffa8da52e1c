"""A web server and registry for tests that lies as it is told. It counts what it sends, and keeps what it was told.

A lie is a function of a Reply, of what was Seen, and of the server: it changes the honest reply before that goes out."""

import dataclasses
import hashlib
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

WEB, NAME = "/larder", "hpc/drivers"  # where blobs lie: WEB/blobs/sha256/HEX, /v2/NAME/blobs/sha256:HEX
HEAD_MAX_BYTES = 1 << 20
PIECE = 64 << 10
ENDLESS = 1 << 30  # a client that takes so much does not stop


def hex_of(data):
    return hashlib.sha256(data).hexdigest()


@dataclasses.dataclass
class Seen:
    """One request, as it came."""

    method: str
    target: str
    headers: list  # of (lower-case name, value)
    number: int  # of this server's requests, from 0
    connection: int  # the client's port
    span: tuple = None  # the bytes asked for: first, last or None
    sent: int = 0  # of the body

    def header(self, name):
        return next((value for key, value in self.headers if key == name), None)


@dataclasses.dataclass
class Reply:
    """What goes out. body: bytes, or pieces of them without an end that anyone promised."""

    status: str
    headers: dict
    body: object = b""
    version: str = "HTTP/1.1"
    raw: bytes = None  # instead of the status line and all headers
    cut: int = None  # bytes of the body, then the connection ends
    reset: bool = False  # and not as TCP does it among friends
    close: bool = False  # the connection ends after the body

    def head(self):
        if self.raw is not None:
            return self.raw
        lines = [f"{self.version} {self.status}", *(f"{key}: {value}" for key, value in self.headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def pieces(self):
        """The body as it is sent."""
        if not isinstance(self.body, bytes):
            yield from self.body
            return
        view = memoryview(self.body)[: self.cut]
        for at in range(0, len(view), PIECE):
            yield view[at : at + PIECE]


class Pace:
    """One connection's: what was not used in time is not saved up, but for what a busy machine is late."""

    def __init__(self):
        self.due = 0

    def after(self, seconds):
        """How long to wait after what may take so long."""
        now = time.monotonic()
        self.due = max(self.due, now - 0.25) + seconds
        return max(self.due - now, 0)


class Gone(Exception):
    """The client left."""


class HostileServer:
    """with HostileServer(blobs) as server: server.lie = ...; server.web, server.oci are sources."""

    def __init__(self, blobs=(), lie=None, tls_folder=None):
        self.files = {}
        self.lie = lie
        self.rate = None  # bytes per second of each connection
        self.requests, self.lock = [], threading.Lock()
        self.faults = []  # of this server itself
        self.over = threading.Event()  # the test is at its end: nobody waits any longer
        self.alarms = []  # (bytes of all bodies, function): called once when so much was sent
        self.total = 0
        for data in blobs:
            self.put(data)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.context = tls_context(tls_folder) if tls_folder else None
        self.certificate = tls_folder / "hostile.pem" if tls_folder else None
        self.port = self.listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http{'s' if tls_folder else ''}://{self.host}"
        self.web, self.oci = self.url + WEB, f"oci://{self.host}/{NAME}:7"

    def put(self, data, name=None):
        """A blob, or under another blob's name a wrong one."""
        name = name or hex_of(data)
        self.files[f"{WEB}/blobs/sha256/{name}"] = self.files[f"/v2/{NAME}/blobs/sha256:{name}"] = data

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.listener.close()
        assert not self.faults, self.faults

    def sent(self):
        """Bytes of all bodies."""
        with self.lock:
            return self.total

    def told(self, name):
        """All values of a request header that ever came."""
        return [value for seen in self.requests for key, value in seen.headers if key == name]

    # --- connections

    def accept(self):
        while not self.over.is_set():
            try:
                connection, address = self.listener.accept()
            except OSError as fault:
                if not self.over.is_set():
                    self.faults.append(fault)
                return
            threading.Thread(target=self.serve, args=(connection, address[1]), daemon=True).start()

    def serve(self, connection, port):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as reader:
                pace = Pace()
                while self.answer(connection, reader, port, pace):
                    pass
        except (OSError, Gone):
            pass
        except Exception as fault:
            self.faults.append(fault)

    def read(self, reader, port):
        """One request."""
        lines = []
        while sum(map(len, lines)) < HEAD_MAX_BYTES:
            line = reader.readline(HEAD_MAX_BYTES)
            if not line:
                raise Gone
            if line == b"\r\n":
                break
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        method, target, _ = lines[0].split(" ")
        headers = [(key.lower(), value.strip()) for key, _, value in (line.partition(":") for line in lines[1:])]
        with self.lock:
            seen = Seen(method, target, headers, len(self.requests), port)
            self.requests.append(seen)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.header("range") or "")
        seen.span = (int(asked[1]), int(asked[2]) if asked[2] else None) if asked else None
        return seen

    def answer(self, connection, reader, port, pace):
        """True: the connection stays."""
        seen = self.read(reader, port)
        reply = self.honest(seen)
        if self.lie:
            reply = self.lie(reply, seen, self) or reply
        connection.sendall(reply.head())
        for piece in reply.pieces() if seen.method != "HEAD" else ():
            self.send(connection, seen, piece)
            if self.rate:
                self.over.wait(pace.after(len(piece) / self.rate))
        if reply.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return not (reply.reset or reply.close or reply.cut is not None or self.over.is_set())

    def send(self, connection, seen, piece):
        if self.over.is_set():
            raise Gone
        connection.sendall(piece)
        seen.sent += len(piece)
        with self.lock:
            self.total += len(piece)
            due = [call for at, call in self.alarms if at <= self.total]
            self.alarms = [(at, call) for at, call in self.alarms if at > self.total]
        for call in due:
            call()

    # --- the truth

    def honest(self, seen):
        """As every web server does it."""
        path = re.sub(r"^http://[^/]*", "", seen.target)  # a proxy is told the whole URL
        data = self.files.get(path)
        if data is None or seen.method not in ("GET", "HEAD"):
            return Reply("404 Not Found", {"Content-Length": 0})
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "ETag": f'"{hex_of(data)[:16]}"'}
        condition = seen.header("if-range")
        if seen.span is None or (condition and condition != headers["ETag"]):
            return Reply("200 OK", {**headers, "Content-Length": len(data)}, data)
        return part(data, seen.span, headers)


def part(data, span, headers):
    """206, or 416."""
    first, last = span
    last = min(len(data) - 1, len(data) - 1 if last is None else last)
    if first > last:
        return Reply("416 Range Not Satisfiable", {"Content-Range": f"bytes */{len(data)}", "Content-Length": 0})
    body = data[first : last + 1]
    span = f"bytes {first}-{last}/{len(data)}"
    return Reply("206 Partial Content", {**headers, "Content-Range": span, "Content-Length": len(body)}, body)


def tls_context(folder):
    """A certificate of its own for 127.0.0.1."""
    certificate, key = folder / "hostile.pem", folder / "hostile.key"
    if not certificate.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
            + ["-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
