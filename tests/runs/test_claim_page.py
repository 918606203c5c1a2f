"""The page of the claims: what is committed is what the ledger says; nothing of a user's is replaced."""

from pathlib import Path

import pytest

from jaxdl.runs import claim_page
from jaxdl.runs.claim_pictures import Judged, judged
from jaxdl.runs.claims import Decision, Study
from jaxdl.types import UserError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "claims"


def without_rounding(text):
    """The lines but those that hold rounding errors, which differ between machines."""
    return [line for line in text.splitlines() if not line.startswith("Evidence:")]


@pytest.mark.slow
@pytest.mark.programs(200, "facts are computed eagerly")
def test_the_page_is_what_the_ledger_says():
    wanted = claim_page.page(judged(ROOT / "results" / "claims"))
    kept = (PAGE / "README.md").read_text(encoding="utf-8")
    assert without_rounding(kept) == without_rounding(wanted), "run: python -m jaxdl claims --page docs/claims"
    shown = {line.split("(")[-1].rstrip(")") for line in kept.splitlines() if line.startswith("![")}
    assert len(shown) > 30
    assert shown == {picture.name for picture in PAGE.glob("*.png")}


ONE = [Judged(Decision("C9", "it holds", "not measured with this code", study="toy"), Study(), {})]


@pytest.mark.parametrize("name", ["README.md", "C9-toy.png"])
def test_files_of_the_user_are_refused_and_stay(name, tmp_path):
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=name):
        claim_page.write_page(tmp_path, ONE)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["mine"]


def test_a_page_is_replaced_and_other_pictures_stay(tmp_path):
    (tmp_path / "mine.png").write_text("mine", encoding="utf-8")
    claim_page.write_page(tmp_path, ONE)
    (tmp_path / "C9-toy.png").write_text("older", encoding="utf-8")
    claim_page.write_page(tmp_path, ONE)
    assert (tmp_path / "C9-toy.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "mine.png").read_text(encoding="utf-8") == "mine"
