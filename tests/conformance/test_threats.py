"""Which test covers which class of THREATS.md, and that every test named here is there."""

import ast
import re
from pathlib import Path

import pytest

from cases import CASES
from faults import FAULTS

TESTS = Path(__file__).resolve().parents[1]

# T number -> what covers it: FOLDER/FILE::NAME of a test; "case BEGINNING" of cases that all verifiers
# judge alike; "cell BEGINNING" of faults that are tried on every route.
THREATS = {
    1: [
        "conformance/test_races.py::test_what_is_installed_is_what_was_checked",
        "e2e/test_bake.py::test_an_archive_that_changed_in_the_store_is_never_signed",
        "unit/test_stamp.c::test_files",
    ],
    2: [
        "case blob of 2147483647 bytes",
        "case blob of 2147483649 bytes",
        "case blob of 2^31 + 1 bytes",
        "case tar: a hole of 4294967295 bytes",
        "case tar: a hole of 8589934592 bytes",
        "case tar: a size of 2^6",
    ],
    3: [
        "unit/test_key.c::test_every_length",
        "unit/test_key.c::test_every_bit",
        "unit/test_base64.c::test_bad",
        "case a signature of ",
        "case signature in base64: ",
        "case ECDSA, ",
    ],
    4: [
        "conformance/test_routes.py::test_refused_alike",
        "conformance/test_routes.py::test_the_matrix_is_whole",
    ],
    5: [
        "case one key twice",
        "case one signature twice",
        "case one signature under two key ids",
        "case chain: one key signed twice",
        "case chain: one signature under two key ids",
        "cell one key twice",
        "cell one key under two ids",
        "cell below the threshold",
        "unit/test_trust.c::test_key_count",
    ],
    6: [
        "unit/test_trust.c::test_next_damaged",
        "unit/test_trust.c::test_walk",
        "unit/test_open.c::test_half_a_chain",
        "e2e/test_trust.py::test_nothing_is_kept_of_a_cache_that_is_refused",
        "case chain: ",
        "cell trust chain not proven",
        "cell trust chain altered",
    ],
    7: [
        "cell serial low",
        "e2e/test_serial.py::test_an_older_cache_is_not_obeyed",
        "e2e/test_serial.py::test_a_machine_that_never_stored_anything_may_die_anywhere",
        "e2e/test_serial.py::test_a_reverted_snapshot_falls_back_to_the_floor",
        "e2e/test_bake.py::test_embed_does_not_go_below_the_floor",
        "case chain: proven, and the serial is low",
    ],
    8: [
        "case hints: ",
        "unit/test_open.c::test_hint_to_another_envelope",
        "unit/test_verify.c::test_hints_change_nothing",
    ],
    9: [
        "unit/test_name.c::test_every_byte",
        "unit/test_name.c::test_names",
        "case tar: a file named ",
        "case tree: a file named ",
        "case tree: a path ",
    ],
    10: [
        "unit/test_archive.c::test_hostile_members",
        "unit/test_steps.c::test_links",
        "unit/test_fs.c::test_make_dir_beneath",
        "case tree: a link ",
        "case tree: a file beneath a link",
        "case tar: a link ",
        "conformance/test_races.py::test_what_is_installed_is_what_was_checked",
        "e2e/test_bake.py::test_embed_stays_inside_its_root",
    ],
    11: [
        "unit/test_archive.c::test_hostile_members",
        "unit/test_steps.c::test_place_mode",
        "case tree: a file of mode 4755",
        "case tree: a device",
        "case tree: a header of type ",
        "case tree: an owner",
    ],
    12: [
        "unit/test_codec.c::test_window",
        "unit/test_blob.c::test_bomb",
        "case zstd: a bomb",
        "case zstd: a window of ",
        "case tree: its size is ",
        "case tree: an entry more than signed",
    ],
    13: [
        "unit/test_codec.c::test_every_cut",
        "unit/test_blob.c::test_every_signed_cut",
        "case zstd: cut",
        "case tar: cut at ",
        "case tree: cut ",
    ],
    17: [
        "e2e/test_credentials.py::test_other_hosts_hear_nothing",
        "e2e/test_credentials.py::test_a_redirect_takes_nothing_along",
        "e2e/test_hostile.py::test_a_token_stays_with_its_registry",
        "e2e/test_hostile.py::test_a_proxy_s_login_stays_with_the_proxy",
        "e2e/test_hostile.py::test_a_user_s_logins_are_not_read",
        "unit/test_location.c::test_origins",
        "unit/test_location.c::test_shown",
    ],
    18: [
        "e2e/test_hostile.py::test_bad_wants",
        "e2e/test_hostile.py::test_lie",
        "unit/test_location.c::test_locations",
        "unit/test_name.c::test_names",
    ],
    19: [
        "case hints: the index points at itself",
        "case hints: the index nested 33 deep",
        "case statement JSON: depth 100000",
        "unit/test_json.c::test_depth",
        "case tree: a link to itself",
    ],
    20: [
        "e2e/test_fetch.py::test_modes",
        "e2e/test_hostile.py::test_modes",
        "unit/test_journal.c::test_contents",
    ],
    22: ["e2e/test_hostile.py::test_link_local_addresses_are_never_asked"],
    23: [
        "e2e/test_sweep.py::test_old_or_new_and_then_done",
        "e2e/test_fetch.py::test_killed_run_resumes",
        "e2e/test_fetch.py::test_killed_package_download_is_cleaned_up",
        "unit/test_store.c::test_cleaned_at_open",
        "unit/test_sweep.c::test_layout",
        "unit/test_steps.c::test_drafts",
    ],
    24: [
        "case tar: a disk image of qemu",
        "case tar: packed with gzip",
        "unit/test_archive.c::test_list_of_formats",
    ],
    25: [
        "case statement string: NUL",
        "unit/test_json.c::test_nul_bytes",
        "unit/test_err.c::test_no_control_characters",
        "case tree: a file named 'é'",
    ],
    26: [
        "conformance/test_conformance.py::test_all_agree",
        "case record JSON: ",
        "unit/test_json.c::test_parse",
    ],
    27: ["e2e/test_firstboot.py::test_the_guest_s_own_configuration_is_not_loaded"],
    28: [
        "unit/test_journal.c::test_hostile",
        "e2e/test_firstboot.py::test_a_hostile_journal_is_discarded",
        "unit/test_stamp.c::test_hostile",
    ],
    29: [
        "unit/test_name.c::test_device_globs",
        "unit/test_name.c::test_glob_cost",
        "unit/test_manifest.c::test_refuse",
        "case table: ",
    ],
    30: [
        "cell serial low",
        "cell signature wrong",
        "e2e/test_serial.py::test_a_tar_is_judged_as_a_folder_is",
    ],
}


def functions(path):
    """The names of the tests in a file."""
    text = path.read_text()
    if path.suffix == ".c":
        return set(re.findall(r"^static void (test_\w+)\(void \*\*\w+\)", text, re.MULTILINE))
    return {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def is_there(name):
    """Whether something of this name is tested."""
    if name.startswith("case "):
        return any(case.name.startswith(name[5:]) for case in CASES)
    if name.startswith("cell "):
        return any(fault.name.startswith(name[5:]) for fault in FAULTS)
    place, _, function = name.partition("::")
    path = TESTS / place
    return path.is_file() and function in functions(path)


@pytest.mark.parametrize("number", THREATS, ids=lambda number: f"T{number}")
def test_every_test_named_is_there(number):
    assert [name for name in THREATS[number] if not is_there(name)] == []


def test_every_class_is_covered():
    wanted = {*range(1, 14), *range(17, 21), *range(22, 31)}
    assert wanted == set(THREATS) and all(THREATS.values())


def test_what_was_collected_has_them(request):
    """In a run of everything, what is named was collected; in a part of it, what is in that part."""
    files = {Path(item.fspath).name for item in request.session.items}
    collected = {
        (Path(item.fspath).name, item.name.split("[")[0]) for item in request.session.items
    }
    if request.config.option.keyword or any("::" in arg for arg in request.config.args):
        return
    for name in (name for names in THREATS.values() for name in names if ".py::" in name):
        place, _, function = name.rpartition("/")[2].partition("::")
        assert place not in files or (place, function) in collected, name
