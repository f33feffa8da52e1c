"""What larder-firstboot says of its runs, and to whom: files, a log, scrapers, systemd, the host."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from larder import BUILD, good, refused, run
from test_firstboot import (ADDRESS, break_cache, device, firstboot, installed, make_root, packaged, root,  # noqa: F401
                            shop)

RECORD = 512 + 2048
POOL = "var/lib/hyperv/.kvp_pool_1"
SCRAPED = "var/lib/prometheus/node-exporter/larder.prom"
AZURE = "var/log/azure/ib-vmext-status"
ASSET_TAG = "7783-7084-3265-9085-8269-3286-77"


def write(path, data):
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def status(root, *options):  # noqa: F811
    """What status --json prints."""
    return json.loads(good("larder-firstboot", "status", "--json", "--sysroot", root, *options))


# --- the result, and what it is bound to -----------------------------------------------------------


def test_the_result_is_bound_and_told_as_stale(shop, root):  # noqa: F811
    firstboot(root)
    said = status(root)
    result = json.loads((root / "var/lib/larder/result.json").read_text())
    assert result["statement"]["serial"] == 1 and result["agent"] == said["agent"]
    assert result["machine_id"].startswith("sha256:") and said["stale"] == []
    text = good("larder-firstboot", "status", "--sysroot", root)
    assert "stale" not in text

    (root / "etc/machine-id").write_text("1" * 32 + "\n")
    assert status(root)["stale"] == ["machine"]
    assert "stale: it was said of another machine" in good("larder-firstboot", "status", "--sysroot", root)
    (root / "etc/machine-id").write_text("0" * 32 + "\n")

    good("larder", *shop.bake_args("--key", shop.folder / "fleet.key", "--serial", "2"))
    shop.embed(root)
    assert status(root)["stale"] == ["statement"]
    firstboot(root)
    assert status(root)["stale"] == []

    for path in (root / "run/larder/status.json", root / "var/lib/larder/result.json"):
        path.write_text(path.read_text().replace(f'"agent": "{said["agent"]}"', '"agent": "0.0.1"'))
    assert status(root)["stale"] == ["agent"]


def test_an_idle_run_still_names_the_statement(root):  # noqa: F811
    firstboot(root)
    code, said = firstboot(root)
    assert (code, said["state"], said["statement"]["serial"]) == (0, "idle", 1)
    result = root / "var/lib/larder/result.json"
    result.write_text(result.read_text().replace('"envelope": "sha256:', '"envelope": "sha256:00'))
    assert "statement" not in firstboot(root)[1]


def test_early_is_kept_within_a_boot_alone(root):  # noqa: F811
    boot = write(root / "proc/sys/kernel/random/boot_id", "one\n")
    firstboot(root, "--early")
    firstboot(root)
    assert set(status(root)["moments"]) == {"early", "main"}
    firstboot(root, "--early")
    boot.write_text("two\n")
    firstboot(root)
    assert set(status(root)["moments"]) == {"main"}


def test_a_copied_machine_forgets_whose_result_it_was(root):  # noqa: F811
    (root / SCRAPED).parent.mkdir(parents=True)
    firstboot(root)
    envelope = root / "var/lib/larder/statement/envelope"
    before = envelope.read_bytes()
    (root / "etc/machine-id").write_text("1" * 32 + "\n")
    (root / "etc/larder/trust.json").rename(root / "etc/trust.json")
    code, said = firstboot(root)
    assert (code, said["reason"]) == (14, "untrusted") and "statement" not in said
    log = (root / "var/log/larder.log").read_text()
    assert '"event":"another machine"' in log
    assert envelope.read_bytes() == before, "what is signed is no other machine's: an older one would be let in"
    (root / "etc/trust.json").rename(root / "etc/larder/trust.json")
    assert firstboot(root)[1]["state"] == "done"
    assert log.count("another machine") == (root / "var/log/larder.log").read_text().count("another machine")


# --- the log ----------------------------------------------------------------------------------------


def lines(root):  # noqa: F811
    """The log, line by line."""
    return [json.loads(line) for line in (root / "var/log/larder.log").read_text().splitlines()]


def test_the_log_is_json_lines_and_the_console_is_for_people(root):  # noqa: F811
    done = run("larder-firstboot", "run", "--sysroot", root)
    assert not [line for line in done.stderr.splitlines() if "{" in line]
    assert "larder-firstboot: cache verified: " in done.stderr
    logged = lines(root)
    for line in logged:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), line
        assert isinstance(line["boot_ms"], int) and line["moment"] == "main", line
    events = {line["event"]: line for line in logged if "event" in line}
    assert events["bundle staged"]["bundle"].startswith("nic 1.0 nic")
    assert events["planned"]["device"] == ADDRESS and events["device bound"]["device"] == ADDRESS
    assert (events["end"]["state"], events["end"]["reason"], events["end"]["code"]) == ("done", "done", "0")


def test_output_of_tools_stays_on_its_line(packaged):  # noqa: F811
    (packaged / "tmp/fail").touch()
    assert firstboot(packaged)[0] == 14
    assert any("an error ?[2J here" in line["text"] for line in lines(packaged))


# --- Prometheus -------------------------------------------------------------------------------------


def metrics(path):
    """(name, labels without moment) -> value, as another parser reads them."""
    return {(sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(path.read_text()) for sample in family.samples}


def test_metrics_where_a_scraper_looks(root):  # noqa: F811
    firstboot(root)
    assert not (root / "var/lib/prometheus").exists(), "no folder is made for a scraper that is not there"
    (root / SCRAPED).parent.mkdir(parents=True)
    assert firstboot(root)[1]["state"] == "idle"
    found = metrics(root / SCRAPED)
    assert found["larder_run_success", ("moment", "main")] == 1
    assert found["larder_statement_serial", ("name", "larder")] == 1
    bound = [(key, value) for key, value in found.items() if key[0] == "larder_device_bound"]
    assert len(bound) == 1 and ("address", ADDRESS) in bound[0][0] and bound[0][1] == 1
    (root / "etc/larder/trust.json").unlink()
    firstboot(root)
    found = metrics(root / SCRAPED)
    assert found["larder_run_success", ("moment", "main")] == 0
    assert found["larder_run_exit_code", ("moment", "main")] == 14
    assert ("larder_run_reason", ("moment", "main"), ("reason", "untrusted"), ("state", "failed")) in found
    assert oct((root / SCRAPED).stat().st_mode & 0o777) == "0o644"


@pytest.mark.parametrize("change", ["folder", "above"])
def test_a_scraper_s_user_leads_nobody_elsewhere(root, change):  # noqa: F811
    """Debian's folder, and the one above it, are the user prometheus's: a link there may be his."""
    place = (root / SCRAPED).parent
    place.parent.mkdir(parents=True)
    (root / "etc/cron.d").mkdir(parents=True)
    if change == "above":
        place.symlink_to("/etc/cron.d")
    else:
        place.mkdir()
        (place / "larder.prom").symlink_to("/etc/cron.d/larder.prom")
        os.chown(place, 1234, 1234)
    os.chown(place.parent, 1234, 1234)
    assert firstboot(root)[0] == 0
    assert list((root / "etc/cron.d").iterdir()) == []
    assert place.is_symlink() or metrics(root / SCRAPED)


def test_metrics_where_the_owner_says(root):  # noqa: F811
    (root / SCRAPED).parent.mkdir(parents=True)
    (root / "srv").mkdir()
    (root / "proc/cmdline").write_text("quiet larder.metrics=/srv/x.prom\n")
    firstboot(root)
    assert metrics(root / "srv/x.prom") and not (root / SCRAPED).exists()
    good("larder-firstboot", "reset", "--sysroot", root)
    assert not (root / "srv/x.prom").exists(), "an image made now must not say that its machines are fine"
    (root / "proc/cmdline").write_text("larder.metrics=../x.prom\n")
    done = run("larder-firstboot", "run", "--sysroot", root)
    assert "metrics: expected an absolute path that ends in .prom; ignored" in done.stderr


# --- the host ---------------------------------------------------------------------------------------


def pool(root):  # noqa: F811
    """Key -> value of every record, in order; a pool is whole records."""
    data = (root / POOL).read_bytes()
    assert len(data) % RECORD == 0
    records = [data[at:at + RECORD] for at in range(0, len(data), RECORD)]
    return {record[:512].rstrip(b"\0").decode(): record[512:].split(b"\0")[0].decode() for record in records}


def test_a_host_hears_how_it_went(shop, root):  # noqa: F811
    firstboot(root)
    assert not (root / POOL).exists(), "no pool is made where no host reads one"
    other = b"HostName".ljust(512, b"\0") + b"h\0\xff".ljust(2048, b"\xee")
    write(root / POOL, other)
    assert firstboot(root)[1]["state"] == "idle"
    assert pool(root)["larder.outcome"] == "idle" and (root / POOL).read_bytes()[:RECORD] == other
    assert re.fullmatch(r"larder serial 1 sha256:[0-9a-f]{64}", pool(root)["larder.statement"])
    size = (root / POOL).stat().st_size
    break_cache(shop, root, "envelope flipped")
    firstboot(root)
    assert (pool(root)["larder.outcome"], pool(root)["larder.reason"]) == ("failed", "untrusted")
    assert pool(root)["larder.text"].startswith("main: ") and pool(root)["larder.statement"] == ""
    assert (root / POOL).stat().st_size == size and (root / POOL).read_bytes()[:RECORD] == other


def test_a_broken_pool_is_left_and_said(root):  # noqa: F811
    write(root / POOL, b"x" * 100)
    done = run("larder-firstboot", "run", "--sysroot", root)
    assert done.returncode == 0 and "kvp pool: ends within a record" in done.stderr
    assert (root / POOL).read_bytes() == b"x" * 100


# --- Azure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how, line", [
    ("", "Exit code 0: Operation successful (done)"),
    ("other os", "Exit code 12: Image offer not supported (os)"),
    ("envelope flipped", "Exit code 14: Operation failed (untrusted)"),
])
def test_azure_s_dashboards_find_their_file(shop, root, how, line):  # noqa: F811
    write(root / "sys/class/dmi/id/chassis_asset_tag", ASSET_TAG + "\n")
    device(root, "8c2eaf3d", "vmbus:3daf2e8ca732094bab99bd1f1c86b501")
    (root / "sys/bus/vmbus/devices").mkdir(parents=True)
    (root / "sys/bus/vmbus/devices/x").symlink_to("../../../devices/pci/8c2eaf3d")
    break_cache(shop, root, how)
    firstboot(root)
    told = (root / AZURE).read_text().splitlines()
    assert len(told) == 1 and line in told[0] and ": main: " in told[0], told
    firstboot(root)
    assert len((root / AZURE).read_text().splitlines()) == 1


def test_no_hypervisor_services_is_10_and_no_azure_no_file(root):  # noqa: F811
    firstboot(root)
    assert not (root / AZURE).parent.exists()
    write(root / "sys/class/dmi/id/chassis_asset_tag", ASSET_TAG + "\n")
    shutil.rmtree(root / "sys/bus/pci/devices")
    assert firstboot(root)[0] == 10
    assert "Exit code 10: Linux Integration Services" in (root / AZURE).read_text()


# --- systemd ----------------------------------------------------------------------------------------


def notified(root, tmp_path, name, *prefix):  # noqa: F811
    """The datagrams of a run."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.setblocking(False)
        run("larder-firstboot", "run", "--sysroot", root, env={"NOTIFY_SOCKET": name}, prefix=prefix)
        found = []
        while True:
            try:
                found.append(listener.recv(65536).decode())
            except BlockingIOError:
                return found


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(root, tmp_path, abstract):  # noqa: F811
    name = f"@larder-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    told = notified(root, tmp_path, name)
    assert any("STATUS=cache verified: " in message for message in told)
    assert told[-1].startswith("READY=1\nSTATUS=main: done (done, exit 0)")
    limits = [int(message.split("EXTEND_TIMEOUT_USEC=")[1]) for message in told[:-1]]
    assert 840_000_000 < limits[0] <= 870_000_000 and limits == sorted(limits, reverse=True)
    (root / "etc/larder/firstboot.conf").write_text("budget_s=3600\n")
    assert "EXTEND_TIMEOUT_USEC=36" in notified(root, tmp_path, f"@larder-more-{os.getpid()}")[0]


def test_the_only_socket_is_systemd_s(root, tmp_path):  # noqa: F811
    trace = tmp_path / "trace"
    told = notified(root, tmp_path, str(tmp_path / "notify"), "strace", "-f", "-e", "trace=%network", "-o", trace)
    calls = [line for line in trace.read_text().splitlines() if "(" in line]
    assert len(told) > 3
    assert all("socket(AF_UNIX, SOCK_DGRAM" in line or "sendto(" in line for line in calls), calls


def test_a_socket_that_nobody_reads_holds_nobody_up(root, tmp_path):  # noqa: F811
    full = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(full))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    sender.sendto(b"x", str(full))
        done = run("larder-firstboot", "run", "--sysroot", root, env={"NOTIFY_SOCKET": str(full)},
                   prefix=("timeout", "-s", "KILL", "60"))
    assert done.returncode == 0
    for name in ("", "/", "@", "relative", "/" + "x" * 200, str(tmp_path / "gone")):
        assert run("larder-firstboot", "run", "--sysroot", root, env={"NOTIFY_SOCKET": name}).returncode == 0


# --- waiting ----------------------------------------------------------------------------------------


def waiter(root, *words):  # noqa: F811
    """status --wait, in the background."""
    return subprocess.Popen([BUILD / "larder-firstboot", "status", "--wait", *words, "--sysroot", root],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_wait_lasts_until_the_main_moment_is_over(packaged):  # noqa: F811
    (packaged / "tmp/fail").touch()
    waiting = waiter(packaged, "60")
    assert firstboot(packaged, "--early")[0] == 0
    running = {"boot": json.loads((packaged / "run/larder/status.json").read_text())["boot"],
               "moments": {"main": {"state": "running"}}}
    (packaged / "run/larder/status.json").write_text(json.dumps(running))
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1)
    code = firstboot(packaged)[0]
    assert waiting.wait(20) == code == 14
    assert "main: failed, step_failed" in waiting.stdout.read()
    assert run("larder-firstboot", "status", "--wait", "--sysroot", packaged).returncode == 14
    assert run("larder-firstboot", "status", "--sysroot", packaged).returncode == 0


def test_wait_has_an_end(root):  # noqa: F811
    done = run("larder-firstboot", "status", "--wait", "1", "--sysroot", root)
    assert done.returncode == 14 and "not over after 1 s" in done.stderr
    boot = write(root / "proc/sys/kernel/random/boot_id", "one\n")
    firstboot(root)
    boot.write_text("two\n")
    done = run("larder-firstboot", "status", "--wait", "1", "--sysroot", root)
    assert done.returncode == 14, "another boot's main moment is none"
    (root / "etc/larder/trust.json").unlink()
    refused("no run will come", "larder-firstboot", "status", "--wait", "--sysroot", root)
    for words in (["60"], ["--wait", "0"], ["--wait", "1m"], ["--wait", "100000"], ["--wait", ""]):
        assert run("larder-firstboot", "status", *words, "--sysroot", root).returncode == 1, words


# --- a dry run --------------------------------------------------------------------------------------


def picture(root):  # noqa: F811
    """Every file but the lock: kind, mode, content, time of change."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.parts[len(root.parts)] == "run":
            continue
        entry = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path)] = (entry.st_mode, entry.st_uid, content, entry.st_mtime_ns if content is not None else 0)
    return found


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("how", ["", "blob flipped", "blob gone", "cache gone", "other kernel", "other os", "no nic",
                                 "floor raised", "envelope flipped"])
def test_a_dry_run_says_what_a_run_would_and_changes_nothing(shop, root, how, before):  # noqa: F811
    """Its code and reason are those of the run, and of plan where plan reads as much."""
    if before:
        firstboot(root)
        (root / "etc/larder-test/nic.conf").unlink()
    for path in (SCRAPED, POOL):
        write(root / path, b"")
    break_cache(shop, root, how)
    plan = json.loads(run("larder-firstboot", "plan", "--json", "--sysroot", root).stdout)
    old = picture(root)
    done = run("larder-firstboot", "run", "--dry-run", "--json", "--sysroot", root)
    said = json.loads(done.stdout)
    assert picture(root) == old
    if how != "blob flipped":
        assert (said["reason"], said["code"]) == (plan["reason"], plan["code"])
    would = [point["detail"] for point in said["timeline"] if point["event"] == "would do"]
    code, real = firstboot(root)
    assert (done.returncode, said["reason"]) == (code, real["reason"])
    if how == "":
        assert would == ["nic 1.0 nic: step 1, files: nic/nic.conf, ..."] and said["state"] == "dry"
        assert "a run would go on from here" in said["text"]
    elif not before:
        assert would == []


def test_a_dry_run_judges_what_the_configuration_forbids(root):  # noqa: F811
    (root / "etc/larder/firstboot.conf").write_text("steps=modules\n")
    done = run("larder-firstboot", "run", "--dry-run", "--sysroot", root)
    assert done.returncode == 14 and "forbids 'files'" in done.stderr and "would do" not in done.stderr


def test_a_dry_run_of_what_is_idle(root):  # noqa: F811
    firstboot(root)
    done = run("larder-firstboot", "run", "--dry-run", "--sysroot", root)
    assert done.returncode == 0 and "nothing changed since the last good run" in done.stderr


# --- images -----------------------------------------------------------------------------------------


def test_cloud_init_clean_resets(root):  # noqa: F811
    """As cloud-init runs what is executable in its folder; here in a chroot with a shell."""
    if BUILD.name == "sanitize":
        pytest.skip("a program of the sanitizers has libraries, and that root none")
    hooks = [path for path in (root / "etc/cloud/clean.d").iterdir() if os.access(path, os.X_OK)]
    assert [path.name for path in hooks] == ["50-larder"]
    write(root / "bin/sh", Path("/bin/busybox").read_bytes()).chmod(0o755)
    firstboot(root)
    before = installed(root)
    command = ["chroot", root, "/etc/cloud/clean.d/50-larder"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert {path.name for path in (root / "var/lib/larder").iterdir()} == {"result.json"}
    assert installed(root) == before
    shutil.rmtree(root / "usr/libexec/larder")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0, "the agent was taken off"


def test_a_machine_that_never_ran_has_no_status(tmp_path):
    refused("no run has left a status yet", "larder-firstboot", "status", "--sysroot", make_root(tmp_path / "bare"))
