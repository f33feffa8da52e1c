"""made_ko.py - small kernel modules, made to measure: ELF with the sections that matter, and nothing to run."""

import struct

FLAGS = "SMP preempt mod_unload modversions "
NAMES = ["", ".modinfo", "__versions", ".symtab", ".strtab", ".shstrtab", ".note.gnu.build-id"]


def symvers(symbols):
    """A Module.symvers of these names and versions."""
    return "".join(f"{crc:#010x}\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name, crc in symbols.items())


def table(names):
    """(string table, offset of each name)."""
    data, places = b"\0", []
    for name in names:
        places.append(len(data) if name else 0)
        data += name.encode() + b"\0" if name else b""
    return data, places


def build_note(build):
    """What the kernel shows of a loaded module, and its file has: a build id of 20 bytes."""
    return struct.pack("<III4s", 4, 20, 3, b"GNU") + build.ljust(20, b"\0")


def made_ko(release, needs, name="nic", flags=FLAGS, depends="", build=b""):
    """A module for x86_64 that asks for these symbols, each with its version."""
    info = f"license=GPL\0depends={depends}\0name={name}\0vermagic={release} {flags}\0".encode()
    versions = b"".join(struct.pack("<Q56s", crc, symbol.encode()) for symbol, crc in needs.items())
    strings, places = table([symbol for symbol in needs if symbol != "module_layout"])
    symbols = bytes(24) + b"".join(struct.pack("<IBBHQQ", place, 0x10, 0, 0, 0, 0) for place in places)
    headings, at = table(NAMES)
    parts = [b"", info, versions, symbols, strings, headings] + ([build_note(build)] if build else [])
    body, sections = bytearray(64), []
    for i, part in enumerate(parts):
        kind = (0, 1, 1, 2, 3, 3, 7)[i]
        sections.append(struct.pack("<IIQQQQIIQQ", at[i], kind, 0, 0, len(body) if kind else 0, len(part),
                                    4 if kind == 2 else 0, 0, 1, 24 if kind == 2 else 0))
        body += part
    body += bytes(-len(body) % 8)
    body[:64] = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 1, 62, 1, 0, 0, len(body), 0, 64, 0, 0, 64,
                            len(parts), 5)
    return bytes(body) + b"".join(sections)
