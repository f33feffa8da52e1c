"""key, trust, bake, sign, embed and larder-verify, as their users meet them."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from larder import BUILD, KERNEL, TOP, Workshop, good, refused, run, tar_gz


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path / "shop")


@pytest.fixture
def baked(shop):
    shop.bake()
    return shop


def tree(folder):
    """Path -> (mode, mtime, bytes) of every file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, path.read_bytes())
    return found


# keys and trust


def test_key_files_have_their_modes(shop):
    shop.keys()
    assert stat.S_IMODE((shop.folder / "fleet.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((shop.folder / "fleet.pub").stat().st_mode) == 0o644
    assert "BEGIN PRIVATE KEY" in (shop.folder / "fleet.key").read_text()


def test_a_key_is_never_overwritten(shop):
    shop.keys()
    before = (shop.folder / "fleet.key").read_bytes()
    refused("fleet.key exists already; a key is never overwritten", "larder", "key", "new", shop.folder / "fleet")
    assert (shop.folder / "fleet.key").read_bytes() == before


def test_a_key_others_can_read_is_refused(shop):
    key = shop.keys()
    shop.fetch()
    key.chmod(0o644)
    done = refused("mode 0644 lets others read this private key; run: chmod 600", "larder",
                   *shop.bake_args("--key", key))
    assert str(key) in done.stderr


@pytest.mark.parametrize("content, text", [
    ("no key at all\n", "expected a PKCS#8 PEM private key without a passphrase"),
    ("", "expected a PKCS#8 PEM private key without a passphrase"),
])
def test_what_is_no_key(shop, content, text):
    shop.fetch()
    bad = shop.folder / "bad.key"
    bad.write_text(content)
    bad.chmod(0o600)
    refused(text, "larder", *shop.bake_args("--key", bad))


def test_a_key_that_is_none_is_refused_before_the_cache_is_made(shop):
    shop.fetch()
    key = shop.folder / "no.key"
    key.write_text("no key")
    key.chmod(0o600)
    refused("no.key", "larder", *shop.bake_args("--key", key))
    assert not shop.cache.exists()


def test_rsa_is_refused(shop):
    shop.fetch()
    bad = shop.folder / "rsa.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", bad], check=True, capture_output=True)
    bad.chmod(0o600)
    refused("expected an ECDSA P-256 key", "larder", *shop.bake_args("--key", bad))


def test_trust_needs_a_public_key(shop):
    key = shop.keys()
    refused("expected a PEM public key", "larder", "trust", "init", key)
    public = shop.folder / "fleet.pub"
    refused("fleet.pub: a key that is named already", "larder", "trust", "init", public, public)
    refused("only 1 keys are named", "larder", "trust", "init", public, "--threshold", "2", code=2)


# usage


@pytest.mark.parametrize("args, text", [
    (["bkae"], "unknown verb 'bkae'; did you mean 'bake'?"),
    (["bake", "m.json", "--stroe", "x"], "unknown option --stroe; did you mean --store?"),
    (["bake", "m.json", "--store"], "--store needs DIR"),
    (["bake"], "expected MANIFEST..."),
    (["bake", "m.json", "--store", "s", "--cache", "c"], "either --key FILE or --unsigned is needed"),
    (["bake", "m.json", "--store", "s", "--cache", "c", "--unsigned", "--serial", "x"],
     "--serial: expected a number, got 'x'"),
    (["embed", "c", "--root", "/nowhere"], "--trust FILE and --root DIR are needed"),
    (["key", "new", "a", "b"], "too many operands: expected NAME"),
])
def test_wrong_usage_is_exit_2(args, text):
    refused(text, "larder", *args, code=2)


def test_every_verb_has_help():
    for verb in ("key new", "trust init", "fetch", "show", "bake", "sign", "embed"):
        assert "usage: larder " + verb in good("larder", *verb.split(), "--help")
    assert "trust show" in good("larder", "trust", "--help") and "bake" not in good("larder", "key", "--help")
    assert ".SH EXIT STATUS" in good("larder", "--man")


# bake


def test_a_missing_manifest(shop):
    refused("/none.json: no such file", "larder", "bake", shop.folder / "none.json", "--store", shop.store,
            "--cache", shop.cache, "--unsigned")


def test_bake_before_fetch(shop):
    refused("is not in the store; run larder fetch first", "larder", *shop.bake_args("--unsigned"))


def test_baking_twice_writes_nothing(baked):
    before = tree(baked.cache)
    assert "nothing changed" in baked.bake()
    assert tree(baked.cache) == before


def test_the_same_inputs_give_the_same_bytes(baked, tmp_path):
    """Tables, records and blobs: all but the envelope and what points to it."""
    signed = {baked.envelope_path().name}
    first = baked.blobs()
    shutil.rmtree(baked.cache)
    baked.bake()
    second = baked.blobs()
    statement, row = baked.statement(), baked.table()["rows"][0]
    names = {statement["subject"][0]["digest"]["sha256"], row["record"]["digest"].split(":")[1]}
    names |= {file["blob"]["digest"].split(":")[1] for file in baked.record()["files"]}
    assert names <= set(first) & set(second)
    assert not signed & set(second)


def test_a_change_raises_the_serial_and_leaves_no_litter(baked):
    assert baked.statement()["predicate"]["serial"] == 1
    old = set(baked.blobs())
    baked.write_manifest(lambda document: document["template"].update(rank=51))
    assert "serial 2" in baked.bake()
    assert baked.table()["rows"][0]["rank"] == 51
    gone = old - set(baked.blobs())
    assert len(gone) == 4  # table, envelope, cache manifest, index
    assert "clean" in good("larder-verify", baked.cache, "--trust", baked.trust)


def test_a_serial_may_not_fall(baked):
    key = baked.folder / "fleet.key"
    refused("this cache has 1 already", "larder", *baked.bake_args("--key", key, "--serial", "1"))
    good("larder", *baked.bake_args("--key", key, "--serial", "12"))
    assert baked.statement()["predicate"]["serial"] == 12


def test_signed_data_has_exact_names(baked):
    record = baked.record()
    assert [file["path"] for file in record["files"]] == ["nic/nic.conf", "nic/nic.ko"]
    assert record["install"][0] == {"do": "modules", "files": ["nic/nic.ko"]}
    assert record["install"][1] == {"do": "files", "files": ["nic/nic.conf"], "into": "/etc/modprobe.d"}
    assert record["origins"][0]["from"].startswith("file:///")
    assert baked.table()["rows"][0]["kernels"] == [KERNEL]


STEPS = [
    {"do": "packages", "files": ["nic/nic.ko"], "hold": True},
    {"do": "dkms", "module": "nic"},
    {"do": "dkms", "module": "nic", "version": "1.0", "files": ["src"]},
    {"do": "command", "argv": ["%{stage}/bin/install", "-q", "-q", "--kernel=%{kernel}"], "env": {"LOG": "%{log}"},
     "timeout_s": 1800, "ok": [0, 3], "reboot": [10], "undo": ["/usr/sbin/uninstall", "--force"], "removes": ["rdma-core"]},
    {"do": "command", "argv": ["%{stage}/src/tools/install"]},
    {"do": "service", "units": ["nic.service"], "start": True},
    {"do": "sysctl", "settings": {"net.core.rmem_max": "67108864", "-vm.zone_reclaim_mode": "1"}},
    {"do": "limits", "settings": {"memlock": "unlimited"}},
    {"do": "ipoib"},
    {"do": "rdma_names"},
    {"do": "waagent", "settings": {"OS.EnableRDMA": "y"}},
]


def with_steps(shop, *steps):
    """A manifest with an installer and a source tree; globs stand where signed steps have exact names."""
    def change(document):
        document["template"]["early"] = False
        bundle = document["bundles"][0]
        bundle["take"] += [{"file": "vendor", "members": ["*/install"], "into": "bin"},
                           {"file": "vendor", "members": ["*/src/*"], "into": "src", "tree": True}]
        bundle["install"] = list(steps)
    shop.write_manifest(change)
    shop.fetch()


@pytest.fixture(name="installer_shop")
def installer_shop_fixture(tmp_path):
    files = {"vendor/nic.ko": b"module", "vendor/nic.conf": b"options", "vendor/install": (b"#!/bin/sh\n", 0o755),
             "vendor/src/nic.c": b"int x;\n", "vendor/src/tools/install": (b"#!/bin/sh\n", 0o755)}
    return Workshop(tmp_path / "shop", files)


def test_every_step_is_signed_as_it_was_written(installer_shop):
    shop = installer_shop
    globbed = [dict(step, files=[step["files"][0].replace("nic.ko", "*.ko").replace("src", "s*c")]) if "files" in step
               else step for step in STEPS]
    with_steps(shop, *globbed)
    shop.bake()
    assert shop.record()["install"] == STEPS
    assert "clean" in good("larder-verify", shop.cache, "--trust", shop.trust)
    shown = good("larder", "show", shop.cache, "nic")
    for step in STEPS:
        assert json.dumps(step, separators=(",", ":")) in shown


@pytest.mark.parametrize("step, text", [
    ({"do": "command", "argv": ["%{stage}/bin/absent"]}, '"bin/absent" is no executable file of this bundle'),
    ({"do": "command", "argv": ["%{stage}/nic/nic.conf"]}, '"nic/nic.conf" is no executable file of this bundle'),
    ({"do": "command", "argv": ["%{stage}/src"]}, '"src" is no executable file of this bundle'),
    ({"do": "dkms", "module": "nic", "version": "1", "files": ["nic/nic.ko"]}, '"nic/nic.ko" is no tree'),
    ({"do": "packages", "files": ["src"]}, '"src" is a tree'),
])
def test_a_step_that_cannot_be_signed(installer_shop, step, text):
    with_steps(installer_shop, step)
    done = refused(text, "larder", *installer_shop.bake_args("--unsigned"))
    assert "install[0]" in done.stderr


def test_a_glob_in_a_step_that_matches_nothing(shop):
    shop.write_manifest(lambda document: document["bundles"][0]["install"][0].update(files=["nic/*.kko"]))
    shop.fetch()
    done = refused('"nic/*.kko" matches no file of the bundle; nearest: "nic/nic.ko"', "larder",
                   *shop.bake_args("--unsigned"))
    assert "nic 1.0 (nic): install[0]" in done.stderr


def test_a_member_glob_that_matches_nothing(shop):
    shop.write_manifest(lambda document: document["bundles"][0]["take"][0].update(members=["*/nci.ko"]))
    shop.fetch()
    done = refused("*/nci.ko", "larder", *shop.bake_args("--unsigned"))
    assert "vendor/nic.ko" in done.stderr


def test_two_files_of_one_name(tmp_path):
    shop = Workshop(tmp_path / "shop", {"a/nic.ko": b"one", "b/nic.ko": b"two", "b/nic.conf": b"c"})
    shop.fetch()
    refused('two different files would be "nic/nic.ko"', "larder", *shop.bake_args("--unsigned"))


def test_a_store_that_changed_since(shop):
    shop.fetch()
    blob = next((shop.store / "blobs/sha256").iterdir())
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1])
    done = run("larder", *shop.bake_args("--unsigned"))
    assert done.returncode == 1 and not (shop.cache / "index.json").exists()


def test_licence_acceptance(shop):
    shop.write_manifest(lambda document: document["licence"].update(id="LicenseRef-Vendor", accept=True))
    shop.fetch()
    done = refused("LicenseRef-Vendor", "larder", *shop.bake_args("--unsigned"))
    assert "licences_accepted" in done.stderr


def test_what_a_site_file_asks_in_vain_is_said(shop):
    """Nobody shall believe that modules are signed."""
    site = shop.folder / "site.json"
    site.write_text(json.dumps({"format": "larder.site.v1", "modules": {"sign": {"certificate": "c.pem",
                                                                                "signer": ["sign"]}}}))
    shop.fetch()
    done = run("larder", *shop.bake_args("--unsigned", "--site", site))
    assert done.returncode == 0 and f"warning: {site}: modules.sign: not supported yet" in done.stderr, done


def test_an_unwritable_folder(shop):
    shop.fetch()
    if os.geteuid() == 0:
        place = shop.folder / "not-a-folder"
        place.write_text("")
        refused("Not a directory", "larder", "bake", shop.manifest, "--store", shop.store, "--cache",
                place / "cache", "--unsigned")
    shop.cache = "/proc/larder"
    refused("/proc/larder: make folder larder: No such file or directory", "larder",
            *shop.bake_args("--unsigned"))


def test_bake_and_copy_leave_somebodys_folder_alone(baked, tmp_path):
    """A cache in the middle of somebody's sources would be found by nobody, or taken for them."""
    theirs = tmp_path / "sources"
    theirs.mkdir()
    (theirs / "open.c").write_text("int open;")
    before = tree(theirs)
    whole, baked.cache = baked.cache, theirs
    refused("no cache, and not empty (open.c is in it)", "larder", *baked.bake_args("--unsigned"))
    refused("no cache, and not empty (open.c is in it)", "larder", "copy", whole, theirs)
    good("larder", "copy", whole, tmp_path / "x.tar")
    with (tmp_path / "x.tar").open("rb") as stream:
        done = subprocess.run([BUILD / "larder", "copy", "-", theirs], stdin=stream, capture_output=True, text=True,
                              check=False)
    assert done.returncode == 1 and "not empty" in done.stderr, done
    assert tree(theirs) == before and [path.name for path in theirs.iterdir()] == ["open.c"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(tmp_path, small_disk):
    shop = Workshop(tmp_path / "shop", {"v/nic.ko": os.urandom(1 << 20), "v/nic.conf": b"c"})
    shop.fetch()
    shop.cache = small_disk / "cache"
    refused("No space left on device", "larder", *shop.bake_args("--unsigned"))
    assert not list(shop.cache.rglob("*.draft"))


def test_an_archive_that_changed_in_the_store_is_never_signed(shop):
    """The store may have travelled: its bytes are proven again before anything is made of them."""
    key = shop.keys()
    shop.fetch()
    blob = next((shop.store / "blobs/sha256").iterdir())
    evil = tar_gz({"vendor/nic.ko": b"evil", "vendor/nic.conf": b"evil"})
    blob.write_bytes(evil.ljust(blob.stat().st_size, b"\0")[:blob.stat().st_size])
    refused("the store's copy changed since it was fetched", "larder", *shop.bake_args("--key", key))
    refused("the store lacks", "larder", "fetch", shop.manifest, "--store", shop.store, "--offline")
    assert "fetched 1 of 1" in shop.fetch()  # a damaged copy is fetched again
    good("larder", *shop.bake_args("--key", key))
    assert shop.record()["files"][1]["size"] == len(shop.files["vendor/nic.ko"])


def test_links_in_a_store_lead_nowhere(shop, tmp_path):
    """A store that somebody brought cannot make us remove files of ours."""
    victim = tmp_path / "victim/deep"
    victim.mkdir(parents=True)
    (victim / "thesis").write_text("years")
    shop.store.mkdir(mode=0o700)
    (shop.store / "blobs").mkdir()
    (shop.store / "blobs/sha256").symlink_to(tmp_path / "victim")
    assert run("larder", "fetch", shop.manifest, "--store", shop.store).returncode == 1
    (shop.store / "blobs/sha256").unlink()
    (shop.store / "blobs/sha256").mkdir()
    (shop.store / "blobs/sha256/folder").mkdir()
    shop.fetch()
    assert (victim / "thesis").read_text() == "years"
    assert (shop.store / "blobs/sha256/folder").exists()


def test_bake_continues_only_what_its_key_signed(baked):
    """Whoever writes to the cache folder between two bakes does not choose our serial."""
    other = baked.keys("other")
    baked.write_manifest(lambda document: document["bundles"][0]["install"][1].update(into="/etc/other.d"))
    before = tree(baked.cache)
    refused("cannot be continued", "larder", *baked.bake_args("--key", other))
    refused("--serial 1: this cache has 1 already", "larder",
            *baked.bake_args("--key", baked.folder / "fleet.key", "--serial", "1"))
    assert tree(baked.cache) == before  # refused before the first blob
    good("larder", *baked.bake_args("--key", other, "--serial", "9"))
    assert baked.statement()["predicate"]["serial"] == 9


def test_bake_never_says_signed_over_a_bad_signature(baked):
    path = baked.envelope_path()
    envelope = json.loads(path.read_text())
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[-1] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    path.write_text(json.dumps(envelope))
    refused("cannot be continued", "larder", *baked.bake_args("--key", baked.folder / "fleet.key"))


def test_bake_mends_a_damaged_blob(baked):
    name = baked.record()["files"][1]["blob"]["digest"].split(":")[1]
    damage(baked.cache / "blobs/sha256" / name, "flip")
    baked.bake()
    good("larder-verify", baked.cache, "--trust", baked.trust)


def test_a_damaged_blob_does_not_pass_for_one_that_is_not_carried(baked, tmp_path):
    name = baked.record()["files"][1]["blob"]["digest"].split(":")[1]
    damage(baked.cache / "blobs/sha256" / name, "cut")
    before = tree(baked.cache)
    refused("does not have its signed size", "larder", "sign", baked.cache, "--key", baked.folder / "fleet.key")
    (tmp_path / "root").mkdir()
    refused("does not have its signed size", "larder", "embed", baked.cache, "--trust", baked.trust, "--root",
            tmp_path / "root")
    assert {name: row[2] for name, row in tree(baked.cache).items()} == {
        name: row[2] for name, row in before.items()}


# sign


def test_unsigned_then_signed_elsewhere(shop):
    shop.keys()
    shop.fetch()
    assert "not signed: run larder sign" in shop.bake("--unsigned")
    done = run("larder-verify", shop.cache, "--trust", shop.trust)
    assert (done.returncode, "not signed" in done.stdout) == (4, True)
    assert "1 signature" in good("larder", "sign", shop.cache, "--key", shop.folder / "fleet.key")
    good("larder-verify", shop.cache, "--trust", shop.trust)
    good("larder", "sign", shop.cache, "--key", shop.folder / "fleet.key")
    assert len(shop.envelope()["signatures"]) == 1


def test_two_of_two(shop):
    first, second = shop.keys("fleet"), shop.keys("second")
    both = shop.folder / "both.json"
    both.write_text(good("larder", "trust", "init", shop.folder / "fleet.pub", shop.folder / "second.pub",
                         "--threshold", "2"))
    shop.bake("--key", first)
    done = run("larder-verify", shop.cache, "--trust", both)
    assert done.returncode == 4 and "signed by 1 trusted keys, but 2 are needed" in done.stdout
    good("larder", "sign", shop.cache, "--key", second)
    good("larder-verify", shop.cache, "--trust", both)


def test_ed25519(shop):
    good("larder", "key", "new", "--ed25519", shop.folder / "ed")
    trust = shop.folder / "ed.json"
    trust.write_text(good("larder", "trust", "init", shop.folder / "ed.pub"))
    shop.bake("--key", shop.folder / "ed.key")
    good("larder-verify", shop.cache, "--trust", trust)


def recipe():
    """The shell lines of docs/FORMAT.md, section 3."""
    text = (TOP / "docs/FORMAT.md").read_text().split("### Checked with openssl and jq alone")[1]
    lines = text.split("\n(ECDSA keys")[0].splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))


def test_the_signature_with_openssl_and_jq_alone(baked):
    script = (recipe().replace("/tmp/", f"{baked.folder}/").replace("cd CACHE", f"cd {baked.cache}")
              .replace("fleet.pub", f"{baked.folder}/fleet.pub"))
    done = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and "Verified OK" in done.stdout, done.stderr
    other = baked.keys("other")
    assert other
    wrong = script.replace(f"{baked.folder}/fleet.pub", f"{baked.folder}/other.pub")
    assert subprocess.run(["bash", "-eu", "-c", wrong], capture_output=True).returncode != 0


# verify


def damage(path, how):
    """Change a file as an attacker or a bad disk would."""
    data = path.read_bytes()
    if how == "flip":
        data = data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
    elif how == "cut":
        data = data[:-1]
    elif how == "longer":
        data += b"x"
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flip", "cut", "longer"])
@pytest.mark.parametrize("what, code", [("envelope", 4), ("table", 3), ("record", 3), ("blob", 3)])
def test_every_change_is_found(baked, what, how, code):
    record = baked.record()
    name = {"envelope": baked.envelope_path().name,
            "table": baked.statement()["subject"][0]["digest"]["sha256"],
            "record": baked.table()["rows"][0]["record"]["digest"].split(":")[1],
            "blob": record["files"][1]["blob"]["digest"].split(":")[1]}[what]
    damage(baked.cache / "blobs/sha256" / name, how)
    done = run("larder-verify", baked.cache, "--trust", baked.trust)
    assert done.returncode == code, done.stdout


def test_verify_says_what_it_is(baked):
    other = baked.keys("other")
    assert run("larder-verify", baked.cache, "--trust", baked.folder / "other.json").returncode == 4
    assert run("larder-verify", baked.cache, "--trust", baked.trust, "--serial-at-least", "2").returncode == 6
    assert run("larder-verify", baked.folder / "none", "--trust", baked.trust).returncode == 1
    table = baked.statement()["subject"][0]["digest"]["sha256"]
    (baked.cache / "blobs/sha256" / table).unlink()
    assert run("larder-verify", baked.cache, "--trust", baked.trust).returncode == 5
    assert other


def test_one_finding_does_not_hide_another(baked):
    name = baked.record()["files"][1]["blob"]["digest"].split(":")[1]
    damage(baked.cache / "blobs/sha256" / name, "flip")
    done = run("larder-verify", baked.cache, "--trust", baked.trust, "--serial-at-least", "2")
    assert done.returncode == 3
    assert "stale" in done.stdout and "damaged" in done.stdout


def test_a_blob_that_a_slice_lacks_is_no_finding(baked):
    name = baked.record()["files"][1]["blob"]["digest"].split(":")[1]
    (baked.cache / "blobs/sha256" / name).unlink()
    assert "0 of 1 bundles carried" in good("larder-verify", baked.cache, "--trust", baked.trust)


# embed


def test_embed_lays_down_everything_once(baked, tmp_path):
    root = tmp_path / "root"
    baked.embed(root)
    for name, mode in {"usr/libexec/larder/larder-firstboot": 0o755, "usr/libexec/larder/larder-download": 0o755,
                       "usr/lib/systemd/system/larder-download.service": 0o644, "etc/larder/trust.json": 0o644,
                       "etc/larder/floor": 0o644, "etc/larder/firstboot.conf": 0o644,
                       "usr/lib/systemd/system/larder-early.service": 0o644,
                       "usr/lib/larder/cache/index.json": 0o644}.items():
        assert stat.S_IMODE((root / name).stat().st_mode) == mode, name
    assert (root / "etc/larder/floor").read_text() == "1\n"
    assert os.readlink(root / "usr/sbin/larder-firstboot") == "../libexec/larder/larder-firstboot"
    wants = root / "etc/systemd/system/sysinit.target.wants/larder-early.service"
    assert os.readlink(wants) == "/usr/lib/systemd/system/larder-early.service"
    good("larder-verify", root / "usr/lib/larder/cache", "--trust", baked.trust)
    before = tree(root)
    assert "nothing to write" in baked.embed(root)
    assert tree(root) == before


def test_embed_without_the_downloader(baked, tmp_path):
    """It can be left out, and what an earlier embed put there goes, its units too; nothing else does."""
    root, other = tmp_path / "root", tmp_path / "other"
    baked.embed(root)
    other.mkdir()
    words = ("embed", baked.cache, "--trust", baked.trust, "--no-download", "--root")
    assert "written" in good("larder", *words, root)
    assert "nothing to write" in good("larder", *words, root)
    good("larder", *words, other)
    assert tree(other).keys() == tree(root).keys()
    assert not [path for path in root.rglob("*") if re.match("larder-(download|net)", path.name)]
    baked.embed(root)
    assert (root / "usr/libexec/larder/larder-download").exists()


def test_embed_says_that_there_is_no_downloader(baked, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(BUILD / "larder-firstboot", alone)
    root = tmp_path / "root"
    root.mkdir()
    done = run("larder", "embed", baked.cache, "--trust", baked.trust, "--root", root, "--agent", alone / "larder-firstboot")
    assert done.returncode == 0 and "no larder-download beside the agent" in done.stderr, done
    assert not (root / "usr/lib/systemd/system/larder-download.service").exists()


def test_embed_keeps_configuration_and_repairs_blobs(baked, tmp_path):
    root = tmp_path / "root"
    baked.embed(root)
    (root / "etc/larder/firstboot.conf").write_text("steps=modules,load\n")
    blob = root / "usr/lib/larder/cache/blobs/sha256" / baked.record()["files"][1]["blob"]["digest"].split(":")[1]
    damage(blob, "flip")
    baked.embed(root)
    assert (root / "etc/larder/firstboot.conf").read_text() == "steps=modules,load\n"
    good("larder-verify", root / "usr/lib/larder/cache", "--trust", baked.trust)


def test_embed_stays_inside_its_root(baked, tmp_path):
    """A root whose usr/lib is an absolute link, as a container image may have it."""
    root = tmp_path / "root"
    (root / "usr").mkdir(parents=True)
    (root / "real-lib").mkdir()
    (root / "usr/lib").symlink_to("/real-lib")
    baked.embed(root)
    assert (root / "real-lib/larder/cache/index.json").exists()


def test_embed_refuses_what_trust_does_not_prove(baked, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    baked.keys("other")
    refused("which this trust root does not know", "larder", "embed", baked.cache, "--trust",
            baked.folder / "other.json", "--root", root)
    assert not list(root.iterdir())


def test_embed_refuses_a_damaged_blob(baked, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    damage(baked.cache / "blobs/sha256" / baked.record()["files"][1]["blob"]["digest"].split(":")[1], "flip")
    refused("does not have the digest that was signed", "larder", "embed", baked.cache, "--trust", baked.trust,
            "--root", root)
    assert not (root / "usr/lib/larder/cache/index.json").exists()


def test_embed_does_not_go_below_the_floor(baked, tmp_path):
    root = tmp_path / "root"
    (root / "etc/larder").mkdir(parents=True)
    (root / "etc/larder/floor").write_text("9\n")
    refused("/etc/larder/floor of this image is 9; bake with --serial 9 or more", "larder", "embed",
            baked.cache, "--trust", baked.trust, "--root", root)


def test_embed_and_sign_say_what_they_take(baked, tmp_path):
    """A folder or a tar, and a folder: not a registry, not a pipe, not parts."""
    tar = tmp_path / "hpc.tar"
    good("larder", "copy", baked.cache, tar)
    for word in ("oci://registry.lan/hpc/drivers:7", "-"):
        refused(f"larder copy {word} DIR, then use DIR", "larder", "embed", word, "--trust", baked.trust, "--root",
                tmp_path, code=2)
    refused(f"{tar}: expected a folder", "larder", "sign", tar, "--key", baked.folder / "fleet.key", code=2)


def test_embed_without_a_root(baked, tmp_path):
    refused("no such folder", "larder", "embed", baked.cache, "--trust", baked.trust, "--root", tmp_path / "none")
