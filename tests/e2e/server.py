"""A small HTTP server that misbehaves as it is told, one Answer per path."""

import dataclasses
import http.server
import ssl
import subprocess
import threading
import time


def self_signed(folder, stem, name):
    """(certificate, key) of a server; name as OpenSSL spells it: DNS:HOST or IP:ADDRESS."""
    certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=" + name.split(":")[1]]
        + ["-addext", f"subjectAltName={name}", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key


@dataclasses.dataclass
class Answer:
    data: bytes = b""
    etag: str | None = None
    modified: str | None = None  # Last-Modified
    ranges: bool = True  # obey Range
    obey_if_range: bool = True  # a Range with another validator gets the whole file
    cut: int | None = None  # bytes of the body per answer, then the connection ends
    length: int | None = None  # announce this many bytes; -1: announce nothing
    content_range: str | None = None  # instead of the true one
    statuses: list = dataclasses.field(default_factory=list)  # of the first answers
    redirect: str | None = None
    stall: float = 0  # seconds of silence after half of the body
    later: list = dataclasses.field(default_factory=list)  # Answers that replace this one, in turn
    headers: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Request:
    path: str
    headers: dict
    status: int = 0
    sent: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server.owner
        request = Request(self.path, dict(self.headers))
        with server.lock:
            server.requests.append(request)
            server.active += 1
            server.most_active = max(server.most_active, server.active)
            answer = server.answers.get(self.path)
            if answer and answer.later:
                server.answers[self.path] = answer.later[0]
                server.answers[self.path].later = answer.later[1:]
            status = answer.statuses.pop(0) if answer and answer.statuses else None
        try:
            if server.delay:
                time.sleep(server.delay)
            self.reply(request, answer, status)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with server.lock:
                server.active -= 1

    def plain(self, request, status, headers=None):
        request.status = status
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reply(self, request, answer, status):
        if answer is None:
            return self.plain(request, 404)
        if status:
            return self.plain(request, status, answer.headers)
        if answer.redirect:
            return self.plain(request, 302, {"Location": answer.redirect})
        start, end = self.range_of(answer)
        if start is not None and start >= len(answer.data):
            return self.plain(request, 416)
        return self.body(request, answer, start, end)

    def range_of(self, answer):
        """The first byte, or None: the whole file; and the one behind the last."""
        asked, size = self.headers.get("Range"), len(answer.data)
        if not asked or not answer.ranges:
            return None, size
        condition = self.headers.get("If-Range")
        if answer.obey_if_range and condition and condition not in (answer.etag, answer.modified):
            return None, size
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1, size) if last else size

    def body(self, request, answer, start, end):
        data = answer.data[start or 0 : end]
        length = len(data) if answer.length is None else answer.length
        request.status = 200 if start is None else 206
        self.send_response(request.status)
        if length >= 0:
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        if start is not None:
            whole = f"bytes {start}-{end - 1}/{len(answer.data)}"
            self.send_header("Content-Range", answer.content_range or whole)
        if answer.etag:
            self.send_header("ETag", answer.etag)
        if answer.modified:
            self.send_header("Last-Modified", answer.modified)
        self.end_headers()
        self.stream(request, answer, data)

    def stream(self, request, answer, data):
        if answer.cut is not None:
            data = data[: answer.cut]
            self.close_connection = True
        half = len(data) // 2 if answer.stall else len(data)
        self.wfile.write(data[:half])
        request.sent += half
        if answer.stall:
            self.wfile.flush()
            time.sleep(answer.stall)
            self.wfile.write(data[half:])
            request.sent += len(data) - half


class Server:
    """with Server() as server: server.answers["/a"] = Answer(b"..."); server.url("/a")"""

    def __init__(self, tls_folder=None):
        self.answers = {}
        self.requests = []
        self.active = self.most_active = 0
        self.delay = 0
        self.lock = threading.Lock()
        self.certificate = None
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.owner = self
        if tls_folder:
            self.use_tls(tls_folder)

    def use_tls(self, folder):
        self.certificate, key = self_signed(folder, "server", "IP:127.0.0.1")
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

    def url(self, path):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.http.server_port}{path}"

    def sent(self, path=None):
        return sum(request.sent for request in self.requests if path in (None, request.path))
