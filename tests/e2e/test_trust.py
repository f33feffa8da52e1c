"""The life of a trust root: versions, signatures from several machines, a signing token, and machines with an old root."""

import base64
import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from larder import Workshop, good, refused, run
from test_firstboot import firstboot, installed, make_root, only_files

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


class Fleet(Workshop):
    """A workshop with three keys and a trust root that changes."""

    def __init__(self, folder):
        super().__init__(folder)
        self.write_manifest(only_files)
        for name in "abc":
            good("larder", "key", "new", folder / name)
        self.first = self.version("init", self.public("a"), to=1)

    def key(self, name):
        """The private key's file."""
        return self.folder / f"{name}.key"

    def public(self, name):
        """The public key's file."""
        return self.folder / f"{name}.pub"

    def trust_file(self, number):
        """Where version number lies."""
        return self.folder / f"trust{number}.json"

    def version(self, verb, *args, to, signed_by="", options=()):
        """Make version number to, and sign it with keys one after another."""
        path = self.trust_file(to)
        source = (self.trust_file(to - 1),) if verb != "init" else ()
        path.write_text(good("larder", "trust", verb, *source, *args, *options))
        for name in signed_by:
            good("larder", "trust", "sign", path, "--key", self.key(name))
        return path

    def rotate(self):
        """1: a; 2: a and b; 3: b alone."""
        return [self.first, self.version("add", self.public("b"), to=2, signed_by="a"),
                self.version("remove", self.public("a"), to=3, signed_by="ab")]

    def bake_with(self, name, *chain):
        """A cache signed by one key, with a chain."""
        self.fetch()
        options = ("--trust-chain", ",".join(map(str, chain))) if chain else ()
        return good("larder", *self.bake_args("--key", self.key(name), *options))

    def layers(self):
        """The layers of the cache manifest, by the hints."""
        blobs = self.cache / "blobs/sha256"
        entry = json.loads((self.cache / "index.json").read_text())["manifests"][0]
        for _ in range(2):
            path = blobs / entry["digest"].split(":")[1]
            document = json.loads(path.read_text())
            entry = document.get("manifests", [None])[0]
        return document["layers"]

    def machine(self, root, trust):
        """A machine that has this trust root, and the cache."""
        make_root(root)
        good("larder", "embed", self.cache, "--trust", trust, "--root", root)
        return root

    def move_cache(self, root):
        """The machine gets the cache as it is now, by its bytes alone: /etc stays."""
        subprocess.run(["rm", "-rf", root / "usr/lib/larder/cache"], check=True)
        subprocess.run(["cp", "-r", self.cache, root / "usr/lib/larder/cache"], check=True)


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path / "fleet")


def shown(*args, code=0):
    """What trust show prints."""
    done = run("larder", "trust", "show", *args)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout


def kept(root):
    """Versions that the machine keeps."""
    path = root / "var/lib/larder/trust.json"
    if not path.exists():
        return []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return [json.loads(base64.b64decode(row["payload"]))["version"] for row in json.loads(path.read_text())["chain"]]


# the verbs


def test_what_is_missing_is_said(fleet):
    path = fleet.version("add", fleet.public("b"), fleet.public("c"), to=2, options=("--threshold", "2"))
    assert "needs 1 more signature by a key of version 1; needs 2 more signatures by keys of version 2" in shown(
        path, "--from", fleet.first, code=3)
    good("larder", "trust", "sign", path, "--key", fleet.key("a"))
    assert "not proven by version 1: needs 1 more signature by a key of version 2\n" in shown(
        path, "--from", fleet.first, code=3)
    good("larder", "trust", "sign", path, "--key", fleet.key("c"))
    assert shown(path, "--from", fleet.first).endswith("proven by version 1\n")
    document = json.loads(shown(path, "--from", fleet.first, "--json"))
    assert [row["state"] for row in document["keys"]] == ["signed", "not signed", "signed"]
    assert document["from"] == {"version": 1, "proven": True, "missing": ""}
    assert "version 1 does not follow version 2" in shown(fleet.first, "--from", path, code=3)


def test_a_file_that_goes_from_machine_to_machine(fleet, tmp_path):
    """Two of three, each key on a machine of its own: only the trust file travels."""
    path = fleet.version("add", fleet.public("b"), fleet.public("c"), to=2, signed_by="a",
                         options=("--threshold", "2"))
    for name in "cb":
        machine = tmp_path / f"machine-{name}"
        machine.mkdir()
        for source in (path, fleet.key(name)):
            (machine / source.name).write_bytes(source.read_bytes())
        (machine / fleet.key(name).name).chmod(0o600)
        good("larder", "trust", "sign", path.name, "--key", fleet.key(name).name, cwd=machine)
        path.write_bytes((machine / path.name).read_bytes())
    assert "signed by 3 of them" in shown(path, "--from", fleet.first)


def test_sign_keeps_the_file_s_mode_and_place(fleet):
    path = fleet.version("add", fleet.public("b"), to=2)
    path.chmod(0o640)
    link = fleet.folder / "link.json"
    link.symlink_to(path)
    good("larder", "trust", "sign", link, "--key", fleet.key("a"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and link.is_symlink()
    before = path.read_bytes()
    good("larder", "trust", "sign", path, "--key", fleet.key("a"))
    assert path.read_bytes().count(b"keyid") == before.count(b"keyid") == 1
    assert not [name for name in os.listdir(fleet.folder) if "draft" in name]


@pytest.mark.parametrize("args, text, code", [
    (("add", 1, "a.pub"), "a.pub: a key that is named already", 1),
    (("remove", 1, "a.pub"), "threshold 1: only 0 keys are named", 2),
    (("remove", 1, "b.pub"), "b.pub: no key of this version", 1),
    (("remove", 1, "0123456789abcdef"), "0123456789abcdef: no key of this version", 1),
    (("remove", 1, "none.pub"), "none.pub", 1),
    (("threshold", 1, "2"), "threshold 2: only 1 keys are named", 2),
    (("threshold", 1, "1"), "the threshold is 1 already", 1),
    (("threshold", 1, "0"), "expected a threshold from 1 to 32", 2),
    (("threshold", 1, "2x"), "expected a threshold from 1 to 32", 2),
    (("add", "none.json", "b.pub"), "none.json: no such file", 1),
    (("add", "a.pub", "b.pub"), "a.pub: envelope", 1),
    (("sign", 1), "either --key FILE or --signer CMD with --public FILE is needed", 2),
    (("sign", 1, "--key", "a.key", "--signer", "true"), "either --key FILE or --signer CMD", 2),
    (("sign", 1, "--signer", "true"), "--signer CMD and --public FILE go together", 2),
    (("sign", 1, "--key", "a.key", "--public", "a.pub"), "--signer CMD and --public FILE go together", 2),
    (("sign", "none.json", "--key", "a.key"), "none.json", 1),
])
def test_what_the_verbs_refuse(fleet, args, text, code):
    words = [fleet.trust_file(word) if word == 1 else word for word in args]
    refused(text, "larder", "trust", *words, code=code, cwd=fleet.folder)


def test_a_key_goes_by_its_id(fleet):
    fleet.version("add", fleet.public("b"), to=2)
    key_id = json.loads(shown(fleet.trust_file(2), "--json"))["keys"][0]["keyid"]
    for name in (key_id, key_id[:16]):
        fleet.version("remove", name, to=3)
        assert key_id not in shown(fleet.trust_file(3))


def test_every_verb_has_help():
    for verb in ("init", "add", "remove", "threshold", "sign", "show"):
        assert f"usage: larder trust {verb}" in good("larder", "trust", verb, "--help")


# machines with an old root


def test_rotation(fleet, tmp_path):
    versions = fleet.rotate()
    fleet.bake_with("b", *versions)
    assert [layer["mediaType"] for layer in fleet.layers()] == [
        "application/vnd.dsse.envelope.v1+json", *["application/vnd.larder.trust.v1+json"] * 3,
        "application/vnd.larder.table.v1+json"]
    for path in versions:
        good("larder-verify", fleet.cache, "--trust", path)
    assert "version 3 of the trust root proven from version 1" in good(
        "larder-verify", fleet.cache, "--trust", fleet.first)
    root = fleet.machine(tmp_path / "root", fleet.first)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (0, "done"), status
    assert installed(root) and kept(root) == [2, 3]


def test_without_the_chain_a_new_key_is_unknown(fleet):
    fleet.rotate()
    fleet.bake_with("b")
    done = run("larder-verify", fleet.cache, "--trust", fleet.first)
    assert done.returncode == 4 and "does not know" in done.stdout
    good("larder", "sign", fleet.cache, "--key", fleet.key("b"), "--trust-chain",
         f"{fleet.trust_file(2)},{fleet.trust_file(3)}")
    good("larder-verify", fleet.cache, "--trust", fleet.first)
    good("larder", "sign", fleet.cache, "--key", fleet.key("b"))  # keeps the chain
    good("larder-verify", fleet.cache, "--trust", fleet.first)
    assert "serial 1 (nothing changed)" in fleet.bake_with("b")
    good("larder-verify", fleet.cache, "--trust", fleet.first)


def test_a_revoked_key_is_refused(fleet, tmp_path):
    versions = fleet.rotate()
    fleet.bake_with("b", *versions)
    root = fleet.machine(tmp_path / "root", fleet.first)
    assert firstboot(root)[0] == 0
    subprocess.run(["rm", "-rf", fleet.cache], check=True)
    fleet.bake_with("a", *versions)
    done = run("larder-verify", fleet.cache, "--trust", fleet.first)
    assert done.returncode == 4 and "version 3 of the trust root" in done.stdout
    subprocess.run(["rm", "-rf", fleet.cache], check=True)
    fleet.bake_with("a")  # an attacker with the old key leaves the chain out
    fleet.move_cache(root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "untrusted")
    assert "/var/lib/larder/trust.json holds version 3 of the trust root" in status["text"]
    (root / "var/lib/larder/trust.json").unlink()  # /etc stays the root
    assert firstboot(root)[1]["reason"] == "done"


def test_two_of_three(fleet, tmp_path):
    versions = [fleet.first, fleet.version("add", fleet.public("b"), fleet.public("c"), to=2, signed_by="ac",
                                           options=("--threshold", "2"))]
    fleet.bake_with("b", *versions)
    done = run("larder-verify", fleet.cache, "--trust", fleet.first)
    assert done.returncode == 4 and "signed by 1 trusted keys, but 2 are needed" in done.stdout
    machine = tmp_path / "machine-c"  # it gets the cache, not the key of the first
    subprocess.run(["cp", "-r", fleet.cache, machine], check=True)
    good("larder", "sign", machine, "--key", fleet.key("c"))
    good("larder-verify", machine, "--trust", fleet.first)


def test_an_unproven_chain_is_not_baked(fleet):
    fleet.rotate()
    fleet.version("add", fleet.public("c"), to=4, signed_by="ac")
    fleet.fetch()
    for chain, text in (((1, 3), "version 3 does not follow version 1"), ((2, 1), "version 1 does not follow"),
                        ((1, 2, 3, 4), "version 4 is not proven by version 3")):
        done = refused(text, "larder", *fleet.bake_args("--key", fleet.key("b"), "--trust-chain",
                                                        ",".join(str(fleet.trust_file(row)) for row in chain)))
        assert "--trust-chain" in done.stderr


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "unsigned", "out of order", "65"])
def test_a_damaged_chain_is_refused(fleet, tmp_path, how):
    """Refused, not passed over: even where the old root alone would have done."""
    fleet.version("add", fleet.public("b"), to=2, signed_by="a")
    fleet.bake_with("a", fleet.first, fleet.trust_file(2))
    root = fleet.machine(tmp_path / "root", fleet.first)
    good("larder-verify", fleet.cache, "--trust", fleet.first)
    break_chain(root / "usr/lib/larder/cache", how)
    done = run("larder-verify", root / "usr/lib/larder/cache", "--trust", fleet.first)
    code, status = firstboot(root)
    if how == "65":  # the manifest itself breaks its limit
        assert (done.returncode, code, status["reason"]) == (3, 14, "damaged"), done.stdout
    else:
        assert (done.returncode, code, status["reason"]) == (4, 14, "untrusted"), done.stdout
    assert "trust" in done.stdout and not installed(root) and not kept(root)


def break_chain(cache, how):
    """Change the second version of the chain, or the layers that name it."""
    blobs = cache / "blobs/sha256"

    def put(data):
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}
    top = json.loads((cache / "index.json").read_text())
    index = json.loads((blobs / top["manifests"][0]["digest"].split(":")[1]).read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].split(":")[1]).read_text())
    layers = manifest["layers"]
    path = blobs / layers[2]["digest"].split(":")[1]
    data = path.read_bytes()
    if how == "flip":
        path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    elif how == "cut":
        path.write_bytes(data[:-1])
    elif how == "gone":
        path.unlink()
    elif how == "unsigned":
        layers[2].update(put(json.dumps({**json.loads(data), "signatures": []}).encode()))
    elif how == "out of order":
        copy = json.loads(data)
        layers[1:3] = [dict(layers[1], **put(json.dumps(copy).replace(" ", "").encode())), layers[1]]
        payload = {"format": "larder.trust.v1", "version": 4, "threshold": 1}
        payload["keys"] = json.loads(base64.b64decode(copy["payload"]))["keys"]
        copy["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
        layers[1].update(put(json.dumps(copy).encode()))
    elif how == "65":
        layers[1:2] = [layers[1]] * 64
    index["manifests"][0].update(put(json.dumps(manifest).encode()))
    top["manifests"][0].update(put(json.dumps(index).encode()))
    (cache / "index.json").write_text(json.dumps(top))


# what a machine keeps


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format":"larder.trust.chain.v1","chain":[7]}',
                                     '{"format":"larder.trust.chain.v1","chain":[],"x":1}', "cut"])
def test_a_damaged_memory_is_no_memory(fleet, tmp_path, content):
    """/etc stays the root: the machine works as on its first day, and remembers anew."""
    fleet.bake_with("b", *fleet.rotate())
    root = fleet.machine(tmp_path / "root", fleet.first)
    firstboot(root)
    path = root / "var/lib/larder/trust.json"
    path.write_text(path.read_text()[:-9] if content == "cut" else content)
    (root / "var/lib/larder/stamp").unlink()
    assert firstboot(root)[1]["reason"] == "done"
    assert kept(root) == [2, 3]


def test_another_root_in_etc_is_obeyed_at_once(fleet, tmp_path):
    """A new trust root that has nothing to do with the old one: what was kept does not follow from it."""
    fleet.bake_with("b", *fleet.rotate())
    root = fleet.machine(tmp_path / "root", fleet.first)
    firstboot(root)
    subprocess.run(["rm", "-rf", fleet.cache], check=True)
    fleet.bake_with("c")
    new = fleet.folder / "new.json"
    new.write_text(good("larder", "trust", "init", fleet.public("c")))
    good("larder", "embed", fleet.cache, "--trust", new, "--root", root)
    assert kept(root) == [2, 3]
    assert firstboot(root)[1]["reason"] == "done"


def test_nothing_is_kept_of_a_cache_that_is_refused(fleet, tmp_path):
    versions = fleet.rotate()
    fleet.bake_with("b", *versions)
    root = fleet.machine(tmp_path / "root", fleet.first)
    subprocess.run(["rm", "-rf", fleet.cache], check=True)
    fleet.bake_with("a", *versions)
    fleet.move_cache(root)
    assert firstboot(root)[1]["reason"] == "untrusted"
    fleet.bake_with("a", *versions[:2])
    fleet.move_cache(root)
    (root / "etc/larder/floor").write_text("9\n")
    assert firstboot(root)[1]["reason"] == "serial"
    assert not kept(root)


def test_two_versions_of_one_number(fleet, tmp_path):
    """The owner signed two versions 2. A machine that kept the lost one follows the chain that went on."""
    lost = fleet.version("add", fleet.public("c"), to=2, signed_by="a")
    fleet.bake_with("a", lost)
    root = fleet.machine(tmp_path / "root", fleet.first)
    firstboot(root)
    assert kept(root) == [2]
    versions = [fleet.version("add", fleet.public("b"), to=2, signed_by="a"),
                fleet.version("remove", fleet.public("a"), to=3, signed_by="ab")]
    subprocess.run(["rm", "-rf", fleet.cache], check=True)
    fleet.bake_with("b", *versions)
    fleet.move_cache(root)
    assert firstboot(root)[1]["reason"] == "done"
    assert kept(root) == [2, 3]


def test_plan_keeps_nothing(fleet, tmp_path):
    fleet.bake_with("b", *fleet.rotate())
    root = fleet.machine(tmp_path / "root", fleet.first)
    good("larder-firstboot", "plan", "--sysroot", root)
    assert not (root / "var/lib/larder").exists()


# a program that signs


def script(path, text):
    """An executable file."""
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("text, error", [
    ("exit 3", "it failed with code 3"),
    ("openssl dgst -sha256 -sign a.key; exit 1", "it failed with code 1"),
    ("true", "it wrote too few bytes to standard output"),
    ("head -c 97 /dev/zero", "it wrote too many bytes to standard output"),
    ("head -c 72 /dev/zero", "by --public: signature does not fit"),
    ("openssl dgst -sha256 -sign b.key", "by --public: signature does not fit"),
    ("head -c 9 | openssl dgst -sha256 -sign a.key", "by --public: signature does not fit"),
    ("openssl dgst -sha256 -sign a.key; echo", "by --public: signature does not fit"),
    ("openssl dgst -sha256 -sign a.key | base64", "does not fit"),
])
def test_a_bad_signer_changes_nothing(fleet, text, error):
    fleet.fetch()
    good("larder", *fleet.bake_args("--unsigned"))
    script(fleet.folder / "signer", text)
    path = fleet.version("add", fleet.public("b"), to=2)
    before = fleet.blobs(), path.read_bytes()
    for words in (("sign", fleet.cache), ("trust", "sign", path)):
        done = run("larder", *words, "--signer", "./signer", "--public", fleet.public("a"), cwd=fleet.folder)
        assert done.returncode == 1 and (error in done.stderr or "too many" in done.stderr), done.stderr
    assert (fleet.blobs(), path.read_bytes()) == before


def test_a_signer_is_not_a_shell(fleet):
    fleet.fetch()
    good("larder", *fleet.bake_args("--unsigned"))
    marker = fleet.folder / "owned"
    refused("no such program", "larder", "sign", fleet.cache, "--public", fleet.public("a"), "--signer",
            f"$(touch${{IFS}}{marker}) ; touch {marker}")
    good("larder", "sign", fleet.cache, "--public", "a.pub", "--signer", " openssl  dgst -sha256\t-sign a.key ",
         cwd=fleet.folder)
    good("larder-verify", fleet.cache, "--trust", fleet.first)
    assert not marker.exists()


def test_a_signer_with_ed25519(fleet):
    good("larder", "key", "new", "--ed25519", fleet.folder / "ed")
    trust = fleet.folder / "ed.json"
    trust.write_text(good("larder", "trust", "init", fleet.folder / "ed.pub"))
    fleet.fetch()
    good("larder", *fleet.bake_args("--unsigned"))
    script(fleet.folder / "signer", "cat > signed && openssl pkeyutl -sign -inkey ed.key -rawin -in signed\n")
    good("larder", "sign", fleet.cache, "--public", "ed.pub", "--signer", "./signer", cwd=fleet.folder)
    good("larder-verify", fleet.cache, "--trust", trust)


# SoftHSM 2.6 does not hash (no ECDSA-SHA256): it signs the digest.
SIGN_IN_TOKEN = """set -e
export SOFTHSM2_CONF={conf}
openssl dgst -sha256 -binary >{folder}/digest
pkcs11-tool --module {module} --token-label larder --login --pin 1234 --sign --mechanism ECDSA \\
    --signature-format openssl --id 01 --input-file {folder}/digest --output-file {folder}/signature >&2
cat {folder}/signature
"""


@pytest.fixture
def token(fleet):
    """A key that was made in a token and never left it; its public half, and a program that signs with it."""
    folder = fleet.folder / "token"
    (folder / "tokens").mkdir(parents=True)
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(conf)}

    def tool(*args):
        subprocess.run(["pkcs11-tool", "--module", MODULE, *args], check=True, capture_output=True, env=environment)
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "larder", "--pin", "1234", "--so-pin",
                    "5678"], check=True, capture_output=True, env=environment)
    tool("--token-label", "larder", "--login", "--pin", "1234", "--keypairgen", "--key-type", "EC:prime256v1",
         "--id", "01", "--label", "fleet")
    tool("--token-label", "larder", "--read-object", "--type", "pubkey", "--id", "01", "--output-file",
         folder / "key.der")
    public = fleet.folder / "token.pub"
    subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", folder / "key.der", "-out", public],
                   check=True, capture_output=True)
    signer = script(folder / "sign", SIGN_IN_TOKEN.format(conf=conf, module=MODULE, folder=folder))
    return public, signer


def test_a_key_in_a_token_signs(fleet, token):
    """SoftHSM through pkcs11-tool: the cache and the next version of the trust root."""
    public, signer = token
    trust = fleet.version("add", public, to=2, signed_by="a")
    good("larder", "trust", "sign", trust, "--signer", signer, "--public", public)
    assert "signed by 2 of them" in shown(trust, "--from", fleet.first)
    fleet.fetch()
    good("larder", *fleet.bake_args("--unsigned", "--trust-chain", trust))
    good("larder", "sign", fleet.cache, "--signer", signer, "--public", public)
    good("larder-verify", fleet.cache, "--trust", fleet.first)
    refused("does not fit", "larder", "sign", fleet.cache, "--signer", signer, "--public", fleet.public("b"))
