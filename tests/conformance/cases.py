"""cases.py - all cases: one row, one rule of FORMAT.md, what a verifier must say and where."""

from cases_json import json_cases, member_cases
from cases_signature import (
    base64_cases,
    envelope_cases,
    signature_cases,
    threshold_cases,
    trust_cases,
)
from cases_statement import statement_cases, table_cases
from cases_record import record_cases
from cases_step import step_cases
from cases_blob import blob_cases, zstd_cases
from cases_patch import patch_cases
from cases_hint import hint_cases
from cases_chain import chain_cases
from cases_tar import tar_cases
from cases_tree import tree_cases


PARTS = (
    json_cases,
    member_cases,
    base64_cases,
    envelope_cases,
    signature_cases,
    threshold_cases,
    trust_cases,
    statement_cases,
    table_cases,
    record_cases,
    step_cases,
    blob_cases,
    zstd_cases,
    patch_cases,
    hint_cases,
    chain_cases,
    tar_cases,
    tree_cases,
)
CASES = [case for part in PARTS for case in part()]
