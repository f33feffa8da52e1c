"""changes.py - what a case is, and the small changes of a good cache that cases are made of."""

import json
import os
from dataclasses import dataclass

from made import entry, pae, text

OTHER = "0123456789abcdef" * 4


@dataclass
class Case:
    """A change of a good cache, and the answer to it."""

    name: str
    changes: dict
    verdict: str = "clean"
    step: int = None
    least: int = 0
    agent: str = None  # the agent's reason where it differs, since it reads its own branch only
    tar: callable = None  # a change of the cache's tar, where it travels as one
    after: callable = None  # looks at a machine in which the agent installed
    kept: bool = None  # whether the agent keeps the chain; None: not looked at


HOSTILE_NAMES = [
    "",
    ".",
    "..",
    "-rf",
    "a/b",
    "a\\b",
    "a b",
    "a.",
    "a:b",
    "é",
    "a\nb",
    "CON",
    "con",
    "nul.txt",
    "LPT9.x",
    "com1",
    "a" * 129,
    "%2e",
    "~/x",
    "a*",
    "$HOME",
    "a;b",
    "a\tb",
]


def reach(value, path):
    """The container that the last word of a path is in."""
    for word in path[:-1]:
        value = value[word]
    return value


def put(*path):
    """Set what the path leads to; the last argument is the value."""
    *path, new = path

    def change(value, *_):
        reach(value, path)[path[-1]] = new

    return change


def drop(*path):
    """Delete what the path leads to."""

    def change(value, *_):
        del reach(value, path)[path[-1]]

    return change


def many(*changes):
    """Several changes of one stage."""

    def change(value, *_):
        for one in changes:
            made = one(value)
            assert made is None

    return change


def swap(old, new):
    """Replace bytes that must be there, once."""
    old, new = (word.encode() if isinstance(word, str) else word for word in (old, new))

    def change(data, *_):
        assert old in data, (old, data[:200])
        return data.replace(old, new, 1)

    return change


def tail(more):
    """Bytes after the end."""
    return lambda data, *_: data + more


def head(more):
    """Bytes before the beginning."""
    return lambda data, *_: more + data


def on(name, change):
    """Change the bytes of a stored blob and leave its name: what an attacker with the disk does."""

    def disk(made, *_):
        path = made.blob(name)
        path.write_bytes(change(path.read_bytes()))

    return disk


def flip(at):
    """One bit of one byte."""

    def change(data, *_):
        made = bytearray(data)
        made[at] ^= 1
        return bytes(made)

    return change


def gone(name):
    """A blob that is not here."""
    return lambda made, *_: made.blob(name).unlink()


def first_key_again(data, *_):
    """The first member once more, with the same value: harmless to a reader that does not look."""
    key, value = next(iter(json.loads(data).items()))
    return b"{" + text({key: value})[1:-1] + b"," + data[1:]


def nested(depth):
    """An unknown key that holds so many lists, one in another."""
    return swap("{", '{"deep":' + "[" * depth + "]" * depth + ",")


def signed_by(*names):
    """The signatures of these keys."""
    return {"signatures": lambda value, payload: [entry(name, pae(payload)) for name in names]}


def as_link(name):
    """The right bytes behind a symbolic link."""

    def disk(made):
        path, real = made.blob(name), made.folder / "real"
        path.rename(real)
        path.symlink_to(real)

    return disk


def as_folder(name):
    """A folder in the place of a file."""

    def disk(made):
        made.blob(name).unlink()
        made.blob(name).mkdir()

    return disk


def as_pipe(name):
    """A pipe, on which a careless reader waits for ever."""

    def disk(made):
        made.blob(name).unlink()
        os.mkfifo(made.blob(name))

    return disk
