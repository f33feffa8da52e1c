"""Downloads by the real program: what is wanted, how it ended, and what is judged after each of them, whatever was told."""

import dataclasses
import hashlib
import json
import os
import random
import re
import subprocess
from pathlib import Path

from larder import BUILD, TRACED

MIB = 1 << 20
USER = 65521  # that larder-download becomes
CODES = {"done": 0, "unreachable": 14, "upstream_changed": 14, "damaged": 14, "no_space": 14, "timeout": 14,
         "untrusted": 14, "read_only": 14, "internal": 14}
SECRETS = re.compile(r"s3cret|X-Injected|stolen")
REPORT = {"format", "reason", "text", "fetched", "brought", "wanted"}


def made_blob(seed, size):
    """The same bytes in every run; no two blobs are alike."""
    return random.Random(f"{seed} {size}").randbytes(size)


BLOBS = [made_blob("hostile", size) for size in (3 * MIB + 12345, 1, 700_000, MIB, MIB + 1)]


def entry(data):
    """A blob as a want names it."""
    one = {"digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}
    if len(data) > MIB:
        one["chunks"] = [hashlib.sha256(data[at : at + MIB]).hexdigest() for at in range(0, len(data), MIB)]
    return one


@dataclasses.dataclass
class Ended:
    """How a download ended. report: None where it was killed."""

    code: int
    said: str
    report: dict | None


class Room:
    """A folder with incoming/, a want and a report."""

    def __init__(self, folder, blobs=None):
        self.folder, self.blobs = folder, BLOBS if blobs is None else blobs
        self.incoming, self.want, self.report = folder / "incoming", folder / "neednet", folder / "download.json"
        self.incoming.mkdir(parents=True, exist_ok=True)

    def write_want(self, sources, **more):
        want = {"format": "larder.want.v1", "round": 1, "created": "2026-11-21T00:00:00Z", "sources": list(sources),
                "race": False, "connections": 4, "budget_s": 8, "top": False,
                "blobs": [entry(data) for data in self.blobs], **more}
        self.want.write_text(json.dumps(want))
        self.want.chmod(0o600)

    def words(self):
        return [str(BUILD / "larder-download"), "--want", str(self.want), "--into", str(self.incoming), "--report",
                str(self.report)]

    def start(self, sources, prefix=(), env=None, **more):
        """A process; its words go to one pipe."""
        self.write_want(sources, **more)
        self.report.unlink(missing_ok=True)
        clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        return subprocess.Popen([*prefix, *self.words()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT,
                                env={**clean, **(env or {}), **(TRACED if "strace" in prefix else {})})

    def ended(self, process, timeout=120):
        """Wait for it, and judge what is judged of each."""
        try:
            said = process.communicate(timeout=timeout)[0].decode("utf-8", "backslashreplace")
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        report = json.loads(self.report.read_text()) if process.returncode >= 0 else None
        ended = Ended(process.returncode, said, report)
        self.judge(ended)
        return ended

    def run(self, sources, **more):
        return self.ended(self.start(sources, **more))

    def plant(self, data, name, folder="partial"):
        """What an earlier run left of a blob, or what somebody says it did."""
        path = self.incoming / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        for one in (path, *path.relative_to(self.incoming).parents):
            os.chown(self.incoming / one, USER, USER)

    # --- what is there

    def brought(self):
        """Whole blobs, by digest."""
        folder = self.incoming / "blobs/sha256"
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}

    def is_whole(self):
        names = {hashlib.sha256(data).hexdigest() for data in self.blobs}
        return set(self.brought()) == names and not self.parts()

    def parts(self):
        folder = self.incoming / "partial"
        return sorted(folder.iterdir()) if folder.exists() else []

    def judge(self, ended):
        """Never a crash, wrong bytes, a leak, or anything at another place."""
        assert "Sanitizer" not in ended.said, ended.said
        assert ended.code in (0, 1, 14, -9, -15), ended
        assert not re.search(r"[^\x20-\x7e\n\t]", ended.said), ended.said
        for name, data in self.brought().items():
            assert hashlib.sha256(data).hexdigest() == name
        self.judge_places()
        self.judge_report(ended)
        for text in (ended.said, self.report.read_text() if self.report.exists() else ""):
            assert not SECRETS.search(text), text

    def judge_places(self):
        wanted = {hashlib.sha256(data).hexdigest() for data in self.blobs}
        for path in self.incoming.rglob("*"):
            state, place = path.lstat(), path.relative_to(self.incoming)
            assert str(place.parent) in (".", "blobs", "blobs/sha256", "partial"), place
            assert str(place) in ("blobs", "blobs/sha256", "partial") or place.name.split(".")[0] in wanted, place
            assert not path.is_symlink() and state.st_mode & 0o7022 == 0, (place, oct(state.st_mode))
            assert not SECRETS.search(path.name)

    def judge_report(self, ended):
        report = ended.report
        if ended.code < 0:
            return
        assert report and set(report) == REPORT and report["format"] == "larder.download.v1", ended
        assert ended.code == CODES[report["reason"]], ended
        assert report["wanted"] == len(self.blobs) and 0 <= report["brought"] <= report["wanted"], ended
        assert 0 <= report["fetched"], ended
        assert re.fullmatch(r"[\x20-\x7e]{0,1000}", report["text"]), ended
        if report["reason"] == "done":
            assert self.is_whole(), (ended, self.brought().keys(), self.parts())
        else:
            assert report["text"], ended


def memory_disk(place: Path, options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
