"""The download after a miss, in real guests: from nginx and docker-registry, through a proxy, through power cuts, and from nobody."""

import hashlib
import random
import re

import pytest

import guest
import peers
import powercut
import story
from registry_server import DockerRegistry
from server import self_signed
from story import moment

CARRIED, MISSED = "pci:v00008086d000010C9sv*sd*bc02sc*i*", "pci:v000010ECd00008139sv*sd*bc02sc*i*"
NICS = "e1000e", "rtl8139"  # the first has its driver in the image, the second nowhere
FIRMWARE = random.Random(6).randbytes(13 << 19)  # six pieces and a half; a compressor leaves it as it is
PIECE = 1 << 20
INTO = "/lib/firmware/nic"
MODULE = f"/lib/modules/{guest.kernel_release()}/updates/larder/8139cp.ko"
INSIDE = "10.0.2.100:80"  # where the guest finds what is on the host
WEB = "sources=http://mirror.lan/larder"
REGISTRY = "registry.lan"  # only the proxy knows where that is
SEED, CUTS = 6, 10


def missed_manifest(folder):
    """A driver that weighs something."""
    firmware = folder / "nic.bin"
    firmware.write_bytes(FIRMWARE)
    return story.write_manifest(folder, "missed", {
        "devices": [MISSED], "early": True, "expect": {"driver": "8139cp"},
        "take": [{"file": "module", "into": "modules"}, {"file": "firmware", "into": "firmware"}],
        "install": [{"do": "files", "files": ["firmware/*"], "into": INTO},
                    {"do": "modules", "files": ["modules/*.ko"]}, {"do": "load", "modules": ["8139cp"]}]},
        {"module": guest.module_file("8139cp"), "firmware": firmware})


class Offer:
    """A whole cache, and the slice of it that an image carries: without what the guest needs."""

    def __init__(self, folder, key, trust):
        self.trust = trust
        # before the statement is made: that is the time by which a machine with a wrong clock judges it
        self.tls = self_signed(folder, "registry", f"DNS:{REGISTRY}")
        carried = story.module_bundle(folder, guest.module_file("igb"), CARRIED)
        self.whole = story.bundle_cache(folder, key, carried, missed_manifest(folder))
        self.part = folder / "slice"
        story.larder("copy", self.whole, self.part, "--nic", "8086:10c9")
        have = {path.name for path in (self.part / "blobs/sha256").iterdir()}
        # the tops of the two are their own; what the machine asks for is the same in both, and signed
        self.missing = {path.name: path.read_bytes() for path in (self.whole / "blobs/sha256").iterdir()
                        if path.name not in have and b"oci.image" not in path.read_bytes()[:200]}
        assert len(self.missing) == 3, list(self.missing)  # a record and two files
        self.bytes = sum(map(len, self.missing.values()))


@pytest.fixture(scope="module")
def offer(made, tmp_path_factory):
    _, _, key, trust = made
    return Offer(tmp_path_factory.mktemp("offer"), key, trust)


def configure(root, *lines):
    guest.write(root, "etc/larder/firstboot.conf", "\n".join(lines) + "\n")
    guest.write(root, "etc/hosts", "127.0.0.1 localhost guest\n10.0.2.100 mirror.lan proxy.lan\n")


# Who needs the drivers waits for larder-ready.target, and keeps what was so when it began.
NEEDY = """[Unit]
Requires=larder-ready.target
After=larder-ready.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/cp /run/larder/status.json /run/needy
"""
# Whoever looks sees what the downloader may do, and how the machine stands meanwhile.
LOOKER = """[Service]
ExecStart=/bin/sh /usr/lib/guest/look.sh
"""
LOOK = """group=/sys/fs/cgroup/system.slice/larder-download.service/cgroup.procs
until grep -qs '^Uid:.*65521' /run/seen; do
	sleep 0.05
	cat $(sed 's|.*|/proc/&/status|' $group) </dev/null >/run/seen
done 2>/dev/null
grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /run/seen >/run/look
cat /run/larder/status.json >/run/pending
"""
# The report comes when the download is over, whatever became of it.
PATIENT = f"""[Service]
ExecStart=
ExecStart=/bin/sh -c '{story.AGENT} status --wait 300 >/run/waited; echo $? >>/run/waited; exec sh /usr/lib/guest/report.sh'
"""


def full_root(tmp_path, offer, *lines, needy=True):
    """A Debian root with the first NIC's driver in the image, and the slice."""
    root = story.full_root(tmp_path, offer.part, offer.trust)
    guest.add_module(root, "e1000e", "kernel/drivers/net/ethernet/intel/e1000e")
    guest.remove_modules(root, "8139*.ko")
    configure(root, *lines)
    guest.enable(root, "systemd-networkd-wait-online.service", "network-online.target")
    guest.write(root, "etc/systemd/system/guest-report.service.d/patient.conf", PATIENT)
    guest.write(root, "usr/lib/guest/look.sh", LOOK)
    for name, text in (("needy", NEEDY), ("looker", LOOKER)):
        guest.write(root, f"etc/systemd/system/{name}.service", text)
        if name == "looker" or needy:
            guest.enable(root, f"{name}.service")
    for name in ("look", "pending", "needy", "waited"):
        guest.add_report(root, name, f"cat /run/{name}")
    return root


def at(result, unit, event):
    """When a unit last did that, in microseconds of the guest's; 0: never."""
    return int(result.unit(unit).get(f"{event}TimestampMonotonic") or 0)


def fetched(part):
    """Bytes of all rounds, as the agent told of them."""
    return sum(int(found[1]) for row in part["timeline"] if row["event"] == "download over"
               if (found := re.search(r" (\d+) bytes", row["detail"])))


def check_downloader(result):
    """Nobody, without capabilities, and no way to get some."""
    rights = dict(line.split(":", 1) for line in result.text["look"].splitlines())
    assert rights["Uid"].split() == rights["Gid"].split() == ["65521"] * 4, rights
    assert rights["Groups"].strip() == "" and rights["NoNewPrivs"].strip() == "1" and rights["Seccomp"].strip() == "2", rights
    sets = [int(value, 16) for name, value in rights.items() if name.startswith("Cap")]
    assert sets == [0] * 5, rights
    assert result.unit("larder-download.service")["StatusText"].startswith("done: 2 of 2 blobs")


def check_order(result):
    """Path, download, hand-over, and then those who wait."""
    steps = [at(result, "larder-firstboot.service", "ExecMainExit"), at(result, "network-online.target", "ActiveEnter"),
             at(result, "larder-download.service", "ExecMainExit"), at(result, "larder-net.service", "ExecMainStart"),
             at(result, "larder-net.service", "ExecMainExit"), at(result, "larder-ready.target", "ActiveEnter")]
    assert all(steps) and steps == sorted(steps), steps
    assert result.report["cycles"] == []
    assert result.report["state"] == "running", result.report["failed"]
    assert result.unit("larder-net.path")["ActiveState"] == "active"


def check_downloaded(result, offer):
    """The whole way, as everybody saw it who was there; gives the bytes that were fetched."""
    assert result.complete, result.console
    early, main, net = (moment(result, name) for name in ("early", "main", "net"))
    assert (early["state"], early["code"]) == (main["state"], main["code"]) == ("pending", 0), early
    assert (net["state"], net["reason"], net["code"]) == ("done", "done", 0), result.console
    assert set(result.drivers.values()) == {"e1000e", "8139cp"}
    assert result.report["online"] == "active"
    check_order(result)
    assert '"state": "pending"' in result.text["pending"] and '"net"' in result.text["needy"]
    assert result.text["waited"].splitlines()[-1] == "0"
    check_downloader(result)
    assert offer.bytes <= fetched(net) <= offer.bytes * 1.02
    return fetched(net)


@pytest.mark.timeout(900)
def test_a_miss_then_a_download(offer, tmp_path):
    """From nginx, by a NIC whose driver is in the image. The next boot is idle, and wants no network."""
    with peers.Nginx(tmp_path / "nginx", offer.whole, "512k") as server:
        disk = guest.make_disk(full_root(tmp_path, offer, WEB), tmp_path / "disk.raw")
        first = guest.boot(disk, nic=NICS, forward={INSIDE: server.host}, timeout=400)
    assert check_downloaded(first, offer) == server.sent()
    second = guest.boot(disk, nic=NICS, timeout=400)
    assert second.complete and second.pinged, second.console
    assert moment(second, "early")["reason"] == "done"
    story.assert_rested(moment(second, "main"))
    assert "net" not in story.moments(second.report["status"])
    assert second.report["online"] == "inactive" and at(second, "larder-net.service", "ExecMainStart") == 0
    assert second.report["state"] == "running", second.report["failed"]
    assert guest.check_disk(disk)[0] == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_a_registry_through_a_proxy(offer, tmp_path):
    """docker-registry with TLS; the guest has neither its address nor the year."""
    with DockerRegistry(tmp_path) as plain:
        story.larder("copy", offer.whole, plain.reference("hpc/drivers", "7"))
    with DockerRegistry(tmp_path, tls=offer.tls) as registry:
        port = registry.host.split(":")[1]
        with peers.Tinyproxy(tmp_path / "proxy", REGISTRY, port) as proxy:
            root = full_root(tmp_path, offer, f"sources=oci://{REGISTRY}:{port}/hpc/drivers:7",
                             "proxy=http://proxy.lan:80", "ca=/etc/registry.pem", "connections=2")
            guest.write(root, "etc/registry.pem", offer.tls[0].read_text())
            result = guest.boot(guest.make_disk(root, tmp_path / "disk.raw"), nic=NICS, forward={INSIDE: proxy.host},
                                timeout=400, extra=("-rtc", "base=1970-01-01"))
            said = "\n".join(proxy.log())
    check_downloaded(result, offer)
    assert f"CONNECT {REGISTRY}:{port}" in said, said


@pytest.mark.slow
@pytest.mark.parametrize("nics", ["rtl8139", NICS], ids=["no NIC", "nobody there"])
@pytest.mark.timeout(900)
def test_a_miss_without_a_network(offer, tmp_path, nics):
    """It is said, with its exit code; the boot was over before, and who needs the drivers is not started."""
    root = full_root(tmp_path, offer, WEB, "net_budget_s=20", needy=False)
    guest.write(root, "usr/lib/guest/look.sh", "systemctl start --no-block needy.service\n")
    result = guest.boot(guest.make_disk(root, tmp_path / "disk.raw"), nic=nics, timeout=400)
    assert result.complete, result.console
    net = moment(result, "net")
    assert (net["state"], net["reason"], net["code"]) == ("failed", "unreachable", 14) and net["remedy"], net
    assert "mirror.lan" in net["text"], net
    assert result.unit("larder-net.service")["ExecMainStatus"] == result.text["waited"].splitlines()[-1] == "14"
    assert 0 < at(result, "multi-user.target", "ActiveEnter") < at(result, "larder-download.service", "ExecMainExit")
    assert result.code["needy"] != 0 and at(result, "larder-ready.target", "ActiveEnter") == 0
    assert "8139cp" not in result.drivers.values() and result.report["updates"] == []


# As larder-net.path and its two services do it. The kernel writes back what is a second old, as it would within a
# download that takes minutes.
BEGIN, BROUGHT, END = "larder-begins", "larder-download: done: 2 of 2", "larder-ended"
PHASES = (BEGIN, BROUGHT), (BROUGHT, END)
ROUNDS = f"""ip link set eth0 up
udhcpc -q -n -f -t 5 -T 1 -i eth0 -s /usr/lib/guest/udhcpc.sh
echo 50 >/proc/sys/vm/dirty_writeback_centisecs
echo 100 >/proc/sys/vm/dirty_expire_centisecs
sync
echo {BEGIN} >/dev/console
{story.RUN_MAIN}while [ -e /run/larder/neednet ]; do
	{story.AGENT.replace("firstboot", "download")} --want /run/larder/neednet --into /var/lib/larder/incoming --report /run/larder/download.json
	{story.AGENT} run --net
done
echo {END} >/dev/console
{story.AGENT} status --wait 1
"""


def files_of(part, folder):
    """Name -> bytes, of a folder of a file system."""
    return {name: guest.read_file(part, f"{folder}/{name}", 0) for name in guest.list_folder(part, folder, 0)}


def good_pieces(data, right):
    """Bytes that need not be fetched again."""
    return sum(len(right[place:place + PIECE]) for place in range(0, len(right), PIECE)
               if data[place:place + PIECE] == right[place:place + PIECE])


def check_cut(offer, disk):
    """Nothing is half that looks whole; gives the bytes that are there of what was missing."""
    with guest.recovered(disk) as part:
        assert guest.check_part(part)[0] == 0, guest.check_part(part)
        kept, brought, begun = (files_of(part, f"/var/lib/larder/{name}") for name in
                                ("blobs", "incoming/blobs/sha256", "incoming/partial"))
        module, firmware = guest.read_file(part, MODULE, 0), guest.read_file(part, f"{INTO}/nic.bin", 0)
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in kept.items() if not name.startswith("."))
    assert module in (None, guest.module_file("8139cp").read_bytes()) and firmware in (None, FIRMWARE)
    return sum(max(good_pieces(place.get(name, b""), right) for place in (kept, brought, begun))
               for name, right in offer.missing.items())


def seconds_between(result, begin, end):
    """Between the first lines that say so; None: it did not come to that."""
    first = [next((at for at, text in result.lines if word in text), None) for word in (begin, end)]
    return None if None in first else first[1] - first[0]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_power_cuts(offer, tmp_path):
    """QEMU is killed while it downloads and while it hands over; the next boot ends with the driver, and fetches what was lost."""
    root = story.tiny_root(tmp_path, offer.part, offer.trust, ROUNDS)
    guest.remove_modules(root, "8139*.ko")
    configure(root, WEB)
    base, disk, writes = guest.make_tiny_disk(root, tmp_path / "base.raw"), tmp_path / "disk.raw", tmp_path / "writes"
    chance, windows, inside, lost, spared, again = random.Random(SEED), {}, 0, 0, 0, 0
    with peers.Nginx(tmp_path / "nginx", offer.whole, "384k") as server:
        options = {"nic": ("e1000", "rtl8139"), "cpus": 1, "forward": {INSIDE: server.host}, "timeout": 180}

        def go_on():
            """Boot to the end; gives the boot, what was there before it and what it fetched."""
            there, before = check_cut(offer, disk), server.sent()
            result = guest.boot(disk, **options)
            assert result.code.get("test") == 0 and "8139cp" in result.drivers.values(), result.console
            assert server.sent() - before <= (offer.bytes - there) * 1.02, (there, server.log())
            assert check_cut(offer, disk) == offer.bytes and guest.list_folder(disk, "/var/lib/larder/incoming") == []
            return result, there, server.sent() - before

        guest.run("cp", "--sparse=always", base, disk)
        whole, _, _ = go_on()
        for number in range(CUTS):
            begin, end = PHASES[number % 2]
            window = windows.setdefault(begin, seconds_between(whole, begin, end))
            share = (number // 2 + chance.random()) / (CUTS // 2)
            guest.run("cp", "--sparse=always", base, disk)
            first = guest.boot(disk, writes=writes, stop_at=begin, stop_after=share * window, **options)
            inside += end not in first.console
            windows[begin] = seconds_between(first, begin, end) or window  # the host may be faster by now
            lost += powercut.cut(base, powercut.read_log(writes), disk, chance)
            _, there, fetched_again = go_on()
            spared, again = spared + there, again + fetched_again
    print(f"{CUTS} cuts, {inside} of them within what they were to cut: {lost} writes lost; of {CUTS * offer.bytes} bytes "
          f"{spared} were there at the next boot, {again} were fetched")
    assert inside >= CUTS / 2 and lost > 0 and spared > 0
