"""boot.py - the first boot and the idle ones, on a machine made of folders, beside what else lays down a tree."""

import atexit
import functools
import shutil
import subprocess

import corpus
import kitchen
import peers
from kitchen import MIB, NotBuilt
from line import against, limit
from measure import BUILD, PAIRS, WORK, Command, compare, compiled, middle, run

TREE = "tree: 29.5 k files, 1.0 GB"
PLACE = WORK / "place"  # where fresh file systems are mounted


def machine(cache, kernel=kitchen.KERNEL):
    """Debian 12 made of folders, with one NIC and this cache."""
    root = WORK / "root" / f"{cache.folder.name}-{kernel}"
    shutil.rmtree(root, ignore_errors=True)
    address = "sys/devices/pci/0000:00:02.0"
    for name, text in {"etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "etc/machine-id": "0" * 32 + "\n",
                       "proc/sys/kernel/osrelease": kernel + "\n", "proc/cmdline": "quiet\n",
                       f"lib/modules/{kernel}/modules.order": "", f"{address}/modalias": kitchen.DEVICE + "\n",
                       "run/empty": "", "var/lib/empty": "", "sys/bus/pci/devices/empty": ""}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "sys/bus/pci/devices/empty").unlink()
    (root / "sys/bus/pci/devices/0000:00:02.0").symlink_to("../../../devices/pci/0000:00:02.0")
    kitchen.larder("embed", cache.cache, "--trust", cache.trust, "--root", root)
    return root


# --- fresh file systems ---------------------------------------------------------------------------


def mounted(*words):
    """Mount at PLACE what these words say, instead of what is there."""
    PLACE.mkdir(parents=True, exist_ok=True)
    unmount()
    if subprocess.run(["mount", *map(str, words), PLACE], capture_output=True).returncode:
        raise NotBuilt("a fresh file system takes root, and leave to mount")
    atexit.register(unmount)


def unmount():
    """What PLACE holds goes."""
    while PLACE.is_mount():
        subprocess.run(["umount", PLACE], check=True)


def memory_disk():
    """A file system without a disk: what is measured is the work alone."""
    mounted("-t", "tmpfs", "-o", "size=4g,mode=755", "bench")


def real_disk():
    """An empty ext4, made anew in a file: no run pays for what another one deleted."""
    image = WORK / "disk.img"
    unmount()
    if not image.exists():
        with open(image, "wb") as file:
            file.truncate(4 << 30)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-N", "100000", "-E",
                    "lazy_itable_init=0,lazy_journal_init=0,nodiscard", image], check=True)
    mounted("-o", "loop", image)


def synced():
    """Nothing of what was prepared is still to be written."""
    subprocess.run(["sync", "-f", PLACE], check=True)


# --- who lays down ----------------------------------------------------------------------------------


@functools.cache
def tree_machine():
    """A machine with the tree in its cache."""
    return machine(kitchen.tree().ready())


def agent(cores, disk, source=None):
    """The agent's whole run on such a machine."""
    source = source or tree_machine()

    def before():
        disk()
        subprocess.run(["cp", "-a", source, PLACE / "root"], check=True)
        synced()
    return Command("larder-firstboot run", ["taskset", "-c", cores, BUILD / "larder-firstboot", "run", "--sysroot",
                                            PLACE / "root"], before)


def other(name, cores, disk, words):
    """A peer that lays the tree down in PLACE/out."""
    def before():
        disk()
        (PLACE / "out").mkdir()
        synced()
    return Command(name, ["taskset", "-c", cores, *words], before)


def shell(name, cores, disk, text):
    """The same, a line for a shell."""
    return other(name, cores, disk, ["sh", "-ec", text])


def by_wall(ours, peer, goal=None):
    """A line by wall time; what ours laid down is compared with the tree, once."""
    run(ours)
    subprocess.run(["diff", "-r", "--no-dereference", corpus.need("tree"), PLACE / "root/opt/tree"], check=True)
    found = compare(ours, peer, warm=False)
    text = f"wall {{:.2f}} x, CPU {found.ratio('cpu'):.2f} x"
    return against(TREE, found, peer.name, found.ratio("wall"), text, goal, goal and f"wall <= {goal} x")


def lay_down_alone():
    """F1"""
    packed, rpm = peers.made(peers.tar_zstd(corpus.need("tree"))), peers.rpm_package(corpus.need("tree"))
    ours = agent("0", memory_disk)
    return [by_wall(ours, other("rpm -i", "0", memory_disk, ["rpm", "--root", PLACE / "out", "-i", "--nodeps", rpm]), 0.80),
            by_wall(ours, shell("openssl dgst, then zstd and tar", "0", memory_disk,
                                f"openssl dgst -sha256 {packed}; zstd -dc {packed} | tar -x -C {PLACE}/out"), 0.85)]


def lay_down_on_two():
    """F2"""
    squashed, ours = peers.made(peers.mksquashfs(corpus.need("tree"))), agent("0,1", memory_disk)
    return [by_wall(ours, other("unsquashfs -p 2, no checksum", "0,1", memory_disk,
                                ["unsquashfs", "-p", "2", "-q", "-n", "-f", "-d", PLACE / "out", squashed]), 1.0),
            by_wall(ours, other("cp -r", "0,1", memory_disk, ["cp", "-r", corpus.need("tree"), PLACE / "out"]), 1.1)]


def memory():
    """F3"""
    lines = []
    for threads in (1, 2):
        ours = agent(",".join(map(str, range(threads))), memory_disk)
        sample, most = middle([run(ours) for _ in range(2)]), 32 + 8 * threads
        lines.append(limit(f"{TREE}, {threads} core{'s' * (threads > 1)}", sample, sample.rss / MIB, "RSS {:.1f} MiB", most,
                           f"RSS <= {most} MiB"))
    return lines


def lay_down_for_good():
    """F4"""
    packed, plain, ours = peers.made(peers.tar_zstd(corpus.need("tree"))), corpus.need("tree.tar"), agent("0,1", real_disk)
    return [by_wall(ours, shell("tar x of the packed tree; sync -f", "0,1", real_disk,
                                f"tar -I zstd -xf {packed} -C {PLACE}/out; sync -f {PLACE}/out"), 0.60),
            by_wall(ours, shell("tar x of the tree not packed; sync -f", "0,1", real_disk,
                                f"tar -xf {plain} -C {PLACE}/out; sync -f {PLACE}/out"))]


def last_and_first(cache):
    """What comes as patches, beside what it was made from; what is laid down is compared with the packages, once."""
    last, first = (agent("0,1", memory_disk, machine(cache, f"6.1.0-{i}-bench")) for i in (3, 0))
    run(last)
    for package in sorted(corpus.need("k4").iterdir()):
        subprocess.run(["diff", "-r", "--no-dereference", package, PLACE / "root/opt" / package.name], check=True)
    found = compare(last, first, warm=False)
    work, most = "the 4th of them, on 2 cores", 1.3
    text = f"wall {{:.2f}} x, CPU {found.ratio('cpu'):.2f} x"
    return against(work, found, "the 1st", found.ratio("wall"), text, most, f"wall <= {most} x")


def idle():
    """F5"""
    first = agent("0,1", memory_disk)
    run(first)
    words = [BUILD / "larder-firstboot", "run", "--sysroot", PLACE / "root"]
    early, main = Command("early", [*words, "--early"]), Command("main", words)
    null = Command("a dynamic libcrypto program", [compiled("null_crypto", "-lcrypto", to="null_crypto_dynamic")])
    found = compare(main, null, 10 * PAIRS)
    took, work = middle(found.ours), "nothing changed since the last boot"
    boots = [run(early).cpu + run(main).cpu for _ in range(2)]
    return [against(work, found, null.name, found.ratio("wall"), "wall {:.2f} x", 1.3, "wall <= 1.3 x"),
            limit(work, took, took.wall * 1e3, "{:.1f} ms", 5, "<= 5 ms"),
            limit(work, took, took.rss / MIB, "RSS {:.1f} MiB", 6, "RSS <= 6 MiB"),
            limit("boots 2 and 3, both moments", None, max(boots) * 1e3, "{:.1f} ms of CPU", 10, "< 10 ms of CPU")]
