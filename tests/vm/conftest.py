"""What the guests of all files here share."""

import pytest

import story


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """One folder with the NIC cache: (folder, cache, key, trust)."""
    folder = tmp_path_factory.mktemp("story")
    return (folder, *story.nic_cache(folder))
