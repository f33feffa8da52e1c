"""The lies: what a server may answer instead of the truth, and how a download may end that hears nothing else.

Right bytes are always a good end. Where none can come, the reason must be one of those that the row names."""

import dataclasses
import gzip
import itertools
import random

from hostile_server import ENDLESS, PIECE, Reply

RIGHT = frozenset({"done"})
WRONG = frozenset({"upstream_changed", "damaged"})
GONE = frozenset({"unreachable", "upstream_changed"})
SLOW = frozenset({"unreachable", "timeout"})
REFUSED = frozenset({"unreachable", "untrusted", "upstream_changed"})
ANY = WRONG | GONE | SLOW | REFUSED


@dataclasses.dataclass
class Lie:
    name: str
    tell: object  # function(reply, seen, server) -> another reply, or None where it changed this one
    alone: frozenset  # reasons that are good when nobody else has the blobs
    most: float = None  # bytes that the server may have sent, in sizes of all blobs


LIES = []


def lie(alone, most=None, name=None):
    """The decorated function is a lie of this name."""
    def add(function):
        LIES.append(Lie(name or function.__name__.replace("_", " "), function, alone, most))
        return function
    return add


def has_body(reply):
    return reply.status.startswith("20") and len(reply.body) > 0


def whole(reply, seen, server):
    """The answer that there would be without Range."""
    seen.span = None
    return server.honest(seen)


# --- ranges -----------------------------------------------------------------------------------------


@lie(RIGHT, most=2)
def no_range_support(reply, seen, server):
    reply = whole(reply, seen, server)
    reply.headers["Accept-Ranges"] = "none"
    return reply


@lie(RIGHT, most=2)
def status_200_on_a_range(reply, seen, server):
    return whole(reply, seen, server)


@lie(ANY, most=3)
def the_whole_file_as_206(reply, seen, server):
    """The part that was asked for, it says."""
    headers, status = reply.headers, reply.status
    reply = whole(reply, seen, server)
    reply.status, reply.headers = status, {**headers, "Content-Length": len(reply.body)}
    return reply


@lie(ANY, most=3)
def a_part_as_200(reply, seen, server):
    if reply.status.startswith("206"):
        reply.status = "200 OK"


@lie(ANY, most=3)
def no_content_range(reply, seen, server):
    reply.headers.pop("Content-Range", None)


def content_range(change):
    """Right bytes under a wrong Content-Range."""
    def tell(reply, seen, server):
        if "Content-Range" in reply.headers and reply.status.startswith("206"):
            span, total = reply.headers["Content-Range"].split(" ")[1].split("/")
            first, last = map(int, span.split("-"))
            reply.headers["Content-Range"] = change(first, last, int(total))
    return tell


for words, change in {
    "elsewhere": lambda first, last, total: f"bytes {first + 1}-{last + 1}/{total}",
    "from the start": lambda first, last, total: f"bytes 0-{last - first}/{total}",
    "longer": lambda first, last, total: f"bytes {first}-{last + 1000}/{total}",
    "a wrong total": lambda first, last, total: f"bytes {first}-{last}/{total + 1}",
    "a short total": lambda first, last, total: f"bytes {first}-{last}/{max(last, 1)}",
    "no total": lambda first, last, total: f"bytes {first}-{last}/*",
    "negative": lambda first, last, total: f"bytes -{first}-{last}/{total}",
    "2^64": lambda first, last, total: f"bytes {first}-18446744073709551616/{total}",
    "backwards": lambda first, last, total: f"bytes {last}-{first}/{total}",
    "not bytes": lambda first, last, total: f"pages {first}-{last}/{total}",
    "a word": lambda first, last, total: "all of it",
}.items():
    lie(ANY, most=3, name=f"Content-Range: {words}")(content_range(change))


@lie(ANY, most=3)
def multipart_ranges(reply, seen, server):
    if not reply.status.startswith("206"):
        return
    head = f"--x\r\nContent-Range: {reply.headers.pop('Content-Range')}\r\n\r\n".encode()
    reply.body = head + reply.body + b"\r\n--x--\r\n"
    reply.headers.update({"Content-Type": "multipart/byteranges; boundary=x", "Content-Length": len(reply.body)})


@lie(ANY, most=3)
def less_than_asked_for(reply, seen, server):
    """A server may: the first half of the part, and it says so."""
    if not reply.status.startswith("206") or len(reply.body) < 2:
        return
    first = int(reply.headers["Content-Range"].split(" ")[1].split("-")[0])
    total = reply.headers["Content-Range"].split("/")[1]
    reply.body = reply.body[: len(reply.body) // 2]
    reply.headers["Content-Range"] = f"bytes {first}-{first + len(reply.body) - 1}/{total}"
    reply.headers["Content-Length"] = len(reply.body)


@lie(ANY, most=3)
def status_416(reply, seen, server):
    return Reply("416 Range Not Satisfiable", {"Content-Range": "bytes */1", "Content-Length": 0})


@lie(ANY, most=2)
def status_416_on_every_range(reply, seen, server):
    """Without a Range it would answer."""
    return Reply("416 Range Not Satisfiable", {"Content-Length": 0}) if seen.span else None


# --- lengths ----------------------------------------------------------------------------------------


@lie(ANY, most=4)
def short_body(reply, seen, server):
    """The connection ends before the length is reached."""
    if has_body(reply):
        reply.cut = len(reply.body) * 2 // 3


@lie(ANY, most=4)
def short_body_and_length(reply, seen, server):
    if has_body(reply):
        reply.body = reply.body[: len(reply.body) * 2 // 3]
        reply.headers["Content-Length"] = len(reply.body)


@lie(ANY, most=4)
def length_too_small(reply, seen, server):
    """The rest looks like the next answer."""
    if has_body(reply):
        reply.headers["Content-Length"] = len(reply.body) // 2


@lie(ANY, most=4)
def length_too_large(reply, seen, server):
    if has_body(reply):
        reply.headers["Content-Length"] = len(reply.body) + 1000
        reply.close = True


@lie(ANY, most=4)
def length_of_2_64(reply, seen, server):
    reply.headers["Content-Length"] = 1 << 64
    reply.close = True


@lie(ANY, most=4)
def length_negative(reply, seen, server):
    reply.headers["Content-Length"] = -1
    reply.close = True


@lie(ANY, most=4)
def two_lengths(reply, seen, server):
    raw = reply.head().replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n")
    reply.raw, reply.close = raw, True


@lie(RIGHT, most=2)
def no_length(reply, seen, server):
    reply.headers.pop("Content-Length", None)
    reply.close = True


@lie(RIGHT, most=2)
def http_1_0(reply, seen, server):
    reply.version, reply.close = "HTTP/1.0", True


def chunked(body):
    step = 10000
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@lie(RIGHT, most=2)
def in_chunks(reply, seen, server):
    reply.headers.pop("Content-Length", None)
    reply.headers["Transfer-Encoding"] = "chunked"
    reply.body = chunked(reply.body)


@lie(ANY, most=4)
def in_chunks_that_end_nowhere(reply, seen, server):
    reply.headers.pop("Content-Length", None)
    reply.headers["Transfer-Encoding"] = "chunked"
    reply.body, reply.close = chunked(reply.body)[:-5] + b"ffffffffffffffff1\r\n", True


@lie(RIGHT | SLOW, most=3)
def trailers_without_end(reply, seen, server):
    reply.headers.pop("Content-Length", None)
    reply.headers["Transfer-Encoding"] = "chunked"
    reply.body = itertools.chain([chunked(reply.body)[:-2]], (b"X-Last: 1\r\n" for _ in range(ENDLESS // 11)))


@lie(ANY)
def an_empty_body(reply, seen, server):
    reply.body = b""
    reply.headers["Content-Length"] = 0


def without_end(seen, server, start=b""):
    yield start
    while seen.sent < ENDLESS:
        yield b"x" * PIECE


@lie(ANY, most=16)
def endless_body(reply, seen, server):
    reply.headers.pop("Content-Length", None)
    reply.body = without_end(seen, server)


@lie(ANY, most=16)
def endless_after_the_right_bytes(reply, seen, server):
    reply.headers.pop("Content-Length", None)
    reply.body = without_end(seen, server, reply.body)


# --- time -------------------------------------------------------------------------------------------


def until_over(server, *pieces):
    yield from pieces
    server.over.wait(60)


@lie(SLOW)
def silence(reply, seen, server):
    reply.raw, reply.body = b"", until_over(server)


@lie(SLOW)
def silence_after_the_head(reply, seen, server):
    reply.body = until_over(server)


@lie(SLOW)
def silence_after_half(reply, seen, server):
    reply.body = until_over(server, reply.body[: len(reply.body) // 2])


def in_drops(server, data):
    for at in range(len(data)):
        yield data[at : at + 1]
        if server.over.wait(0.05):
            return


@lie(SLOW)
def headers_in_drops(reply, seen, server):
    head = reply.head()[:-2] + b"".join(b"X-%d: 1\r\n" % i for i in range(1000)) + b"\r\n"
    reply.raw, reply.body = b"", in_drops(server, head + reply.body)


@lie(SLOW)
def body_in_drops(reply, seen, server):
    reply.body = in_drops(server, reply.body)


# --- heads ------------------------------------------------------------------------------------------


@lie(RIGHT, most=2)
def headers_of_30_kb(reply, seen, server):
    reply.headers.update({f"X-Long-{i}": "x" * 1000 for i in range(30)})


@lie(ANY)
def one_header_of_1_mb(reply, seen, server):
    reply.headers["X-Long"] = "x" * (1 << 20)


@lie(ANY)
def headers_without_end(reply, seen, server):
    reply.raw, reply.body = b"HTTP/1.1 206 Partial Content\r\n", (b"X-Long: " + b"x" * 1000 + b"\r\n"
                                                                    for _ in range(ENDLESS // 1000))


@lie(RIGHT, most=2)
def headers_that_lead_astray(reply, seen, server):
    """Of other statuses, other protocols and other times."""
    reply.headers.update({"Location": "file:///etc/passwd", "Connection": "Upgrade, keep-alive", "Upgrade": "h2c, TLS/1.0",
                          "Alt-Svc": 'h3=":1"; ma=99999999', "Strict-Transport-Security": "max-age=99999999",
                          "Retry-After": "999999", "Refresh": "0; url=http://127.0.0.1:1/", "Content-Location": "/x",
                          "WWW-Authenticate": 'Basic realm="x"', "Digest": "sha-256=AAAA", "Age": "-1", "Via": "1.1 x",
                          "Keep-Alive": "timeout=-1, max=0", "Docker-Content-Digest": "sha256:" + "0" * 64})


@lie(ANY, most=3)
def headers_injected(reply, seen, server):
    """Control characters, and what a log would show as a line of its own."""
    reply.status = reply.status[:3] + " \x1b[31mroot: all is well\x07"
    reply.headers["X-Note\r\nSet-Cookie"] = "stolen=s3cret-cookie; path=/\r\nX-Other: \x1b]0;title\x07"


@lie(RIGHT, most=2)
def a_few_1xx(reply, seen, server):
    reply.raw = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 5 + reply.head()


@lie(ANY)
def answers_1xx_without_end(reply, seen, server):
    reply.raw = b""
    reply.body = (b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 for _ in range(ENDLESS // 27000))


def first_line(line):
    def tell(reply, seen, server):
        rest = reply.head().partition(b"\r\n")[2]
        reply.raw, reply.close = line + b"\r\n" + rest, True
    return tell


for text in (b"", b"HTTP/9.9 206 Partial Content", b"HTTP/1.1", b"HTTP/1.1 2060 X", b"HTTP/1.1 -206 X", b"HTTP/1.1 abc",
             b"ICY 200 OK", b"\x00\xff\xfe garbage", b"HTTP/2 206", b"SSH-2.0-OpenSSH_9.2", b"HTTP/1.1 99999999999 X"):
    lie(ANY, most=4, name=f"status line {text!r}")(first_line(text))


@lie(ANY, most=4)
def no_head_at_all(reply, seen, server):
    """HTTP/0.9."""
    reply.raw, reply.close = b"", True


# --- statuses ---------------------------------------------------------------------------------------


def status(line, **headers):
    def tell(reply, seen, server):
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        return Reply(line, {"Content-Length": 5, **names}, b"sorry")
    return tell


for line, ends in {"404 Not Found": GONE, "410 Gone": GONE, "403 Forbidden": REFUSED, "400 Bad Request": ANY,
                   "451 Unavailable": REFUSED, "500 Internal Server Error": SLOW, "502 Bad Gateway": SLOW, "201 Created": ANY,
                   "203 Non-Authoritative": ANY, "300 Multiple Choices": ANY, "407 Proxy Authentication Required": ANY,
                   "426 Upgrade Required": ANY, "101 Switching Protocols": ANY}.items():
    lie(ends, name=f"status {line}")(status(line))
for line in ("204 No Content", "304 Not Modified"):
    lie(ANY, name=f"status {line}")(lambda reply, seen, server, line=line: Reply(line, {}))
for code in ("429 Too Many Requests", "503 Service Unavailable"):
    for wait in ("999999999", "99999999999999999999", "-5", "Fri, 31 Dec 9999 23:59:59 GMT", "soon"):
        lie(SLOW, name=f"status {code[:3]}, Retry-After: {wait}")(status(code, Retry_After=wait))


# --- redirects --------------------------------------------------------------------------------------


def redirect(where, code="302 Found"):
    def tell(reply, seen, server):
        location = where(seen, server) if callable(where) else where
        return Reply(code, {"Location": location, "Content-Length": 0})
    return tell


def onwards(seen, server):
    """One step more, each time."""
    return f"{server.url}/step/{seen.number}"


TOWARDS = {
    "itself": lambda seen, server: seen.target,
    "one step more": onwards,
    "a file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/x",
    "gopher": "gopher://127.0.0.1:1/_x",
    "data": "data:,x",
    "a link-local address": "http://169.254.77.7/metadata/instance",
    "a link-local address as a number": "http://2852015367/metadata/instance",
    "a link-local address in hexadecimal": "http://0xa9.0xfe.0x4d.0x7/metadata/instance",
    "a link-local address, mapped into IPv6": "http://[::ffff:169.254.77.7]/metadata/instance",
    "a link-local address of IPv6": "http://[fe80::1]/x",
    "a host that begins with -": "http://-oProxyCommand=x/",
    "an option": "-oProxyCommand=x",
    "a login": lambda seen, server: f"http://root:s3cret-login@{server.host}{seen.target}",
    "nothing": "",
    "spaces": "http://127.0.0.1:1/a b\tc",
    "64 KB": "/" + "x" * 60000,
    "another line": "/x\r\nSet-Cookie: stolen=s3cret-cookie\r\nX: ",
}
for words, where in TOWARDS.items():
    lie(REFUSED | WRONG | SLOW, name=f"redirect to {words}")(redirect(where))


@lie(ANY, name="redirect without Location")
def redirect_nowhere(reply, seen, server):
    return Reply("302 Found", {"Content-Length": 0})


def moved(code):
    """The blob is there, under another path of the same server."""
    def tell(reply, seen, server):
        if seen.target.startswith("/there"):
            seen.target = seen.target.removeprefix("/there")
            return server.honest(seen)
        return redirect(f"/there{seen.target}", code)(reply, seen, server)
    return tell


for code in ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
    lie(RIGHT, most=2, name=f"redirect, {code}")(moved(code))


# --- bytes ------------------------------------------------------------------------------------------


@lie(WRONG, most=8)
def zeros(reply, seen, server):
    if has_body(reply):
        reply.body = bytes(len(reply.body))


@lie(WRONG, most=8)
def a_bit_of_each_answer(reply, seen, server):
    if has_body(reply):
        at = random.Random(seen.number).randrange(len(reply.body))
        reply.body = reply.body[:at] + bytes([reply.body[at] ^ 1]) + reply.body[at + 1 :]


@lie(ANY, most=8)
def packed_with_gzip(reply, seen, server):
    if has_body(reply):
        reply.body = gzip.compress(reply.body)
        reply.headers.update({"Content-Encoding": "gzip", "Content-Length": len(reply.body)})


@lie(ANY, most=8)
def not_packed_but_says_gzip(reply, seen, server):
    reply.headers["Content-Encoding"] = "gzip"


@lie(WRONG, most=8)
def a_page_for_people(reply, seen, server):
    """A captive portal."""
    page = b"<html>Log in to this network</html>"
    return Reply("200 OK", {"Content-Type": "text/html", "Content-Length": len(page)}, page)


@lie(RIGHT, most=2)
def another_etag_each_time(reply, seen, server):
    reply.headers["ETag"] = f'"{seen.number}"'


# --- ends -------------------------------------------------------------------------------------------


@lie(GONE | SLOW)
def hangs_up(reply, seen, server):
    reply.raw, reply.body, reply.close = b"", b"", True


@lie(GONE | SLOW)
def resets(reply, seen, server):
    reply.raw, reply.body, reply.reset = b"", b"", True


# --- logins -----------------------------------------------------------------------------------------


def challenged(*challenges):
    def tell(reply, seen, server):
        raw = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
        lines = "".join(f"WWW-Authenticate: {text.replace('URL', server.url)}\r\n" for text in challenges)
        return Reply("", {}, raw=(raw + lines + "\r\n").encode("latin-1")) if "/token" not in seen.target else reply
    return tell


CHALLENGES = {
    "none": [],
    "Basic": ['Basic realm="x"'],
    "Negotiate and NTLM": ["Negotiate", "NTLM"],
    "Digest": ['Digest realm="x", nonce="1", qop="auth"'],
    "no realm": ["Bearer"],
    "a realm without a scheme": ['Bearer realm="127.0.0.1/token"'],
    "a realm that is a file": ['Bearer realm="file:///etc/passwd"'],
    "a link-local address": ['Bearer realm="http://169.254.77.7/metadata/identity",service="x"'],
    "a realm with a login": ['Bearer realm="http://root:s3cret-login@127.0.0.1:1/token"'],
    "a realm that is not there": ['Bearer realm="URL/token",service="x",scope="repository:x:pull"'],
    "a realm with another line": ['Bearer realm="URL/token%0d%0aX-Injected: 1",service="a\tb"'],
    "a quote without end": ['Bearer realm="URL/token'],
    "1,000 challenges": ['Bearer realm="URL/token"'] * 1000,
    "30 KB": ['Bearer realm="URL/token",service="' + "x" * 30000 + '"'],
}
for words, texts in CHALLENGES.items():
    lie(ANY, name=f"status 401: {words}")(challenged(*texts))


def token(body, code="200 OK"):
    """A challenge of its own, and this instead of a token."""
    def tell(reply, seen, server):
        if "/token" in seen.target:
            return Reply(code, {"Content-Type": "application/json", "Content-Length": len(body)}, body)
        return challenged('Bearer realm="URL/token",service="x",scope="repository:x:pull"')(reply, seen, server)
    return tell


TOKENS = {
    "1 MB": b'{"token":"' + b"x" * (1 << 20) + b'"}',
    "with a line of its own": b'{"token":"s3cret-token\\r\\nX-Injected: 1"}',
    "that opens nothing": b'{"token":"s3cret-token"}',
    "a number": b'{"token":7}',
    "null": b'{"token":null,"access_token":null}',
    "not JSON": b"s3cret-token",
    "100,000 deep": b"[" * 100000,
    "not UTF-8": b'{"token":"\xff\xfe"}',
    "with NUL": b'{"token":"s3cret-token\\u0000x"}',
    "empty": b'{"token":""}',
}
for words, body in TOKENS.items():
    lie(ANY, name=f"token: {words}")(token(body))
