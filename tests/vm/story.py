"""story.py - the builder's side of a guest test: key, store, cache, embed, by the real programs."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import guest

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("LARDER_BUILD", "build")
STORE = TOP / "build/vm/store"  # shared: a package is fetched once
NIC_MANIFEST = TOP / "manifests/debian-nic.json"


class Failed(Exception):
    """A larder program did not do what the story needs; the text is its own."""


def call(program, *args, echo=None):
    """Run a program of larder and return its standard output."""
    words = [shown(arg) for arg in args]
    done = subprocess.run([BUILD / program, *words], capture_output=True, text=True, cwd=TOP,
                          stdin=subprocess.DEVNULL)
    if echo:
        echo("$ " + " ".join([program, *words]))
        for line in (done.stderr + done.stdout).splitlines():
            echo("  " + line)
    if done.returncode != 0:
        raise Failed(f"{program} {args[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def shown(arg):
    """A path as one would type it from the top of the tree."""
    text = str(arg)
    return os.path.relpath(text, TOP) if text.startswith(str(TOP)) else text


def larder(*args, echo=None):
    """Run larder."""
    return call("larder", *args, echo=echo)


def make_trust(folder, name="fleet", echo=None):
    """A key pair and a trust root that names it: (key, trust)."""
    key, trust = folder / f"{name}.key", folder / f"{name}-trust.json"
    if not key.exists():
        larder("key", "new", folder / name, echo=echo)
    text = larder("trust", "init", folder / f"{name}.pub",
                  echo=echo and (lambda line: echo(line) if line.startswith("$") else None))
    trust.write_text(text)
    return key, trust


def write_site(folder, release=None):
    """A site file whose one kernel is the guest's."""
    site = folder / "site.json"
    sets = {"site-kernels": [release or guest.kernel_release()]}
    site.write_text(json.dumps({"format": "larder.site.v1", "sets": sets}, indent=1))
    return site


def bring_manifest(folder, source=NIC_MANIFEST):
    """A manifest of its own for a test, so that its lock is not written into the tree."""
    target = folder / Path(source).name
    shutil.copy(source, target)
    return target


def fetch(manifest, site, store=STORE, echo=None):
    """Fetch what a manifest names."""
    larder("fetch", manifest, "--store", store, "--site", site, echo=echo)


def bake(manifest, site, cache, *options, store=STORE, echo=None):
    """Bake a cache; options are --key FILE or --unsigned and others."""
    larder("bake", manifest, "--store", store, "--site", site, "--cache", cache, *options,
           echo=echo)
    return cache


def embed(cache, trust, root, echo=None):
    """Put cache, agent and trust into a root folder."""
    larder("embed", cache, "--trust", trust, "--root", root, echo=echo)


def share_kernel(manifest):
    """Let the guest be made from the very package that fetch brought into the store."""
    packages = json.loads(manifest.with_suffix(".lock.json").read_text())["packages"]
    for entry in packages.values():
        if entry["name"].startswith("linux-image-"):
            folder = TOP / "build/vm/from-store"
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / entry["file"]
            if not target.exists():
                shutil.copy(STORE / "blobs/sha256" / entry["sha256"], target)
            guest.kernel_deb(folder)


def nic_cache(folder, echo=None):
    """The main job's cache, signed: (cache, key, trust)."""
    folder.mkdir(parents=True, exist_ok=True)
    key, trust = make_trust(folder, echo=echo)
    site, manifest = write_site(folder), bring_manifest(folder)
    fetch(manifest, site, echo=echo)
    share_kernel(manifest)
    return bake(manifest, site, folder / "cache", "--key", key, echo=echo), key, trust


def largest_blob(cache):
    """The blob of a cache with the most bytes: the driver's own."""
    return max((cache / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)


def flip_byte(path, at=None):
    """Change one bit of one byte of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(data)


def moments(status):
    """What status.json says of each moment, by its name; none without the file."""
    return (status or {}).get("moments", {})


def events(status):
    """(seconds of guest uptime, label) from the agent's own timeline."""
    rows = []
    for name, moment in moments(status).items():
        for row in moment.get("timeline", ()):
            rows.append((row["at_ms"] / 1000, f"{name:<6}{row['event']:<18}{row.get('detail', '')}"))
    return sorted(rows)
