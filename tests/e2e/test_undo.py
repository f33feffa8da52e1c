"""What a bundle did is taken back: where a step fails, at the next boot after a crash, and when the owner asks."""

import json
import shutil
import stat

import pytest

from larder import Workshop, good, immutable, run, tar_gz
from test_firstboot import ADDRESS, firstboot, litter, make_root

OURS = ("run", "var/lib/larder", "var/log", "usr/lib/larder", "usr/libexec", "usr/sbin", "etc/larder", "sys", "proc",
        "etc/systemd", "usr/lib/systemd", "etc/machine-id")


def standing(root):
    """The machine but for what is larder's own, and what the kernel shows: name -> mode and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if any(name == ours or name.startswith(ours + "/") for ours in OURS):
            continue
        status = path.lstat()
        body = None if path.is_dir() and not path.is_symlink() else \
            str(path.readlink()) if path.is_symlink() else path.read_bytes()
        found[name] = (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, body)
    return found


def two_folders(document):
    """One file goes where another stands, the other into folders that are not there."""
    bundle = document["bundles"][0]
    bundle["install"] = [{"do": "files", "files": ["nic/*.conf"], "into": "/etc/larder-test"},
                         {"do": "files", "files": ["nic/*.ko"], "into": "/opt/new/folder"}]
    document["template"]["early"] = False


def that_fails(document):
    """The same, and a third step that cannot work: there is no modprobe in the root."""
    two_folders(document)
    document["bundles"][0]["install"].append({"do": "load", "modules": ["nic"]})


def make(folder, change):
    """A cache, and a machine with it that has a file of its own; and how that looks."""
    shop = Workshop(folder / "shop")
    shop.write_manifest(change)
    shop.bake()
    root = make_root(folder / "root")
    shop.embed(root)
    (root / "etc/larder-test").mkdir()
    (root / "etc/larder-test/nic.conf").write_text("the owner's")
    (root / "etc/larder-test/nic.conf").chmod(0o640)
    return shop, root, standing(root)


def journal(root):
    """The states of the bundles, and their tries."""
    bundles = json.loads((root / "var/lib/larder/journal").read_text())["bundles"]
    return [(row["state"], row["tries"]) for row in bundles]


def kept(root):
    """What is kept for undo."""
    return sorted(path.name for path in (root / "var/lib/larder/undo").rglob("*") if path.is_file())


def test_a_step_that_fails_takes_the_others_back(tmp_path):
    _, root, before = make(tmp_path, that_fails)
    for tries in (1, 2, 3):
        code, status = firstboot(root)
        assert (code, status["reason"]) == (14, "step_failed"), status
        assert "modprobe" in status["text"] and "what it had changed was put back" in status["text"], status
        assert standing(root) == before
        assert journal(root) == [("undone", tries)] and not kept(root) and not litter(root)
    events = [point["event"] for point in status["timeline"]]
    assert events.index("files installed") < events.index("bundle failed") < events.index("bundle undone")
    code, status = firstboot(root)
    assert code == 14 and "given up after 3 tries" in status["text"], status
    assert "files installed" not in [point["event"] for point in status["timeline"]]
    code, status = firstboot(root, "--again")
    assert code == 14 and "modprobe" in status["text"] and journal(root) == [("undone", 1)], status
    assert standing(root) == before


def test_the_owner_takes_it_off_and_brings_it_back(tmp_path):
    shop, root, before = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    after = standing(root)
    assert after != before and len(kept(root)) == 4, kept(root)
    assert run("larder-firstboot", "undo", "--sysroot", root, "--bundle", "other").returncode == 0
    assert standing(root) == after
    document = json.loads(good("larder-firstboot", "undo", "--sysroot", root, "--json"))
    assert (document["state"], document["reason"]) == ("done", "done"), document
    assert "taken off: nic 1.0" in document["text"], document
    assert json.loads((root / "var/lib/larder/result.json").read_text())["text"] == document["text"]
    assert standing(root) == before and journal(root) == [("removed", 1)] and not kept(root)
    for state in ("done", "idle"):
        code, status = firstboot(root)
        assert (code, status["state"]) == (0, state), status
        assert standing(root) == before
    assert "nothing is installed" in good("larder-firstboot", "undo", "--sysroot", root, "--json")
    assert firstboot(root, "--again")[0] == 0
    assert standing(root) == after
    good("larder-firstboot", "undo", "--sysroot", root, "--bundle", "nic")
    assert standing(root) == before
    shop.write_manifest(lambda document: (two_folders(document), document["template"].update(rank=51)))
    shop.bake()
    shop.embed(root)
    assert firstboot(root)[0] == 0
    assert standing(root) == after


def test_what_an_older_larder_installed_is_not_taken_for_the_owner_s(tmp_path):
    """A newer bundle over an older one: taken off, the older one's files are there again."""
    shop, root, _ = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    older = standing(root)
    shop.files["vendor/nic.conf"] = b"options nic speed=faster\n"
    shop.archive.write_bytes(tar_gz(shop.files))
    (shop.folder / "nic.lock.json").unlink()
    shop.write_manifest(two_folders)
    shop.bake()
    shop.embed(root)
    assert firstboot(root)[0] == 0
    assert standing(root) != older
    good("larder-firstboot", "undo", "--sysroot", root)
    assert standing(root) == older


def crashed(root, state, step, tries):
    """The journal as a crash would have left it."""
    path = root / "var/lib/larder/journal"
    document = json.loads(path.read_text())
    document["bundles"][0].update(state=state, step=step, tries=tries)
    path.write_text(json.dumps(document))
    (root / "var/lib/larder/stamp").unlink(missing_ok=True)


@pytest.mark.parametrize("state, tries, then", [
    ("running", 1, "done"), ("running", 3, "undone"), ("failed", 3, "undone"), ("undoing", 1, "done"),
    ("undoing", 3, "undone"), ("removing", 1, "removed")])
def test_the_next_boot_goes_on(tmp_path, state, tries, then):
    _, root, before = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    after = standing(root)
    crashed(root, state, 1, tries)
    code, status = firstboot(root)
    assert journal(root)[0][0] == then, status
    assert code == (14 if then == "undone" else 0), status
    assert standing(root) == (after if then == "done" else before)


def test_an_undo_that_fails_is_told_and_tried_again(tmp_path):
    _, root, before = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    (root / "opt/new/folder/nic.ko").unlink()
    (root / "opt/new/folder").rmdir()
    (root / "opt/new/folder").write_text("in the way")
    assert run("larder-firstboot", "undo", "--sysroot", root).returncode == 14
    assert (root / "etc/larder-test/nic.conf").read_text() == "the owner's"  # the other step is undone
    assert journal(root) == [("removing", 1)]
    code, status = firstboot(root)
    assert code == 14 and "not put back yet" in status["text"], status
    assert "not undone" in [point["event"] for point in status["timeline"]]
    (root / "opt/new/folder").unlink()
    assert firstboot(root)[0] == 0 and journal(root) == [("removed", 1)]
    assert standing(root) == before


def test_without_a_signed_record_nothing_is_touched(tmp_path):
    """Another cache, which does not know the bundle: what is kept says what, and no longer where to."""
    shop, root, before = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    after = standing(root)
    shop.write_manifest(lambda document: (two_folders(document), document["bundles"][0]["install"].pop()))
    shop.bake()
    shop.embed(root)
    done = run("larder-firstboot", "undo", "--sysroot", root)
    assert done.returncode == 14 and "a cache that has it can take it off" in done.stderr, done
    assert standing(root) == after != before


def half(root, before):
    """A crash in the second step of the bundle."""
    assert firstboot(root)[0] == 0 and standing(root) != before
    crashed(root, "running", 1, 1)


def spoil_blob(_shop, root):
    """Not the record, which is kept here: a file that would have to be installed."""
    for path in (root / "usr/lib/larder/cache/blobs/sha256").iterdir():
        data = path.read_bytes()
        if b"options nic" in data or data[:4] == b"\x28\xb5\x2f\xfd" and not (
                root / "var/lib/larder/blobs" / path.name).exists():
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def spoil_envelope(shop, root):
    """No signature fits any more."""
    path = root / "usr/lib/larder/cache/blobs/sha256" / shop.envelope_path().name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def spoil_index(_shop, root):
    """What is carried is no cache."""
    (root / "usr/lib/larder/cache/index.json").write_text("{")


def lose_cache(_shop, root):
    """Nothing is carried."""
    shutil.rmtree(root / "usr/lib/larder/cache")


def another_device(shop, root):
    """A newer cache that has nothing for this machine, and no record of what is half there."""
    shop.write_manifest(lambda document: (two_folders(document), document["bundles"][0]["install"].pop()))
    shop.bake()
    shop.embed(root)


def shut_off(_shop, root):
    """The owner wants no such steps any more."""
    (root / "etc/larder/firstboot.conf").write_text("steps=modules,load\n")


@pytest.mark.parametrize("change, reason", [
    (spoil_blob, "damaged"), (spoil_envelope, "untrusted"), (spoil_index, "damaged"), (lose_cache, "not_carried"),
    (shut_off, "step_failed")])
def test_what_is_half_there_goes_back_when_it_cannot_go_on(tmp_path, change, reason):
    shop, root, before = make(tmp_path, two_folders)
    half(root, before)
    change(shop, root)
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, reason), status
    assert standing(root) == before and not kept(root) and not litter(root), status
    assert "bundle undone" in [point["event"] for point in status["timeline"]]


def test_what_is_half_there_goes_back_before_a_newer_cache_forgets_it(tmp_path):
    shop, root, before = make(tmp_path, two_folders)
    half(root, before)
    another_device(shop, root)
    driver = root / "sys/devices/pci" / ADDRESS / "driver"
    target = driver.readlink()
    driver.unlink()
    code, status = firstboot(root, "--early")
    driver.symlink_to(target)
    assert code == 0 and "statement not stored" in [point["event"] for point in status["timeline"]], status
    code, status = firstboot(root)
    assert code == 0 and "bundle undone" in [point["event"] for point in status["timeline"]], status
    assert not (root / "opt/new").exists()
    assert journal(root) == [("done", 1)]
    good("larder-firstboot", "undo", "--sysroot", root)
    assert standing(root) == before


def test_what_another_machine_kept_is_not_put_into_this_one(tmp_path):
    """An image that was made of a machine, or by somebody who wrote into its /var."""
    _, root, before = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    for path in (root / "var/lib/larder/undo").rglob("*"):
        if path.is_file() and not path.name.endswith(".absent"):
            path.write_text("theirs")
    after = standing(root)
    (root / "etc/machine-id").write_text("1" * 32 + "\n")
    assert firstboot(root)[0] == 0
    good("larder-firstboot", "undo", "--sysroot", root)
    assert standing(root) == after != before


def test_what_stands_in_the_way_is_told_before_anything_changes(tmp_path):
    _, root, _ = make(tmp_path, two_folders)
    (root / "opt/new/folder/nic.ko").mkdir(parents=True)
    before = standing(root)
    code, status = firstboot(root)
    assert code == 14 and "/opt/new/folder: nic.ko: something else stands there" in status["text"], status
    assert standing(root) == before and not (root / "var/lib/larder/undo").exists()
    assert not (root / "var/lib/larder/journal").exists() or journal(root) == []


@pytest.mark.parametrize("place, text", [
    ("etc/larder-test/nic.conf", "/etc/larder-test: nic.conf is immutable (chattr)"),
    ("etc/larder-test", "/etc/larder-test: the folder is immutable (chattr)"),
    ("opt", "/opt: the folder is immutable (chattr)")])
def test_what_is_immutable_is_told_before_anything_changes(tmp_path, place, text):
    """As often as it takes: it costs no try."""
    _, root, _ = make(tmp_path, two_folders)
    (root / "opt").mkdir()
    before = standing(root)
    with immutable(root / place):
        for _ in range(4):
            code, status = firstboot(root)
            assert (code, status["reason"]) == (14, "read_only") and text in status["text"] and status["remedy"], status
            assert standing(root) == before
    assert firstboot(root)[0] == 0


def test_what_became_immutable_is_put_back_once_it_is_not(tmp_path):
    _, root, before = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    with immutable(root / "etc/larder-test/nic.conf"):
        for _ in range(4):
            document = json.loads(run("larder-firstboot", "undo", "--sysroot", root, "--json").stdout)
            assert document["reason"] == "step_failed" and document["remedy"], document
            assert "nic.conf" in document["text"] and "not permitted" in document["text"], document
    good("larder-firstboot", "undo", "--sysroot", root)
    assert standing(root) == before


def test_reset_forgets_what_was_kept(tmp_path):
    _, root, _ = make(tmp_path, two_folders)
    assert firstboot(root)[0] == 0
    after = standing(root)
    good("larder-firstboot", "reset", "--sysroot", root)
    assert not (root / "var/lib/larder/undo").exists()
    good("larder-firstboot", "undo", "--sysroot", root)
    assert standing(root) == after
