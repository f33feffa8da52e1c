"""run.py BUILD SECONDS NAME...: fuzz each target for so long, two at a time; one line for each.

SECONDS 0: every seed and every case once. Exits with 1 when there is a finding, and says where; or when
a target has no seed: without a file libFuzzer would not run cases but fuzz, without an end."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

TOP = pathlib.Path(__file__).resolve().parents[2]
AT_ONCE = 2
# Ten seconds with sanitizers are about one without. Larger cases are there for fuzz-cases alone.
OPTIONS = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=8192", "-print_final_stats=1"]


def seed_folders(name):
    """Checked-in inputs: small good ones, what fuzzing found, and what other tests have."""
    folders = [TOP / "tests/fuzz/seeds" / name, TOP / "tests/cases/fuzz" / name,
               TOP / "tests/cases" / name]
    return [folder for folder in folders if folder.is_dir()]


def seeds(name):
    """The files in them."""
    return sorted(path for folder in seed_folders(name) for path in folder.rglob("*") if path.is_file())


def command(build, seconds, name):
    """What to run, and the folder that receives what it finds."""
    found = build / "findings" / name
    found.mkdir(parents=True, exist_ok=True)
    argv = [build / "target" / name, *OPTIONS, f"-artifact_prefix={found}/"]
    if not seconds:
        return argv + seeds(name), found
    corpus = build / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    return argv + [f"-max_total_time={seconds}", corpus, *seed_folders(name)], found


def last(pattern, text):
    """The last match in a log, or 0."""
    return int((re.findall(pattern, text) or ["0"])[-1])


def run(build, seconds, name):
    """Run one target. Returns whether nothing was found."""
    argv, found = command(build, seconds, name)
    log = build / "log" / f"{name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, log.open("wb") as out:
        code = subprocess.run(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                              env=os.environ | {"TMPDIR": folder}, check=False).returncode
    text = log.read_text(errors="replace")
    runs = text.count("\nExecuted ") or last(r"number_of_executed_units: (\d+)", text)
    edges = last(r"cov: (\d+)", text)
    line = f"{name:<11} {runs:>9} runs  {edges or '-':>5} edges  "
    if code == 0:
        print(line + "no finding", flush=True)
        shutil.rmtree(found)
        return True
    print(line + f"FOUND: {' '.join(str(path) for path in sorted(found.iterdir()))}; {log}",
          flush=True)
    return False


def main():
    """Returns the exit code."""
    build, seconds, names = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    lacking = [name for name in names if not seeds(name)]
    if lacking:
        print(f"no seed in tests/fuzz/seeds for: {' '.join(lacking)}", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return 0 if all(list(pool.map(lambda name: run(build, seconds, name), names))) else 1


if __name__ == "__main__":
    sys.exit(main())
