"""larder-firstboot on a sysroot: a machine made of folders, with a cache that larder embedded."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from larder import BUILD, DEVICE, KERNEL, TRACED, Workshop, good, run

ADDRESS = "a1b2:00:02.0"  # PCI domains are random words on Hyper-V


def device(root, address, modalias, driver=None):
    """A PCI device as /sys shows it: a link from the bus to a folder far away."""
    place = root / "sys/devices/pci" / address
    place.mkdir(parents=True)
    (place / "modalias").write_text(modalias + "\n")
    bus = root / "sys/bus/pci/devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / address).symlink_to(f"../../../devices/pci/{address}")
    if driver:
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
        (place / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    return place


def make_root(folder, driver="nic", modalias=DEVICE):
    """Debian 12 with one NIC, and the kernel of the test manifest."""
    for name, text in {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/machine-id": "0" * 32 + "\n",
                       "proc/sys/kernel/osrelease": KERNEL + "\n", "proc/cmdline": "quiet\n",
                       f"lib/modules/{KERNEL}/modules.order": "",
                       f"lib/modules/{KERNEL}/modules.builtin": ""}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in ("run", "var/lib", "var/log", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    device(folder, ADDRESS, modalias, driver)
    return folder


def only_files(document):
    """A bundle whose one step a sysroot can do alone."""
    bundle = document["bundles"][0]
    bundle["install"] = [{"do": "files", "files": ["nic/*"], "into": "/etc/larder-test"}]
    document["template"]["early"] = False


@pytest.fixture
def shop(tmp_path):
    made = Workshop(tmp_path / "shop")
    made.write_manifest(only_files)
    made.bake()
    return made


@pytest.fixture
def root(shop, tmp_path):
    """A machine with the shop's cache in it."""
    made = make_root(tmp_path / "root")
    shop.embed(made)
    return made


def firstboot(root, *args, prefix=()):
    """Run the main moment; returns (exit code, the moment's status)."""
    done = run("larder-firstboot", "run", "--sysroot", root, *args, prefix=prefix)
    status = json.loads((root / "run/larder/status.json").read_text())
    return done.returncode, status["moments"]["early" if "--early" in args else "main"]


def installed(root):
    """What the bundle's files step laid down."""
    place = root / "etc/larder-test"
    return {path.name: path.read_bytes() for path in place.iterdir()} if place.exists() else {}


def litter(root):
    """What no run may leave."""
    found = [path for path in (root / "var/lib/larder").rglob("*") if ".draft" in path.name]
    return found + list((root / "var/lib/larder").glob("staging"))


def test_installs_what_the_cache_has(shop, root):
    code, status = firstboot(root)
    assert (code, status["state"], status["reason"]) == (0, "done", "done"), status
    assert installed(root) == {"nic.ko": shop.files["vendor/nic.ko"], "nic.conf": shop.files["vendor/nic.conf"]}
    assert not litter(root)
    result = json.loads((root / "var/lib/larder/result.json").read_text())
    assert result["reason"] == "done"
    log = (root / "var/log/larder.log").read_text()
    assert "cache verified" in log


def test_the_second_run_is_idle_and_a_change_is_not(root):
    firstboot(root)
    assert firstboot(root)[1]["state"] == "idle"
    (root / "etc/larder/floor").write_text("0\n")
    assert firstboot(root)[1]["state"] == "done"
    assert firstboot(root)[1]["state"] == "idle"
    (root / "etc/machine-id").write_text("1" * 32 + "\n")
    assert firstboot(root)[1]["state"] == "done"


def test_idle_rests_on_the_envelope_and_on_the_files(shop, root):
    firstboot(root)
    (root / "etc/larder-test/nic.conf").unlink()
    assert firstboot(root)[1]["state"] == "done"
    assert installed(root)["nic.conf"] == shop.files["vendor/nic.conf"]
    assert firstboot(root)[1]["state"] == "idle"
    envelope = root / "usr/lib/larder/cache/blobs/sha256" / shop.envelope_path().name
    data = bytearray(envelope.read_bytes())
    data[len(data) // 2] ^= 1
    envelope.write_bytes(data)
    assert firstboot(root)[1]["reason"] == "untrusted"


def test_a_pipe_among_the_attributes_holds_nobody_up(root):
    (root / "sys/devices/pci" / ADDRESS / "modalias").unlink()
    os.mkfifo(root / "sys/devices/pci" / ADDRESS / "modalias")
    assert firstboot(root, prefix=("timeout", "-s", "KILL", "20"))[1]["reason"] == "no_device"


def hostile_chain(shop, root):
    """Hints of the largest size that are as many values as fit, all the way to an unsigned envelope."""
    cache = root / "usr/lib/larder/cache"

    def put(text):
        data = text.encode()
        name = hashlib.sha256(data).hexdigest()
        (cache / "blobs/sha256" / name).write_bytes(data)
        return json.dumps({"digest": "sha256:" + name, "size": len(data)})

    def fill(size):
        return "[" + "{}," * ((size - 600) // 3) + "{}]"

    for count in (4 << 20, 380_000):
        envelope = put('{"payloadType":"application/vnd.in-toto+json","payload":"' + "A" * (4_000_000)
                       + '","signatures":' + fill(3000) + "}")
        manifest = put('{"layers":[' + envelope + '],"x":' + fill(count) + "}")
        index = put('{"manifests":[' + manifest + '],"x":' + fill(count) + "}")
        (cache / "index.json").write_text('{"manifests":[' + index + '],"x":' + fill(65000) + "}")
        yield count
    (cache / "index.json").write_text('{"x":' + fill(4 << 20) + "}")
    yield "index.json"


def test_what_nobody_signed_takes_little_memory(shop, root):
    """Within 64 MB the agent still says what is wrong: it does not die of want."""
    if BUILD.name == "sanitize":
        pytest.skip("the sanitizers take memory of their own")
    for step in hostile_chain(shop, root):
        code, status = firstboot(root, prefix=("prlimit", f"--data={64 << 20}"))
        assert code == 14 and status["reason"] in ("damaged", "untrusted"), (step, status)


def test_state_is_root_s_own(root):
    firstboot(root)
    modes = {name: oct((root / name).stat().st_mode & 0o7777)
             for name in ("var/lib/larder", "run/larder", "run/larder/status.json")}
    assert modes == {"var/lib/larder": "0o700", "run/larder": "0o755", "run/larder/status.json": "0o644"}


def break_cache(shop, root, how):
    """One thing that an attacker, a disk or a mistake may do to an image."""
    cache = root / "usr/lib/larder/cache"
    blobs = cache / "blobs/sha256"
    blob = blobs / shop.record()["files"][1]["blob"]["digest"].split(":")[1]
    table = blobs / shop.statement()["subject"][0]["digest"]["sha256"]
    envelope = blobs / shop.envelope_path().name
    if how in ("blob flipped", "table flipped", "envelope flipped"):
        path = {"blob": blob, "table": table, "envelope": envelope}[how.split()[0]]
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "blob cut":
        blob.write_bytes(blob.read_bytes()[:-1])
    elif how == "blob gone":
        blob.unlink()
    elif how == "blob a link":
        shutil.copy(blob, root / "tmp/blob")
        blob.unlink()
        blob.symlink_to("/tmp/blob")
    elif how == "cache gone":
        shutil.rmtree(cache)
    elif how == "garbage index":
        (cache / "index.json").write_text("{")
    elif how == "trust gone":
        (root / "etc/larder/trust.json").unlink()
    elif how == "floor raised":
        (root / "etc/larder/floor").write_text("2\n")
    elif how == "floor garbage":
        (root / "etc/larder/floor").write_text("many\n")
    elif how == "another key":
        shop.keys("other")
        shutil.copy(shop.folder / "other.json", root / "etc/larder/trust.json")
    elif how == "other kernel":
        (root / "proc/sys/kernel/osrelease").write_text("6.9.9\n")
    elif how == "other os":
        (root / "etc/os-release").write_text("ID=plan9\nVERSION_ID=4\n")
    elif how == "other version":
        (root / "etc/os-release").write_text("ID=debian\nVERSION_ID=11\n")
    elif how == "record flipped":
        record = blobs / shop.table()["rows"][0]["record"]["digest"].split(":")[1]
        record.write_bytes(record.read_bytes().replace(b"nic.ko", b"nic.kx", 1))
    elif how.startswith("index "):
        index = cache / "index.json"
        text = index.read_bytes()
        index.unlink()
        if how == "index a link":
            (cache / "index").write_bytes(text)
            index.symlink_to("index")
        elif how == "index a device":
            index.symlink_to("/dev/zero")
        elif how == "index a pipe":
            os.mkfifo(index)
        elif how == "index a socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(shop.folder / "socket"))
            (shop.folder / "socket").rename(index)
        elif how == "index large":
            index.write_bytes(text + b" " * 65536)
    elif how == "cache a loop":
        shutil.rmtree(cache)
        cache.symlink_to("cache")
    elif how == "cache outside":
        cache.rename(root.parent / "outside")
        cache.symlink_to(root.parent / "outside")
    elif how == "floor a pipe":
        (root / "etc/larder/floor").unlink()
        os.mkfifo(root / "etc/larder/floor")
    elif how == "no nic":
        shutil.rmtree(root / "sys")


@pytest.mark.parametrize("how, code, reason", [
    ("blob flipped", 14, "damaged"), ("blob cut", 14, "damaged"), ("blob a link", 14, "damaged"),
    ("blob gone", 14, "not_carried"), ("cache gone", 14, "not_carried"), ("garbage index", 14, "damaged"),
    ("table flipped", 14, "damaged"), ("envelope flipped", 14, "untrusted"), ("trust gone", 14, "untrusted"),
    ("another key", 14, "untrusted"), ("floor raised", 14, "serial"), ("floor garbage", 14, "serial"),
    ("other kernel", 14, "kernel"), ("other os", 12, "os"), ("other version", 12, "os_version"),
    ("no nic", 11, "no_device"), ("record flipped", 14, "damaged"), ("index a link", 14, "damaged"),
    ("index a device", 14, "damaged"), ("index a pipe", 14, "damaged"), ("index a socket", 14, "damaged"),
    ("index large", 14, "damaged"), ("cache a loop", 14, "damaged"), ("cache outside", 14, "not_carried"),
    ("floor a pipe", 14, "serial"),
])
def test_refuses_with_a_reason_and_installs_nothing(shop, root, how, code, reason):
    break_cache(shop, root, how)
    plan = run("larder-firstboot", "plan", "--sysroot", root, "--json")
    if how != "blob flipped":  # plan looks at a blob's size, and leaves its bytes to run
        assert (plan.returncode, json.loads(plan.stdout)["reason"]) == (code, reason), plan.stdout
    found, status = firstboot(root)
    assert (found, status["reason"], status["code"]) == (code, reason, code), status
    assert status["text"] and status["remedy"]
    assert not installed(root) and not litter(root)


def test_a_policy_can_only_take_away(root):
    (root / "etc/larder/firstboot.conf").write_text("steps=modules,load\n")
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "step_failed")
    assert "files" in status["text"] and "firstboot.conf" in status["text"]
    assert not installed(root)


def test_switched_off_on_the_kernel_command_line(root):
    (root / "proc/cmdline").write_text("quiet larder.enabled=no\n")
    code, status = firstboot(root)
    assert code == 0 and not installed(root), status


def test_proof_fails_when_no_driver_binds(shop, tmp_path):
    root = make_root(tmp_path / "root", driver=None)
    shop.embed(root)
    (root / "etc/larder/firstboot.conf").write_text("carrier_timeout_s=1\n")
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "proof_failed"), status


def early_carrier(document):
    """A bundle that the early moment may install, proven by the link alone."""
    only_files(document)
    document["template"]["early"] = True
    document["bundles"][0]["expect"] = {"carrier": True}


def test_the_boot_does_not_stand_still_for_a_link(tmp_path):
    """The early moment goes on without it; the main one waits, and says that it did not come."""
    made, root = Workshop(tmp_path / "shop"), make_root(tmp_path / "root", driver=None)
    made.write_manifest(early_carrier)
    made.bake()
    made.embed(root)
    (root / "etc/larder/firstboot.conf").write_text("carrier_timeout_s=1\n")
    code, early = firstboot(root, "--early")
    assert (code, early["reason"]) == (0, "done") and installed(root), early
    awaited = [row["detail"] for row in early["timeline"] if row["event"] == "link awaited"]
    assert awaited == ["no network interface appeared in time: the main moment looks again"], early
    code, status = firstboot(root)
    assert (code, status["reason"]) == (14, "proof_failed") and "no network interface" in status["text"], status


def test_early_leaves_what_is_not_early_to_main(shop, tmp_path):
    root = make_root(tmp_path / "root", driver=None)
    shop.embed(root)
    code, status = firstboot(root, "--early")
    assert code == 0 and "main moment" in status["text"], status
    assert not installed(root)


def test_waiting_for_udev_looks_at_little(shop, tmp_path):
    """As long as udev works on its queue, a NIC without a driver may yet get one; the machine is not detected all the time."""
    root, trace = make_root(tmp_path / "root", driver=None), tmp_path / "trace"
    shop.embed(root)
    (root / "run/udev").mkdir()
    (root / "run/udev/queue").touch()
    bound = device(root, "a1b2:00:03.0", DEVICE, "nic") / "driver"
    agent = subprocess.Popen(["strace", "-f", "-o", trace, BUILD / "larder-firstboot", "run", "--early", "--sysroot", root],
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **TRACED})
    while agent.poll() is None and (not trace.exists() or trace.read_text().count("udev/queue") < 20):
        time.sleep(0.01)
    (root / "sys/devices/pci" / ADDRESS / "driver").symlink_to(os.readlink(bound))
    assert agent.wait(timeout=60) == 0
    early = json.loads((root / "run/larder/status.json").read_text())["moments"]["early"]
    assert early["text"] == "nothing to do early: every network device has a driver", early
    text = trace.read_text()
    assert text.count("udev/queue") >= 20 and 1 <= text.count("os-release") <= 4, text.count("os-release")


def test_a_second_run_waits_for_the_first(root):
    (root / "run/larder").mkdir(exist_ok=True)
    lock = root / "run/larder/lock"
    holder = subprocess.Popen(["flock", lock, "sleep", "2"])
    try:
        code, status = firstboot(root)
    finally:
        holder.wait()
    assert (code, status["reason"]) == (0, "done")


HOSTILE_UNDO = json.dumps({"format": "larder.journal.v1", "machine": f"sha256:{0:064}", "envelope": f"sha256:{0:064}", "bundles": [
    {"record": f"sha256:{0:064}", "boot": f"sha256:{0:064}", "kernel": KERNEL, "step": 0, "state": "undoing", "tries": 1,
     "undo_tries": "touch /tmp/owned"}]})


@pytest.mark.parametrize("journal", ["", "{", '{"format":"larder.journal.v1"}', "#!/bin/sh\ntouch /tmp/owned\n",
                                     '{"run":"touch /tmp/owned"}', HOSTILE_UNDO])
def test_a_hostile_journal_is_discarded(root, journal):
    state = root / "var/lib/larder"
    state.mkdir(mode=0o700)
    (state / "journal").write_text(journal)
    (state / "stamp").write_text(journal)
    assert firstboot(root)[0] == 0
    assert installed(root) and not os.path.exists("/tmp/owned")


@pytest.mark.parametrize("setting, code, text", [
    ("enabled=no", 0, "switched off by /etc/larder/conf.d/x.conf"),
    ("steps=modules", 14, "steps=... in /etc/larder/conf.d/x.conf forbids 'files'"),
    ("stepz=files", 0, "warning: /etc/larder/conf.d/x.conf: unknown key stepz; ignored"),
])
def test_plan_obeys_the_configuration_as_run_does(root, setting, code, text):
    (root / "etc/larder/conf.d/x.conf").write_text(setting + "\n")
    for words in (["plan"], ["run"], ["plan", "--json"]):
        done = run("larder-firstboot", *words, "--sysroot", root)
        told = json.loads(done.stdout)["text"] + done.stderr if "--json" in words else done.stdout + done.stderr
        assert (done.returncode == code or words == ["run"]) and text in told, (words, done)


def test_plan_and_facts_speak_json(root):
    facts = json.loads(good("larder-firstboot", "facts", "--sysroot", root, "--json"))
    assert facts["kernel"] == KERNEL
    assert [row["address"] for row in facts["devices"]] == [ADDRESS]
    json.loads(good("larder-firstboot", "plan", "--sysroot", root, "--json"))
    assert not installed(root)
    firstboot(root)
    json.loads(good("larder-firstboot", "status", "--sysroot", root, "--json"))


def test_no_socket_is_opened(root, tmp_path):
    """The agent has no way to a network: not one socket, of any family, on a run that installs."""
    trace = tmp_path / "trace"
    firstboot(root, prefix=("strace", "-f", "-e", "trace=socket,socketpair,connect,bind", "-o", trace))
    assert installed(root)
    calls = [line for line in trace.read_text().splitlines() if "socket" in line or "connect" in line]
    assert calls == []


def test_no_http_or_tls_client_is_linked():
    """No symbol of libcurl or libssl is in the agent, and no loader is asked for anything."""
    full = BUILD / "larder-firstboot.full"
    names = subprocess.run(["nm", full], capture_output=True, text=True, check=True).stdout
    assert not [line for line in names.splitlines() if " SSL_" in line or " curl_" in line]
    if BUILD.name != "sanitize":
        needed = subprocess.run(["readelf", "-d", BUILD / "larder-firstboot"], capture_output=True, text=True)
        assert "NEEDED" not in needed.stdout


def test_the_guest_s_own_configuration_is_not_loaded(root, tmp_path):
    """A static program must not open the guest's openssl.cnf, or any module that nsswitch.conf names."""
    trace = tmp_path / "trace"
    firstboot(root, prefix=("strace", "-f", "-e", "trace=open,openat", "-o", trace))
    opened = trace.read_text()
    for name in ("openssl.cnf", "libnss", "ossl-modules", "/usr/share/locale"):
        assert name not in opened, name


TOOL = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **word)
{
	FILE *calls = fopen("/tmp/calls", "a");

	fprintf(calls, "%s %d\n", word[0], (int)getpid());
	fclose(calls);
	if (strstr(word[0], "dpkg-deb"))
		puts("1");
	if (strstr(word[0], "dpkg-query"))
		return 1;
	if (strcmp(word[0], "dpkg") == 0 && access("/tmp/fail", F_OK) == 0) {
		printf("an error \033[2J here\n");
		return 1;
	}
	if (strcmp(word[0], "dpkg") == 0 && access("/tmp/hang", F_OK) == 0)
		sleep(60);
	return 0;
}
"""


@pytest.fixture
def packaged(tmp_path):
    """A machine whose package manager says what is asked of it, and a bundle of one package."""
    package = tmp_path / "x.deb"
    package.write_bytes(b"a package")

    def one_package(document):
        url = f"file://{package}"
        data = package.read_bytes()
        document["files"] = {"vendor": {"url": url}}
        document["pins"] = {url: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}}
        document["template"]["early"] = False
        document["bundles"][0]["take"] = [{"file": "vendor", "into": "debs"}]
        document["bundles"][0]["install"] = [{"do": "packages", "files": ["debs/x.deb"]}]

    shop = Workshop(tmp_path / "shop")
    shop.write_manifest(one_package)
    shop.bake()
    root = make_root(tmp_path / "root")
    shop.embed(root)
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    (tmp_path / "tool.c").write_text(TOOL)
    subprocess.run(["gcc", "-static", "-o", root / "usr/bin/dpkg", tmp_path / "tool.c"], check=True)
    for name in ("dpkg-deb", "dpkg-query"):
        shutil.copy(root / "usr/bin/dpkg", root / "usr/bin" / name)
    return root


def calls_of(root, name):
    """The process ids of the calls of a tool inside the root."""
    calls = root / "tmp/calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [int(line.split()[1]) for line in lines if line.split()[0] == name]


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_tools_run_in_the_sysroot_whatever_is_closed(packaged, closed):
    command = f"exec {BUILD / 'larder-firstboot'} run --sysroot {packaged} {closed}"
    assert subprocess.run(["bash", "-c", command], check=False).returncode == 0
    assert len(calls_of(packaged, "dpkg")) == 1


def test_output_of_tools_is_cleaned(packaged):
    (packaged / "tmp/fail").touch()
    code, status = firstboot(packaged)
    assert (code, status["reason"]) == (14, "step_failed")
    log = (packaged / "var/log/larder.log").read_text()
    assert "an error ?[2J here" in log and "\033" not in log


def wait_for_call(root, name):
    """Until the tool was started, then its process id."""
    deadline = time.time() + 20
    while not calls_of(root, name) and time.time() < deadline:
        time.sleep(0.02)
    return calls_of(root, name)[0]


def test_told_to_end_the_agent_records_it_and_takes_its_tool_along(packaged):
    (packaged / "tmp/hang").touch()
    agent = subprocess.Popen([BUILD / "larder-firstboot", "run", "--sysroot", packaged], stderr=subprocess.DEVNULL)
    tool = wait_for_call(packaged, "dpkg")
    begun = time.time()
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(20) == 14 and time.time() - begun < 5
    status = json.loads((packaged / "run/larder/status.json").read_text())
    assert (status["state"], status["reason"], status["code"]) == ("failed", "timeout", 14), status
    assert json.loads((packaged / "var/lib/larder/result.json").read_text())["reason"] == "timeout"
    assert not os.path.exists(f"/proc/{tool}") and not litter(packaged)


def test_a_tool_that_cannot_be_killed_does_not_hold_the_boot(packaged):
    (packaged / "tmp/hang").touch()
    (packaged / "etc/larder/firstboot.conf").write_text("step_timeout_s=1\n")
    begun = time.time()
    code, status = firstboot(packaged, prefix=("strace", "-o", "/dev/null", "-e", "inject=kill:retval=0"))
    took = time.time() - begun
    os.kill(calls_of(packaged, "dpkg")[0], signal.SIGKILL)
    assert (code, status["reason"]) == (14, "timeout"), status
    assert took < 10
