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
UDEV_WAIT_MS = 5000  # the agent's, in the early moment
AGENT = "/usr/libexec/larder/larder-firstboot"
RUN_EARLY, RUN_MAIN = f"{AGENT} run --early\n", f"{AGENT} run\n"
# tell LABEL OPTION...: run the agent, and say its status document on one line, in one piece
TELL = f"""tell() {{
	label=$1
	shift
	echo "@guest test: told $label $({AGENT} run "$@" --json 2>/run/said | tr -d "\\n")" >/dev/console
}}
"""


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
    """A site file whose one kernel is the guest's, and whose debian-12 is the full guest."""
    site, root = folder / "site.json", guest.root_folder()
    for source, name in (("etc/apt/sources.list", "guest.list"), ("var/lib/dpkg/status", "guest.status"),
                         ("usr/share/keyrings/debian-archive-keyring.gpg", "guest.gpg")):
        shutil.copy(root / source, folder / name)
    sets = {"site-kernels": [release or guest.kernel_release()]}
    repos = {"debian-12": {"manager": "apt", "sources": "guest.list", "keyring": "guest.gpg",
                           "installed": "guest.status"}}
    site.write_text(json.dumps({"format": "larder.site.v1", "sets": sets, "repos": repos}, indent=1))
    return site


def bring_manifest(folder, source=NIC_MANIFEST):
    """A manifest of its own for a test, so that its lock is not written into the tree."""
    target = folder / Path(source).name
    shutil.copy(source, target)
    return target


def fetch(manifest, site, *options, store=STORE, echo=None):
    """Fetch what a manifest names; other tests may be fetching, too."""
    with guest.locked("store"):
        larder("fetch", *options, manifest, "--store", store, "--site", site, echo=echo)


def bake(manifest, site, cache, *options, store=STORE, echo=None):
    """Bake a cache of one manifest or several; options are --key FILE or --unsigned and others."""
    manifests = manifest if isinstance(manifest, tuple) else (manifest,)
    with guest.locked("store"):
        larder("bake", *manifests, "--store", store, "--site", site, "--cache", cache, *options,
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


def write_manifest(folder, name, bundle, files=None):
    """A manifest of one bundle; what the bundle does not say is the usual. files: name -> path."""
    usual = {"id": "one", "version": "1", "rank": 50, "os": ["debian:12"], "arch": ["x86_64"],
             "kernels": ["*"]}
    manifest = folder / f"{name}.json"
    manifest.write_text(json.dumps({
        "format": "larder.manifest.v1", "name": name, "template": {}, "bundles": [usual | bundle],
        "files": {word: {"url": f"file://{path}"} for word, path in (files or {}).items()},
        "licence": {"id": "GPL-2.0-only", "url": "https://spdx.org/licenses/GPL-2.0-only.html",
                    "redistribute": "yes", "accept": False}}))
    return manifest


def module_bundle(folder, path, device, **more):
    """A manifest that brings one module file for the devices of a modalias glob."""
    name = path.name.split(".")[0]
    bundle = {"devices": [device], "early": True, "take": [{"file": "module", "into": "modules"}],
              "install": [{"do": "modules", "files": ["modules/*.ko"]}, {"do": "load", "modules": [name]}],
              "expect": {"driver": name}}
    return write_manifest(folder, f"module-{name}", bundle | more, {"module": path})


def rdma_core_manifest(folder):
    """A real package, whose script starts services, for the guest's second NIC."""
    return write_manifest(folder, "debian-rdma", {
        "devices": ["pci:v00001AF4d00001000sv*sd*bc02sc*i*"], "expect": {"driver": "virtio-pci"},
        "take": [{"packages": ["rdma-core", "libnl-3-200"], "into": "DEBS"}],
        "install": [{"do": "packages", "files": ["DEBS/*.deb"]}]})


def bundle_cache(folder, key, *manifests):
    """A signed cache of these manifests."""
    site = write_site(folder)
    for manifest in manifests:
        fetch(manifest, site, "--pin")
    return bake(manifests, site, folder / "cache", "--key", key)


def without_signature(module):
    """A kernel module's bytes without the signature that is appended to them."""
    magic = b"~Module signature appended~\n"
    assert module.endswith(magic)
    end = len(module) - len(magic)
    return module[:end - 12 - int.from_bytes(module[end - 4:end], "big")]


def reports(result):
    """What a script said by tell(), in order: (label, status document)."""
    rows = [line.split(" ", 2)[1:] for line in result.text["test"].splitlines() if line.startswith("told ")]
    assert rows, result.console
    return [(label, json.loads(text)) for label, text in rows]


def full_root(tmp_path, cache, trust):
    """A Debian root without e1000e, with a cache embedded."""
    root = guest.make_root(tmp_path / "root")
    embed(cache, trust, root)
    return root


def tiny_root(tmp_path, cache, trust, script=RUN_EARLY):
    """The same for a guest of three seconds, where a script is the whole boot."""
    root = guest.make_tiny_root(tmp_path / "tiny")
    embed(cache, trust, root)
    guest.write(root, "test.sh", script)
    return root


def moment(result, name):
    """What status.json says of a moment, with the console where it does not."""
    found = moments(result.report.get("status"))
    assert name in found, result.console
    return found[name]


def assert_rested(found):
    """A moment that had nothing to install: idle, unless udev needed longer than the agent waits for it."""
    events = [row["event"] for row in found["timeline"]]
    if found["state"] == "idle":
        return
    assert (found["state"], found["reason"]) == ("done", "done") and "module loaded" in events, found
    assert not {"bundle staged", "module installed", "packages installed"} & set(events), found
    assert found["timeline"][1]["at_ms"] - found["timeline"][0]["at_ms"] >= UDEV_WAIT_MS, found


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
