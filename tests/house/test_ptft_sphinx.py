"""The page's buttons, and the warning for a page whose outputs nbmake did not make."""

from types import SimpleNamespace
from typing import Any

import ptft_sphinx
import pytest
from repository import Repository


def context() -> dict[str, Any]:
    return {
        "header_buttons": [{"label": "download-buttons", "buttons": [{"text": ".md"}]}],
        "pathto": lambda path, resource: f"../{path}",
    }


def test_the_clean_notebook_is_offered_as_a_download() -> None:
    page = context()
    ptft_sphinx.offer_notebook("book/first", page, None)
    (downloads,) = page["header_buttons"]
    assert downloads["buttons"][0]["url"] == "../notebooks/first.ipynb"


def test_colab_is_offered_where_the_repository_is_known() -> None:
    page = context()
    ptft_sphinx.offer_notebook("book/first", page, Repository("someone", "course"))
    assert "github/someone/course/" in page["header_buttons"][0]["url"]


@pytest.mark.parametrize(
    ("succeeded", "mtime", "warned"), [(True, 1.0, False), (True, 3.0, True), (False, 1.0, True)]
)
def test_a_page_that_the_site_build_had_to_run_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, succeeded: bool, mtime: float, warned: bool
) -> None:
    warnings: list[str] = []
    logger = SimpleNamespace(warning=lambda message, **where: warnings.append(where["location"]))
    monkeypatch.setattr(ptft_sphinx, "LOGGER", logger)
    app: Any = SimpleNamespace(config=SimpleNamespace(ptft_start=2.0))
    run = {"succeeded": succeeded, "mtime": mtime}
    env: Any = SimpleNamespace(nb_metadata={"book/first": {"exec_data": run}, "book/index": {}})
    ptft_sphinx.check_executed(app, env)
    assert warnings == (["book/first"] if warned else [])
