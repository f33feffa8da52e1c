"""powercut.py - what a disk holds after a power cut: writes that no flush followed are lost at random.

QEMU's blklogwrites notes each write and each flush of the guest, as Linux's dm-log-writes does
(Documentation/admin-guide/device-mapper/log-writes.rst). A killed QEMU alone would lose nothing: the
host keeps what the guest wrote. The disk after the cut is made anew from the disk before and the log.
"""

import struct
from pathlib import Path

from pieces import run

SECTOR = 512
MAGIC, VERSION = 0x6A736677736872, 1
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of a mark
FLUSH, FUA, DISCARD = 1, 2, 4


def logged_drive(disk, log):
    """What QEMU's -drive needs to note the writes to disk in log."""
    Path(log).write_bytes(b"")
    return (f"driver=blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename={disk},"
            f"file.cache.no-flush=on,log.driver=raw,log.file.driver=file,log.file.filename={log},"
            f"log.cache.no-flush=on")


def read_log(log):
    """[(flags, offset, bytes)] in the order in which the guest's writes ended."""
    data, entries = Path(log).read_bytes(), []
    magic, version, _, size = struct.unpack_from("<QQQL", data)
    assert (magic, version, size) == (MAGIC, VERSION, SECTOR), (magic, version, size)
    place = SECTOR
    while place + SECTOR <= len(data):
        sector, count, flags, _ = ENTRY.unpack_from(data, place)
        place += SECTOR
        size = 0 if flags & DISCARD else count * SECTOR
        if not flags and not count:
            break
        if place + size > len(data):
            return entries
        entries.append((flags, sector * SECTOR, data[place:place + size]))
        place += size
    assert not any(data[place:]), f"{log}: an entry lies behind one that was not written"
    return entries


def last_flush(entries):
    """How many entries are on the disk whatever happens."""
    return max((number + 1 for number, (flags, _, _) in enumerate(entries) if flags & FLUSH),
               default=0)


def cut(base, entries, disk, chance):
    """Make disk what base is after these entries and a power cut; returns how many writes were lost.

    chance: random.Random. Of what no flush followed all is lost, or each by the toss of a coin: a disk
    may write its cache in any order. What was written through (FUA) is kept."""
    safe, kept, lost = last_flush(entries), chance.choice((0, 0.5)), 0
    run("cp", "--sparse=always", base, disk)
    with open(disk, "r+b") as out:
        for number, (flags, offset, data) in enumerate(entries):
            if not data:
                continue
            if number >= safe and not flags & FUA and chance.random() >= kept:
                lost += 1
                continue
            out.seek(offset)
            out.write(data)
    return lost
