"""Sets of the hub by name: the cache, a pinned commit, and no network."""

import shutil
import socket
import subprocess
import sys

import pytest

from jaxdl.data import hub, huggingface
from jaxdl.types import UserError
from tests.data.hub.test_hub import pictures

COMMITS = ("0" * 39 + "a", "0" * 39 + "b")


@pytest.fixture
def cached(library, tmp_path):
    """What `load_dataset("acme/pets")` leaves in the cache, of two commits: the first with 30 images, the second with 40."""
    for commit, count in zip(COMMITS, (30, 40), strict=True):
        source = tmp_path / "made" / str(count)
        source.mkdir(parents=True)
        pictures(library, range(count)).to_parquet(str(source / "pets.parquet"))
        rows = library.load_dataset("parquet", data_files=str(source / "pets.parquet"), cache_dir=str(source / "cache"))
        (folder,) = (source / "cache").glob("parquet/*/*/*/")
        place = tmp_path / "cache" / "acme___pets" / "default" / "0.0.0" / commit
        shutil.copytree(folder, place)
        (place / "parquet-train.arrow").rename(place / "pets-train.arrow")
        info = (place / "dataset_info.json").read_text(encoding="utf-8")
        config = folder.parent.parent.name
        (place / "dataset_info.json").write_text(info.replace(config, "default"), encoding="utf-8")
        del rows


def reached(monkeypatch, answer):
    asked = []
    monkeypatch.setattr(huggingface, "_reachable", lambda: asked.append(1) or answer)
    return asked


def count(data):
    return sum(data.size(part) for part in data.splits)


def test_without_a_network_the_cache_is_read(cached, monkeypatch):
    asked = reached(monkeypatch, False)
    assert count(hub.dataset("acme/pets", batch=4)) in (30, 40)
    assert asked


def test_a_pinned_commit_is_read_from_the_cache_and_no_other(cached, monkeypatch, tmp_path):
    asked = reached(monkeypatch, False)
    assert [count(hub.dataset("acme/pets", batch=4, revision=commit)) for commit in COMMITS] == [30, 40]
    assert not asked, "a full commit needs no network"
    with pytest.raises(FileNotFoundError, match=f"acme/pets at {'0' * 40} is not in"):
        hub.dataset("acme/pets", batch=4, revision="0" * 40)
    with pytest.raises(FileNotFoundError, match="acme/pets at v2 is not in"):
        hub.dataset("acme/pets", batch=4, revision="v2")
    refs = tmp_path / "hub" / "datasets--acme--pets" / "refs"
    refs.mkdir(parents=True)
    (refs / "v1").write_text(COMMITS[0], encoding="utf-8")
    assert count(hub.dataset("acme/pets", batch=4, revision="v1")) == 30, "what the tag meant when it was asked for"


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_nothing_is_asked(cached, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    asked = reached(monkeypatch, True)
    assert count(hub.dataset("acme/pets", batch=3)) in (30, 40)
    with pytest.raises(
        FileNotFoundError, match=r"acme/none is not in .*, and HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set"
    ):
        hub.dataset("acme/none", batch=3)
    assert not asked


def test_what_is_not_here_and_not_to_be_reached_is_said_with_what_to_run(monkeypatch):
    """A hub that refuses, and one that never answers: neither is waited for longer than a moment."""
    waits = []

    def never(address, timeout):
        waits.append((address, timeout))
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", never)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    monkeypatch.setattr(huggingface, "getproxies", dict)
    with pytest.raises(FileNotFoundError) as caught:
        hub.dataset("acme/none", batch=4, revision="v1")
    message = str(caught.value)
    assert "\n" not in message
    assert waits == [(("hub.invalid", 443), huggingface.PATIENCE)]
    assert huggingface.PATIENCE < 1
    assert "https://hub.invalid does not answer" in message
    assert "datasets.load_dataset('acme/none', revision='v1')" in message


def test_a_set_of_the_hub_is_asked_for_by_its_name_and_revision(library, monkeypatch):
    reached(monkeypatch, True)
    asked = []
    made = library.DatasetDict(train=pictures(library, range(40)))
    monkeypatch.setattr(library, "load_dataset", lambda *args, **kwargs: asked.append((args, kwargs)) or made)
    assert count(hub.dataset("acme/new", batch=4, config="small", revision="v1")) == 40
    assert asked == [(("acme/new", "small"), {"revision": "v1"})]

    def fails(*_, **__):
        raise ValueError("BuilderConfig 'tiny' not found.\nAvailable: ['small']")

    monkeypatch.setattr(library, "load_dataset", fails)
    with pytest.raises(
        UserError, match=r"acme/new: is not read by datasets \(ValueError: BuilderConfig 'tiny' not found"
    ):
        hub.dataset("acme/new", batch=4, config="tiny")


def test_without_the_package_the_extra_is_named():
    code = (
        "import sys; sys.modules['datasets'] = None\n"
        "from jaxdl.data import hub\n"
        "try:\n    hub.dataset('mnist', batch=4)\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "hub.dataset needs the package datasets" in done.stdout
    assert "hub" in done.stdout.rpartition("install")[2]
