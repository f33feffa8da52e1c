"""line.py - one line of the table: what was found, beside whom, against which goal."""

from dataclasses import dataclass

from measure import PAIRS, Sample, compare, middle


@dataclass
class Line:
    """One line of the table."""

    work: str
    peer: str
    ours: Sample = None
    theirs: Sample = None
    found: str = ""
    goal: str = ""  # empty: for comparison
    met: bool = None


def against(work, found, peer, value, text, goal=None, wish=None):
    """A line of two commands that ran in turn; text says the value, wish the goal in words."""
    return Line(work, peer, middle(found.ours), middle(found.peer), text.format(value), wish or "",
                None if goal is None else value <= goal)


def by_cpu(work, ours, peer, goal=None, pairs=PAIRS):
    """CPU time against a peer's; without a goal for comparison."""
    found = compare(ours, peer, pairs, warm=pairs > 1)
    value = found.ratio("cpu")
    text = f"CPU {{:.2f}} x, wall {found.ratio('wall'):.2f} x"
    return against(work, found, peer.name, value, text, goal, goal and f"CPU <= {goal} x")


def limit(work, sample, value, text, goal, wish):
    """A line of ours alone against a limit."""
    return Line(work, "", sample, None, text.format(value), wish, value <= goal)
