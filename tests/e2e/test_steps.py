"""What bundles do besides files, modules and packages: the real agent, on machines made of folders, with programs that say
what was asked of them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from larder import Workshop, own_mounts, refused, run
from test_firstboot import firstboot, litter, make_root

# One program under many names. It appends its words to /tmp/calls, its environment to /tmp/env; /tmp/NAME.exit and
# /tmp/NAME.hang change what it does.
TOOL = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
static FILE *place(const char *name, const char *tail, const char *mode)
{
	char path[256];

	snprintf(path, sizeof(path), "/tmp/%s%s", name, tail);
	return fopen(path, mode);
}
static int rdma_rename(char **word)
{
	char from[256], to[256];

	snprintf(from, sizeof(from), "/sys/class/infiniband/%s", word[1]);
	snprintf(to, sizeof(to), "/sys/class/infiniband/%s", word[3]);
	return access(to, F_OK) == 0 || rename(from, to) != 0;
}
int main(int count, char **word)
{
	const char *name = strrchr(word[0], '/') ? strrchr(word[0], '/') + 1 : word[0];
	FILE *calls = place("calls", "", "a"), *env = place("env", "", "w"), *file;
	int code = 0;

	for (int i = 0; i < count; i++)
		fprintf(calls, "%s%c", i ? word[i] : name, i + 1 < count ? '\t' : '\n');
	for (char **one = environ; *one; one++)
		fprintf(env, "%s\n", *one);
	fprintf(env, "stdin=%d\n", getchar());
	fclose(calls);
	fclose(env);
	printf("%s was here\n", name);
	fflush(stdout);
	file = place(name, ".hang", "r");
	if (file) {
		file = place("child", "", "w");
		fprintf(file, "%d\n", fork());
		fclose(file);
		sleep(100);
	}
	if (strcmp(name, "rdma_rename") == 0)
		return rdma_rename(word);
	if (count > 1 && strcmp(name, "systemctl") == 0) {
		char path[256];

		snprintf(path, sizeof(path), "/tmp/enabled-%s", word[count - 1]);
		if (strcmp(word[1], "is-enabled") == 0)
			return access(path, F_OK) != 0;
		if (strcmp(word[1], "enable") == 0)
			fclose(fopen(path, "w"));
		if (strcmp(word[1], "disable") == 0)
			unlink(path);
	}
	file = place(name, ".exit", "r");
	if (file)
		fscanf(file, "%d", &code);
	return code;
}
"""

CONFIG = "# Azure\nProvisioning.Enabled=n\n# OS.EnableRDMA=y\nOS.EnableRDMA=n\nLogs.Verbose=n # quiet\n"
LINE = "NUMPAIRS:1|00155D33FF1D:172.16.1.5"
HARDWARE = "00:00:01:49:fe:80:00:00:00:00:00:00:00:15:5d:ff:fd:33:ff:1d"
UNIT = "openibd.service"


@pytest.fixture(name="tool", scope="module")
def tool_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tool")
    (folder / "tool.c").write_text(TOOL)
    subprocess.run(["gcc", "-static", "-w", "-o", folder / "tool", folder / "tool.c"], check=True)
    return folder / "tool"


class Machine:
    """A machine that gets one bundle with these steps."""

    def __init__(self, folder, tool, steps):
        self.folder, self.tool = folder, tool
        program = tool.read_bytes(), 0o755
        self.shop = Workshop(folder / "shop", {"v/install": program, "v/src/tools/install": program, "v/plain": b"text"})
        self.steps = steps
        self.root = make_root(folder / "root")
        self.write("proc/sys/kernel/random/boot_id", "first\n")
        for name in ("systemctl", "ip", "uninstall"):
            self.program(f"usr/sbin/{name}")
        self.embed()

    def embed(self):
        """Bake the steps, and bring the cache into the root."""
        def change(document):
            document["template"]["early"] = False
            bundle = document["bundles"][0]
            bundle["take"] = [{"file": "vendor", "members": ["v/install", "v/plain"], "into": "bin"},
                              {"file": "vendor", "members": ["v/src/*"], "into": "src", "tree": True}]
            bundle["install"] = self.steps
        self.shop.write_manifest(change)
        self.shop.bake()
        self.shop.embed(self.root)

    def write(self, path, text):
        """A file of the machine."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        return place

    def program(self, path):
        """A program of the machine."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.tool, place)

    def read(self, path):
        """The text of a file, or None."""
        place = self.root / path
        return place.read_text() if place.exists() else None

    def calls(self, name=None):
        """The calls of programs, as lists of words."""
        lines = [line.split("\t") for line in (self.read("tmp/calls") or "").splitlines()]
        return [line for line in lines if name in (None, line[0])]

    def run(self, code=0, reason="done"):
        """The main moment, with this outcome; returns its status."""
        found, status = firstboot(self.root)
        assert (found, status["reason"]) == (code, reason), status
        assert not litter(self.root)
        return status

    def events(self):
        """The timeline's lines, as the log has them."""
        return self.read("var/log/larder.log")

    def undo(self):
        """Take everything off again."""
        done = run("larder-firstboot", "undo", "--sysroot", self.root)
        assert done.returncode == 0, done


@pytest.fixture(name="machine")
def machine_fixture(tmp_path, tool):
    return lambda *steps: Machine(tmp_path, tool, list(steps))


def everything(root):
    """path -> (kind, mode, bytes) of a machine, without what the agent and the tools write for themselves."""
    own = ("var/lib/larder", "run", "tmp", "var/log", "usr/lib/larder")
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if not name.startswith(own):
            found[name] = (path.lstat().st_mode, path.read_bytes() if path.is_file() else os.path.islink(path))
    return found


# --- command ------------------------------------------------------------------------------------------------

COMMAND = {"do": "command", "argv": ["%{stage}/bin/install", "-q", "-q", "--kernel=%{kernel}", "a b; $(id)"],
           "env": {"LOG": "%{log}", "TREE": "%{stage}/src"}, "ok": [0, 3], "reboot": [10],
           "undo": ["/usr/sbin/uninstall", "--force"]}


def test_a_command_gets_its_words_and_no_more(machine):
    made = machine(COMMAND)
    made.run()
    (name, *words), = made.calls()
    assert name == "install" and words == ["-q", "-q", "--kernel=6.1.0-1-test", "a b; $(id)"]
    env = dict(line.split("=", 1) for line in made.read("tmp/env").splitlines())
    assert env["LOG"] == "/var/lib/larder/installer.log" and env["TREE"].startswith("/var/lib/larder/staging/")
    assert env["LC_ALL"] == "C" and env["DEBIAN_FRONTEND"] == "noninteractive" and env["stdin"] == "-1"
    assert set(env) == {"LOG", "TREE", "LC_ALL", "DEBIAN_FRONTEND", "PATH", "HOME", "stdin"}
    assert "install was here" in made.events()
    made.run()
    assert len(made.calls()) == 1  # once is enough


@pytest.mark.parametrize("argv, absolute", [("%{stage}/src/v/src/tools/install", False), ("/usr/sbin/uninstall", True)])
def test_a_command_out_of_a_tree_or_of_the_machine(machine, argv, absolute):
    made = machine({"do": "command", "argv": [argv]})
    made.run()
    assert made.calls() == [["uninstall" if absolute else "install"]]


@pytest.mark.parametrize("exit_code, code, reason", [
    (0, 0, "done"), (3, 0, "done"), (1, 14, "step_failed"), (7, 14, "step_failed"), (255, 14, "step_failed"),
])
def test_exit_codes(machine, exit_code, code, reason):
    made = machine(COMMAND, {"do": "sysctl", "settings": {"-net.core.rmem_max": "1"}})
    made.write("tmp/install.exit", f"{exit_code}\n")
    status = made.run(code, reason)
    undone = [["uninstall", "--force"]] if code else []
    assert made.calls("uninstall") == undone
    assert bool(made.read("etc/sysctl.d/90-larder-nic.conf")) == (code == 0)
    if code:
        assert f"exit {exit_code}" in json.dumps(status)


def test_a_command_that_asks_for_a_reboot(machine):
    made = machine(COMMAND, {"do": "limits", "settings": {"memlock": "unlimited"}})
    made.write("tmp/install.exit", "10\n")
    status = made.run(0, "reboot_needed")
    assert "asks for a reboot" in json.dumps(status)
    assert made.read("etc/security/limits.d/90-larder-nic.conf")  # the steps behind it were done
    made.write("proc/sys/kernel/random/boot_id", "second\n")
    made.run(0, "done")
    assert len(made.calls("install")) == 1


@pytest.mark.parametrize("timeout_s, configured", [(1, ""), (1800, "step_timeout_s=1\n")])
def test_a_command_that_hangs_is_killed_with_what_it_started(machine, timeout_s, configured):
    made = machine(dict(COMMAND, timeout_s=timeout_s))
    made.write("etc/larder/firstboot.conf", configured)
    made.write("tmp/install.hang", "")
    made.run(14, "timeout")
    child = int(made.read("tmp/child").split()[0])
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split(")")[1]
    assert made.calls("uninstall")


def test_what_cannot_run_is_known_before_anything_is_done(machine):
    made = machine({"do": "limits", "settings": {"memlock": "unlimited"}}, {"do": "command", "argv": ["/opt/absent"]})
    before = everything(made.root)
    status = made.run(14, "step_failed")
    assert "/opt/absent: no such program" in json.dumps(status) and everything(made.root) == before


def test_a_program_that_a_step_brings_is_not_asked_for_before(machine):
    made = machine({"do": "files", "files": ["bin/install"], "into": "/opt"}, {"do": "command", "argv": ["/opt/install"]})
    made.run()
    assert made.calls() == [["install"]]


@pytest.mark.parametrize("argv, code", [("%{stage}/bin/install", 14), ("%{stage}/src/v/src/tools/install", 14),
                                        ("/usr/sbin/uninstall", 0)])
def test_a_command_on_a_noexec_var(machine, argv, code):
    """What is staged cannot run there: known before anything is done. What the machine has itself can."""
    made = machine({"do": "limits", "settings": {"memlock": "unlimited"}}, {"do": "command", "argv": [argv]})
    before, var = everything(made.root), made.root / "var"
    noexec = (*own_mounts(), "sh", "-c", f'mount --bind {var} {var} && mount -o remount,bind,noexec {var} && exec "$0" "$@"')
    found, status = firstboot(made.root, prefix=noexec)
    assert (found, status["reason"]) == (code, "step_failed" if code else "done"), status
    assert len(made.calls()) == (0 if code else 1) and not litter(made.root)
    if code:
        assert everything(made.root) == before and status["remedy"], status
        assert "/var/lib/larder/staging/00 is mounted noexec" in status["text"] and "mount it exec" in status["text"], status
        made.run()


# --- settings -----------------------------------------------------------------------------------------------

SETTINGS = [
    {"do": "sysctl", "settings": {"net.core.rmem_max": "67108864", "-vm.absent": "1", "net.ipv4.tcp_rmem": "1 2 3"}},
    {"do": "limits", "settings": {"memlock": "unlimited", "nofile": "65535", "stack": "8192"}},
    {"do": "waagent", "settings": {"OS.EnableRDMA": "y", "Logs.Verbose": "y", "New.Key": "a b"}},
    {"do": "sysctl", "settings": {"net.core.wmem_max": "2"}},
    {"do": "service", "units": [UNIT], "start": True},
]


def tuned(machine):
    """A machine that has all that is set."""
    made = machine(*SETTINGS)
    for name in ("core/rmem_max", "core/wmem_max", "ipv4/tcp_rmem"):
        made.write(f"proc/sys/net/{name}", "4096\t87380\n")
    made.write("etc/waagent.conf", CONFIG).chmod(0o600)
    made.write("etc/sysctl.d/90-larder-nic.conf", "an owner's own\n")
    return made


def test_settings_now_and_at_later_boots(machine):
    made = tuned(machine)
    made.run()
    assert made.read("proc/sys/net/core/rmem_max") == "67108864" and made.read("proc/sys/net/ipv4/tcp_rmem") == "1 2 3"
    assert made.read("etc/sysctl.d/90-larder-nic.conf") == (
        "net.core.rmem_max = 67108864\n-vm.absent = 1\nnet.ipv4.tcp_rmem = 1 2 3\n")
    assert made.read("etc/sysctl.d/90-larder-nic-2.conf") == "net.core.wmem_max = 2\n"
    assert "-vm.absent: this kernel has no such parameter" in made.events()
    assert made.read("etc/security/limits.d/90-larder-nic.conf") == (
        "* soft memlock unlimited\n* hard memlock unlimited\n* soft nofile 65535\n* hard nofile 65535\n"
        "* soft stack 8192\n* hard stack 8192\n")
    for scope in ("system", "user"):
        assert made.read(f"etc/systemd/{scope}.conf.d/90-larder-nic.conf") == (
            "[Manager]\nDefaultLimitMEMLOCK=infinity\nDefaultLimitNOFILE=65535\nDefaultLimitSTACK=8192K\n")
    assert made.read("etc/waagent.conf") == (
        "# Azure\nProvisioning.Enabled=n\n# OS.EnableRDMA=y\nOS.EnableRDMA=y\nLogs.Verbose=y\nNew.Key=a b\n")
    assert (made.root / "etc/waagent.conf").stat().st_mode & 0o777 == 0o600
    assert ["systemctl", "enable", "--", UNIT] in made.calls()
    assert not any("start" in call for call in made.calls())  # systemd of a sysroot does not run


def test_what_was_set_is_put_back(machine):
    made = tuned(machine)
    before = everything(made.root)
    made.run()
    assert everything(made.root) != before
    made.undo()
    after = everything(made.root)
    # a parameter is written back as the kernel tells it, without the newline
    before["proc/sys/net/core/rmem_max"] = after["proc/sys/net/core/rmem_max"]
    assert made.read("proc/sys/net/core/rmem_max") == "4096\t87380"
    for name in ("core/wmem_max", "ipv4/tcp_rmem"):
        before[f"proc/sys/net/{name}"] = after[f"proc/sys/net/{name}"]
    assert after == before
    assert made.calls("systemctl")[-1] == ["systemctl", "disable", "--", UNIT]


def test_folders_that_were_made_for_a_setting_go_with_it(machine):
    made = machine(*SETTINGS[1:2])
    before = everything(made.root)
    made.run()
    shutil.rmtree(made.root / "etc/security/limits.d")
    made.undo()
    assert everything(made.root) == before


def test_a_failure_behind_them_puts_them_back(machine):
    made = machine(*SETTINGS[1:3], {"do": "sysctl", "settings": {"net.core.absent": "1"}})
    made.write("etc/waagent.conf", CONFIG)
    before = everything(made.root)
    status = made.run(14, "step_failed")
    assert "net.core.absent: this kernel has no such parameter" in json.dumps(status)
    assert everything(made.root) == before


def test_what_its_owner_changed_in_waagent_conf_since_then_stays(machine):
    made = machine(SETTINGS[2])
    made.write("etc/waagent.conf", CONFIG)
    made.run()
    text = made.read("etc/waagent.conf") + "ResourceDisk.Format=y\n"
    made.write("etc/waagent.conf", text)
    made.undo()
    assert made.read("etc/waagent.conf") == text and "was changed since then" in made.events()


def test_a_unit_that_was_enabled_stays_so(machine):
    made = machine(SETTINGS[4])
    made.write(f"tmp/enabled-{UNIT}", "")
    made.run()
    made.undo()
    assert not any("disable" in call for call in made.calls())


def test_what_somebody_changed_is_set_again(machine):
    made = tuned(machine)
    made.run()
    (made.root / "etc/security/limits.d/90-larder-nic.conf").unlink()
    (made.root / "var/lib/larder/stamp").unlink()
    made.run()
    assert made.read("etc/security/limits.d/90-larder-nic.conf")


def test_no_waagent_is_no_failure(machine):
    made = machine(SETTINGS[2])
    made.run()
    assert made.read("etc/waagent.conf") is None and "/etc/waagent.conf is not here" in made.events()


def test_the_last_line_without_a_newline(machine):
    made = machine({"do": "waagent", "settings": {"A.B": "1"}})
    made.write("etc/waagent.conf", "x=y")
    made.run()
    assert made.read("etc/waagent.conf") == "x=y\nA.B=1\n"


@pytest.mark.parametrize("kind", ["command", "service", "sysctl", "limits", "ipoib", "rdma_names", "waagent"])
def test_a_policy_can_forbid_each_kind(machine, kind):
    steps = {"command": COMMAND, "ipoib": {"do": "ipoib"}, "rdma_names": {"do": "rdma_names"}}
    steps.update({step["do"]: step for step in SETTINGS})
    made = machine(steps[kind])
    others = {"files", "modules", "load", "packages", "dkms", "command", "service", "sysctl", "limits", "ipoib",
              "rdma_names", "waagent"} - {kind}
    made.write("etc/larder/firstboot.conf", f"steps={','.join(sorted(others))}\n")
    before = everything(made.root)
    status = made.run(14, "step_failed")
    assert f"forbids '{kind}'" in json.dumps(status)
    assert everything(made.root) == before and not made.calls()


@pytest.mark.parametrize("kind", ["command", "service", "sysctl", "limits", "ipoib", "rdma_names", "waagent"])
def test_none_of_them_is_early(tmp_path, kind):
    shop = Workshop(tmp_path / "shop")
    step = {"do": kind, "argv": ["/bin/true"]} if kind == "command" else {"do": kind}
    shop.write_manifest(lambda document: document["bundles"][0].update(install=[step]))
    refused("an early bundle may only have files, modules and load", "larder", "show", "--expand", shop.manifest)


# --- RDMA ---------------------------------------------------------------------------------------------------

def kvp(**values):
    """A pool of Hyper-V."""
    return b"".join(key.encode().ljust(512, b"\0") + value.encode().ljust(2048, b"\0") for key, value in values.items())


def with_ipoib(machine, manager):
    """A virtual machine whose host tells an address, and who keeps addresses there."""
    made = machine({"do": "ipoib"})
    made.write("var/lib/hyperv/.kvp_pool_0", kvp(Other="x", IPoIB_Data=LINE))
    made.write("sys/class/net/ib0/address", HARDWARE + "\n")
    made.write("sys/class/net/eth0/address", "00:15:5d:33:ff:1d\n")
    if manager in ("systemd-networkd", "NetworkManager"):
        place = made.root / f"etc/systemd/system/multi-user.target.wants/{manager}.service"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(f"/lib/systemd/system/{manager}.service")
    if manager == "ifupdown":
        made.write("etc/network/interfaces", "source /etc/network/interfaces.d/*\n")
    return made


@pytest.mark.parametrize("manager, path, mode, text", [
    ("systemd-networkd", "etc/systemd/network/90-larder-ib0.network", 0o644,
     "[Match]\nName=ib0\n\n[Network]\nAddress=172.16.1.5/16\n"),
    ("NetworkManager", "etc/NetworkManager/system-connections/larder-ib0.nmconnection", 0o600,
     "[connection]\nid=larder-ib0\ntype=infiniband\ninterface-name=ib0\n\n[infiniband]\ntransport-mode=datagram\n\n"
     "[ipv4]\nmethod=manual\naddress1=172.16.1.5/16\nnever-default=true\n\n[ipv6]\nmethod=link-local\n"),
    ("ifupdown", "etc/network/interfaces.d/larder-ib0", 0o644,
     "auto ib0\niface ib0 inet static\n    address 172.16.1.5/16\n"),
])
def test_ipoib_addresses_of_the_host(machine, manager, path, mode, text):
    made = with_ipoib(machine, manager)
    before = everything(made.root)
    made.run()
    assert made.calls("ip") == [["ip", "link", "set", "dev", "ib0", "up"],
                                ["ip", "-4", "address", "replace", "172.16.1.5/16", "dev", "ib0"]]
    assert made.read(path) == text and (made.root / path).stat().st_mode & 0o777 == mode
    shutil.rmtree(made.root / "sys/class/net/ib0")
    made.undo()
    after = everything(made.root)
    assert {name for name in before if name not in after} == {"sys/class/net/ib0", "sys/class/net/ib0/address"}
    assert set(after) <= set(before)


def test_nobody_keeps_addresses_here(machine):
    made = with_ipoib(machine, None)
    made.run()
    assert len(made.calls("ip")) == 2 and "no systemd-networkd, NetworkManager or ifupdown" in made.events()


@pytest.mark.parametrize("pool, text", [
    (None, "the host tells none"), (kvp(Other="x"), "the host tells none"),
    (kvp(IPoIB_Data=LINE.replace("1D", "2D")), "no interface has MAC 00155D33FF2D"),
])
def test_no_address_is_told_and_no_failure(machine, pool, text):
    made = with_ipoib(machine, "ifupdown")
    (made.root / "var/lib/hyperv/.kvp_pool_0").unlink()
    if pool:
        made.write("var/lib/hyperv/.kvp_pool_0", pool)
    made.run()
    assert text in made.events() and not made.calls("ip")


@pytest.mark.parametrize("value", ["NUMPAIRS:2|00155D33FF1D:172.16.1.5", "NUMPAIRS:1|00155D33FF1D:1.2.3.4;x", "x" * 2000])
def test_a_hostile_pool_is_refused(machine, value):
    made = with_ipoib(machine, "ifupdown")
    made.write("var/lib/hyperv/.kvp_pool_0", kvp(IPoIB_Data=value))
    made.run(14, "step_failed")
    assert not made.calls("ip") and not (made.root / "etc/network/interfaces.d").exists()


def rdma_device(made, name, address, layer, driver="mlx5_core"):
    """A device of /sys/class/infiniband."""
    folder = made.root / "sys/class/infiniband" / name
    (folder / "ports/1").mkdir(parents=True)
    (folder / "ports/1/link_layer").write_text(layer + "\n")
    if address:
        place = made.root / "sys/devices/rdma" / address
        place.mkdir(parents=True)
        (place / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
        (folder / "device").symlink_to(f"../../../devices/rdma/{address}")


def names_of(made):
    """PCI address -> name."""
    folder = made.root / "sys/class/infiniband"
    return {os.path.basename(os.readlink(path / "device")): path.name for path in folder.iterdir()
            if (path / "device").is_symlink()}


def with_rdma(machine):
    """Three functions, one of them for Accelerated Networking, named as the kernel came upon them, or worse; and soft RoCE."""
    made = machine({"do": "rdma_names"})
    made.program("usr/lib/udev/rdma_rename")
    rdma_device(made, "mlx5_0", "a225:00:02.0", "Ethernet")
    rdma_device(made, "mlx5_ib0", "b336:00:02.0", "InfiniBand")  # two that have to change places
    rdma_device(made, "mlx5_ib1", "225e:00:02.0", "InfiniBand")
    rdma_device(made, "efa_0", "10000:00:02.0", "Ethernet", "efa")
    rdma_device(made, "rxe0", None, "Ethernet")
    return made


def test_rdma_devices_are_named_by_layer_in_order_of_pci(machine):
    made = with_rdma(machine)
    made.run()
    wanted = {"225e:00:02.0": "mlx5_ib0", "b336:00:02.0": "mlx5_ib1", "a225:00:02.0": "mlx5_an0",
              "10000:00:02.0": "efa_an0"}
    assert names_of(made) == wanted and (made.root / "sys/class/infiniband/rxe0").exists()
    rules = made.read("etc/udev/rules.d/60-rdma-persistent-naming.rules")
    for address, name in wanted.items():
        assert (f'ACTION=="add", SUBSYSTEM=="infiniband", KERNELS=="{address}", '
                f'PROGRAM="rdma_rename %k NAME_FIXED {name}"\n') in rules
    assert rules.count("\n") == 1 + len(wanted)
    made.undo()
    assert not (made.root / "etc/udev").exists()


def test_without_rdma_core_nothing_is_named(machine):
    made = with_rdma(machine)
    (made.root / "usr/lib/udev/rdma_rename").unlink()
    status = made.run(14, "step_failed")
    assert "rdma_rename is not here" in json.dumps(status)


def test_no_rdma_device_is_no_failure(machine):
    made = machine({"do": "rdma_names"})
    made.run()
    assert "nothing was named" in made.events() and not (made.root / "etc/udev").exists()
