"""qmp.py - talks to a running QEMU: what happens to a machine from outside, such as a NIC that is plugged in."""

import contextlib
import json
import socket
import tempfile
from pathlib import Path


@contextlib.contextmanager
def socket_folder():
    """A place for QEMU's socket: a test's own folder may be too deep for its name."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "qmp"


def options(path):
    """What makes QEMU listen there."""
    return ("-qmp", f"unix:{path},server=on,wait=off")


def ask(path, *commands):
    """Send (name, arguments) in order; each must succeed."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(str(path))
        lines = wire.makefile("rw")
        lines.readline()  # the greeting
        for name, arguments in (("qmp_capabilities", {}), *commands):
            lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            lines.flush()
            while "return" not in (answer := json.loads(lines.readline())):
                assert "event" in answer, answer


def add_nic(path, model, **more):
    """Plug a NIC in, with a network of its own that reaches nothing."""
    ask(path, ("netdev_add", {"type": "user", "id": "late", "restrict": True}),
        ("device_add", {"driver": model, "netdev": "late", "romfile": ""} | more))
