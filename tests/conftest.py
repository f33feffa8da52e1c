"""Rules for every test here: no test is skipped unless tests/allowed_skips names it and says why."""

import os
import shutil
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent


def pytest_configure(config):
    """What programs note for themselves goes into a folder of this run, not into the user's home."""
    config.larder_notes = tempfile.mkdtemp(prefix="larder-notes-")
    os.environ["XDG_CACHE_HOME"] = config.larder_notes


def pytest_unconfigure(config):
    """And goes with it."""
    shutil.rmtree(config.larder_notes, ignore_errors=True)


def allowed_skips():
    """The names in tests/allowed_skips, each followed by its reason."""
    lines = (TESTS / "allowed_skips").read_text().splitlines()
    return {line.split(None, 1)[0] for line in lines if line and not line.startswith("#")}


def pytest_terminal_summary(terminalreporter):
    """Names each skip that is not allowed."""
    for name in unexpected(terminalreporter):
        terminalreporter.write_line(f"SKIPPED WITHOUT LEAVE: {name}")


def pytest_sessionfinish(session, exitstatus):
    """A part that did not run fails the whole."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and reporter and unexpected(reporter):
        session.exitstatus = 1


def unexpected(reporter):
    """Skipped tests that the list does not name."""
    names = {report.nodeid.split("[")[0].split("/")[-1] for report in reporter.stats.get("skipped", [])}
    return sorted(names - allowed_skips())
