"""demo.py - the main job, for real: bake a driver into an image, boot it without a network, twice."""

import shutil
import sys
import time

import guest
import story

FOLDER = story.TOP / "build/demo"
WIDTH = 78


def say(text=""):
    """One line, at once: a person is watching."""
    print(text, flush=True)


def head(text):
    """The title of a part."""
    say()
    say(f"-- {text} ".ljust(WIDTH, "-"))


def make_image(cache, trust):
    """A Debian root without the NIC's driver, with the cache in it, as a disk."""
    root, disk = FOLDER / "root", FOLDER / "disk.raw"
    shutil.rmtree(root, ignore_errors=True)
    guest.make_root(root)
    left = [path.name for path in (root / "usr/lib/modules").rglob("e1000e.ko*")]
    say(f"a Debian root file system; its NIC driver e1000e: {left or 'removed'}")
    story.embed(cache, trust, root, echo=say)
    disk.unlink(missing_ok=True)
    guest.make_disk(root, disk)
    return disk


def timeline(result):
    """The boot as a reader wants it: from the kernel's start, nothing twice."""
    rows = [(at, label) for at, label in story.events(result.report.get("status"))
            if label.startswith("early") or "agent start" in label]
    for name, moment in story.moments(result.report.get("status")).items():
        rows.append((moment["timeline"][-1]["at_ms"] / 1000 + 0.001,
                     f"{name:<6}{moment['state']:<18}{moment['text']}"))
    for _, label, uptime in result.marks:
        if label == "address":
            rows.append((uptime, f"net   address           {', '.join(result.ipv4.values())}"))
        if label == "ping":
            rows.append((uptime, "net   ping              " +
                         ("the gateway answers" if result.pinged else "no answer")))
    finished = result.report.get("manager", {}).get("FinishTimestampMonotonic")
    if finished:
        rows.append((int(finished) / 1e6, "boot  finished"))
    say("   0.00 s  boot  kernel starts")
    for at, label in sorted(rows):
        say(f"{at:7.2f} s  {label}")


def boot(disk, what):
    """Boot and show; the guest has no way out: QEMU's network ends at its own gateway."""
    head(what)
    result = guest.boot(disk)
    timeline(result)
    say(f"drivers: {result.drivers or 'none'}   address: {result.ipv4 or 'none'}   "
        f"system: {result.report.get('state', '?')}   guest ran {result.seconds:.0f} s")
    return result


def proven(first, second):
    """What must hold for this demo to call itself done."""
    later = story.moments(second.report.get("status")).values()
    return [("the first boot brought the link up", first.pinged),
            ("with the driver from the cache", "e1000e" in first.drivers.values()),
            ("the second boot had it too", second.pinged),
            ("and the agent had nothing to do", len(later) == 2 and all(moment["state"] == "idle" for moment in later))]


def main():
    """Returns the exit status of make demo."""
    start = time.monotonic()
    head("bake: on a machine with a network")
    shutil.rmtree(FOLDER, ignore_errors=True)
    cache, _, trust = story.nic_cache(FOLDER, echo=say)
    story.call("larder-verify", cache, "--trust", trust, echo=say)
    head("embed: into an image without a network driver")
    disk = make_image(cache, trust)
    first = boot(disk, "first boot: no network driver, no way out")
    second = boot(disk, "second boot: the same disk")
    head("proven")
    checks = proven(first, second)
    for text, good in checks:
        say(f"{'yes' if good else 'NO '}  {text}")
    say()
    say("Not proven here: real InfiniBand or ConnectX hardware, vendor bundles (MLNX_OFED, DOCA-OFED,")
    say("WinOF-2), Windows, Secure Boot, other distributions than this machine's, a download after a miss.")
    say(f"make demo took {time.monotonic() - start:.0f} s (accelerator: {guest.accelerator()}); "
        f"the guest's console is in {story.shown(FOLDER / 'disk.console')}")
    return 0 if all(good for _, good in checks) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except story.Failed as failure:
        sys.exit(f"demo: {failure}")
