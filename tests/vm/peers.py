"""peers.py - what a guest's download meets on the host: Debian's own nginx and tinyproxy, on loopback.

docker-registry is in e2e/registry_server.py, which is on the path once this module is there.
"""

import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

NGINX = """daemon off;
pid {folder}/pid;
error_log {folder}/errors;
user root;
events {{}}
http {{
	log_format sent '$status $body_bytes_sent $uri';
	access_log {folder}/log sent;
	server {{
		listen {host};
		location /larder/ {{
			alias {cache}/;
			limit_rate {rate};
		}}
	}}
}}
"""
TINYPROXY = """Listen 127.0.0.1
Port {port}
LogFile "{folder}/log"
LogLevel Connect
Timeout 60
ConnectPort {target}
"""


def free_port():
    """A port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """A server that runs in the foreground: with Nginx(...) as peer: ... peer.host"""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"

    def __enter__(self):
        with open(self.folder / "said", "wb") as said:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"{self.command()[0]} does not start: " + (self.folder / "said").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        """Lines that it wrote of what it was asked for."""
        return (self.folder / "log").read_text().splitlines()


class Nginx(Peer):
    """A cache's folder at /larder; rate: bytes a second and connection, as nginx spells them."""

    def __init__(self, folder, cache, rate="0"):
        super().__init__(folder)
        self.cache, self.rate = cache, rate

    def command(self):
        config = self.folder / "config"
        config.write_text(NGINX.format(folder=self.folder, host=self.host, cache=self.cache, rate=self.rate))
        return ["nginx", "-e", self.folder / "errors", "-c", config]

    def sent(self):
        """Bytes of bodies that were sent of blobs."""
        rows = [line.split() for line in self.log()]
        return sum(int(size) for status, size, path in rows if status in ("200", "206") and "/blobs/" in path)


class Tinyproxy(Peer):
    """A proxy that knows a name by itself: it sees hosts, a file, as /etc/hosts."""

    def __init__(self, folder, name, target):
        super().__init__(folder)
        self.name, self.target = name, target

    def command(self):
        config, hosts = self.folder / "config", self.folder / "hosts"
        config.write_text(TINYPROXY.format(port=self.port, folder=self.folder, target=self.target))
        hosts.write_text(f"127.0.0.1 {self.name}\n")
        words = f"mount --bind {hosts} /etc/hosts && exec tinyproxy -d -c {config}"
        return ["unshare", "--mount", "sh", "-c", words]
