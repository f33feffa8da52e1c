"""rows.py - what is measured, against whom, and how good it must be."""

import os
import re
import subprocess
from statistics import median

import boot
import corpus
import fetching
import kitchen
import peers
from kitchen import MIB, NotBuilt
from line import Line, against, by_cpu, limit
from measure import BUILD, PAIRS, WORK, Command, compare, compiled, middle, run

CORES = os.cpu_count()

# --- verify ---------------------------------------------------------------------------------------


def verifier(cache, threads):
    """The verifier with so many threads; one thread is all that it had at first."""
    if kitchen.offers("larder-verify", "--threads"):
        return cache.verify_command("--threads", threads)
    if threads > 1:
        raise NotBuilt("--threads")
    return cache.verify_command()


def verify_one_thread():
    """V1"""
    cache = kitchen.one_kernel()
    ours, files = verifier(cache, 1), cache.blobs()
    lines = [by_cpu("97 packages, 171 MB", ours, peers.openssl_dgst(files), 1.05),
             by_cpu("97 packages, 171 MB", ours, peers.sha256sum(files)),
             by_cpu("97 packages, 171 MB", ours, peers.rauc_info(corpus.need("debs")))]
    big = kitchen.one_blob()
    lines.append(by_cpu("one blob, 419 MB", verifier(big, 1), peers.openssl_dgst(big.blobs()), 1.05))
    small = kitchen.thousand()
    lines.append(by_cpu("1,000 bundles of 4 KiB", verifier(small, 1), peers.openssl_dgst(small.blobs())))
    for line in (lines[0], lines[3]):
        rss = line.ours.rss / MIB
        lines.append(limit(line.work, line.ours, rss, "RSS {:.1f} MiB", 16, "RSS <= 16 MiB"))
    return lines


def speed_line(work, cache, goal):
    """Bytes per second against what the cores can hash at most, over about as long a time."""
    ours, samples, ratios = verifier(cache, CORES), [], []
    size = sum(path.stat().st_size for path in cache.blobs())
    os.sync()  # what was baked for this is written out now, and not beside the measurement
    run(ours)
    for _ in range(2 * PAIRS):
        most = peers.openssl_speed(CORES)
        runs = [run(ours) for _ in range(PAIRS)]
        samples += runs
        ratios.append(size * len(runs) / sum(sample.wall for sample in runs) / most)
    value = median(ratios)
    return Line(work, f"openssl speed -multi {CORES}", middle(samples), None, f"{value:.2f} x its bytes/s",
                f">= {goal} x", value >= goal)


def verify_threads():
    """V2"""
    return [speed_line("97 packages, 171 MB", kitchen.one_kernel(), 0.85),
            speed_line("one blob, 419 MB", kitchen.one_blob(), 0.95)]


def bytes_read(command, folder):
    """What a command reads of the files in a folder."""
    trace = WORK / "trace"
    words = ["strace", "-f", "-y", "-e", "trace=read,pread64,readv,preadv,mmap", "-o", trace, *map(str, command.words)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    calls = [line for line in trace.read_text().splitlines() if f"<{folder}" in line]
    mapped = [re.search(r" mmap\(NULL, (\d+),", line) for line in calls]
    read = [re.search(r"\) += (\d+)$", line) for line in calls if " mmap(" not in line]
    return sum(int(found[1]) for found in mapped + read if found)


def verify_selected():
    """V4"""
    if not kitchen.offers("larder-verify", "--kernel"):
        raise NotBuilt("--kernel")
    cache = kitchen.large()
    ours = cache.verify_command("--os", "debian:12", "--kernel", kitchen.KERNEL, "--arch", "x86_64", "--nic",
                                kitchen.DEVICE)
    chosen = kitchen.noise("two", 2 * MIB, 500)[0]
    found = compare(ours, peers.openssl_dgst([chosen]), 4 * PAIRS)
    work, read = "2 MB of 1 GB", bytes_read(ours, cache.cache) - 2 * MIB
    return [against(work, found, "openssl dgst, of the 2 MB", found.ratio("wall"), "wall {:.2f} x"),
            limit(work, middle(found.ours), middle(found.ours).wall * 1e3, "{:.1f} ms", 10, "<= 10 ms"),
            limit(work, middle(found.ours), read / 1024, "read: 2 MiB and {:.0f} KiB", 256, "and <= 256 KiB")]


# --- the agent ------------------------------------------------------------------------------------


def plan():
    """F6"""
    ours = Command("larder-firstboot plan", [BUILD / "larder-firstboot", "plan", "--sysroot",
                                             boot.machine(kitchen.thousand())])
    null = Command("a static libcrypto program", [compiled("null_crypto", "-static-pie", "-lcrypto")])
    found = compare(ours, null, 10 * PAIRS)
    return [against("1,000 bundles in 40 tables", found, null.name, found.difference("wall") * 1e3,
                    "{:.2f} ms over its start", 2, "<= 2 ms over")]


# --- bake -----------------------------------------------------------------------------------------


def bake_tree():
    """B1"""
    made, work = kitchen.tree(), "tree: 29.7 k files, 1.0 GB"
    ours, pipeline = made.bake_command(made.clean), peers.zstd_pipeline(corpus.need("tree"))
    lines = [by_cpu(work, ours, pipeline, 1.15)]
    size = kitchen.size_of(made.cache) / pipeline.output.stat().st_size
    lines.append(limit(work, lines[0].ours, size, "size {:.3f} x", 1.02, "size <= 1.02 x zstd's"))
    for peer in (peers.mksquashfs, peers.casync, peers.borg, peers.ostree):
        lines.append(by_cpu(work, ours, peer(corpus.need("tree")), pairs=1))
    return lines


def state_of(folder):
    """What a rewritten file would change: names, inodes, times, sizes."""
    return {path: (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_size)
            for path in folder.rglob("*")}


def unchanged(work, made, samples, before):
    """Nothing was written: neither to the cache nor anywhere else."""
    same, written = state_of(made.cache) == before, max(sample.written for sample in samples)
    return Line(work, "", middle(samples), None, f"{written / 1024:.0f} KiB written, cache "
                + ("untouched" if same else "changed"), "0 bytes, untouched", same and written == 0)


def bake_again():
    """B3"""
    made, work = kitchen.one_kernel().baked(), "97 packages, nothing changed"
    before, ours = state_of(made.cache), made.bake_command()
    run(ours)
    samples = [run(ours) for _ in range(2 * PAIRS)]
    took = middle(samples)
    return [limit(work, took, took.wall * 1e3, "{:.1f} ms", 20, "<= 20 ms"),
            unchanged(work, made, samples, before)] + bake_tree_again()


def bake_tree_again():
    """B3, the tree"""
    work = "tree, nothing changed"
    try:
        made = kitchen.tree().baked()
    except NotBuilt as error:
        return [Line(work, "", found=f"not built: {error}")]
    before, walk = state_of(made.cache), peers.walk(corpus.need("tree"))
    found = compare(made.bake_command(), walk)
    return [against(work, found, walk.name, found.ratio("wall"), "wall {:.2f} x", 1.5, "wall <= 1.5 x"),
            unchanged(work, made, found.ours, before)]


def four_trees():
    """B5"""
    one = kitchen.Kitchen("trees-1", [kitchen.trees("k1", kitchen.named("tars"))], kitchen.named("tars")).baked()
    four, work = kitchen.four_trees(), "4 kernels of one driver"
    sample = run(four.bake_command(four.clean))
    value = kitchen.size_of(four.cache) / kitchen.size_of(one.cache)
    trees = [corpus.need(name) for name in ("tree", "k2", "k3", "k4")]
    return [limit(work, sample, value, "{:.2f} x one", 1.30, "<= 1.30 x one"),
            limit(work, sample, sample.rss / MIB, "RSS {:.1f} MiB", 256, "RSS <= 256 MiB"),
            boot.last_and_first(four),
            *(Line(work, name, found=f"{peers.growth(name, trees):.2f} x one") for name in ("borg", "casync"))]


def next_kernel():
    """D5"""
    four, first, last = kitchen.four_trees().ready(), "6.1.0-0-bench", "6.1.0-3-bench"
    plain = four.beside("plain", "--no-patch")
    here = [(shop.slice(first), shop.slice(last)) for shop in (four, plain)]
    fetched, whole = (sum(size for name, size in after.items() if name not in before) for before, after in here)
    releases = corpus.release_of("k4"), corpus.release_of("tree")
    files = peers.patched(corpus.need("tree"), corpus.need("k4"), lambda path: str(path).replace(*releases))
    work = f"the 4th kernel's driver, {whole / 1e6:.1f} MB, the 1st is here"
    return [limit(work, None, fetched / whole, f"{fetched / 1e6:.1f} MB: {{:.2f}} x", 0.5, "<= 0.5 x"),
            Line(work, "zstd --patch-from, file by file", found=f"{files / 1e6:.1f} MB: {files / whole:.2f} x")]


def already_packed():
    """B6"""
    one, four = kitchen.one_kernel(), kitchen.four_kernels()
    own = sum(path.stat().st_size for path in kitchen.named("debs"))
    files = {kitchen.digest_of(path): path.stat().st_size for path in kitchen.of_kernels(kitchen.packages, "debs")[1]}
    size, growth = kitchen.size_of(one.cache) / own, kitchen.size_of(four.cache) / kitchen.size_of(one.cache)
    least = sum(files.values()) / own
    return [limit("97 packages, 171 MB", None, size, "{:.4f} x their bytes", 1.005, "<= 1.005 x"),
            limit("4 versions, files shared whole", None, round(growth, 2),
                  f"{growth:.4f} x one; the different files alone {least:.4f} x", 1.68, "<= 1.68 x one, to two places")]


ROWS = {
    "V1": ("verify a cache, 1 thread", verify_one_thread),
    "V2": (f"verify a cache, {CORES} threads", verify_threads),
    "V4": ("verify the one bundle that a machine needs", verify_selected),
    "F1": ("first boot lays down a tree, 1 core", boot.lay_down_alone),
    "F2": ("first boot lays down a tree, 2 cores", boot.lay_down_on_two),
    "F3": ("the memory of that", boot.memory),
    "F4": ("the same, until it is on the disk", boot.lay_down_for_good),
    "F5": ("boot with nothing to do", boot.idle),
    "F6": ("plan at first boot", plan),
    "B1": ("bake a tree", bake_tree),
    "B3": ("bake again, nothing changed", bake_again),
    "B5": ("bake one driver for four kernels", four_trees),
    "B6": ("bake what is packed already", already_packed),
    "D1": ("download through cuts", fetching.through_cuts),
    "D2": ("download beside lies", fetching.lies_found),
    "D3": ("download over several slow connections", fetching.at_once),
    "D5": ("the next kernel's driver when the last one is here", next_kernel),
}
