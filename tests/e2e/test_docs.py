"""test_docs.py - lines that the documentation tells people to type."""

import os
import re
import subprocess

import pytest

from larder import BUILD, TOP, good, run


def block(page, begin):
    """The indented block of a page that has this text in its first line, without its margin."""
    lines = (TOP / page).read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("    ") and begin in line)
    taken = []
    for line in lines[first:]:
        if line and not line.startswith("    "):
            break
        taken.append(line[4:])
    return "\n".join(taken)


def test_the_manifest_of_the_page_runs(tmp_path):
    """From the archive to the cache, word by word; only the archive's place is another."""
    script = block("docs/manifest.md", "mkdir nic").replace("/tmp/nic-", f"{tmp_path}/nic-")
    done = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"})
    assert done.returncode == 0 and "drivers.cache: serial 1, 1 bundle, 1 carried" in done.stdout, done
    assert "0 faults, 0 files to pin" in done.stdout, done.stdout
    good("larder-verify", tmp_path / "drivers.cache", "--trust", tmp_path / "trust.json")


def test_the_readme_cache_has_what_its_slices_ask(tmp_path):
    """The README bakes manifests/debian-nic.json; a --nic that none of its bundles claims would be refused."""
    site = tmp_path / "site.json"
    site.write_text(re.search(r"`(\{.format.:.larder.site.v1.*?\})`", (TOP / "README.md").read_text())[1])
    words = [re.findall(r"--(?:os|nic|kernel|arch) \S+", line)
             for page in ("README.md", "docs/audit.md") for line in re.findall(r".*--nic .*", (TOP / page).read_text())]
    assert len(words) >= 2
    for options in words:
        done = run("larder", "fetch", TOP / "manifests/debian-nic.json", "--store", tmp_path / "store", "--site", site,
                   "--offline", *" ".join(options).rstrip("`").split())
        assert "is selected" not in done.stderr and done.returncode != 2, (options, done)


# Each is there in a minimal Debian, comes with one of those that the pages name (libssl3 with libcurl4), or is a sanitizer's.
MINIMAL = {"libc.so.6", "libcrypto.so.3", "libzstd.so.1", "libz.so.1", "liblzma.so.5", "libext2fs.so.2", "libcom_err.so.2",
           "libblkid.so.1", "libseccomp.so.2", "ld-linux-x86-64.so.2", "libssl.so.3", "libasan.so.8", "libubsan.so.1"}


@pytest.mark.parametrize("page", ("README.md", "docs/packer.md"))
def test_a_minimal_image_gets_the_libraries_of_larder(page):
    """libelf.so.1 is package libelf1, and so on."""
    said = subprocess.run(["readelf", "-d", BUILD / "larder"], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", said)) - MINIMAL
    line = re.search(r"--no-install-recommends (lib.*)\"", (TOP / page).read_text())[1]
    assert {name.replace(".so.", "") for name in needed} == set(line.split())


@pytest.mark.parametrize("page", sorted(str(path.relative_to(TOP)) for path in (*TOP.glob("docs/*.md"), TOP / "README.md")))
def test_no_page_bakes_into_the_sources(page):
    """The folder cache/ of a clone is C."""
    assert not re.search(r"--cache cache\b|larder copy cache\b|embed cache\b", (TOP / page).read_text())


@pytest.mark.parametrize("page", sorted(str(path.relative_to(TOP)) for path in (*TOP.glob("docs/*.md"), TOP / "README.md")))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", (TOP / page).read_text()):
        assert ((TOP / page).parent / target).exists(), target
