"""The clean notebooks: made from a small book that uses every construct of a chapter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupytext import read as read_chapter
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))  # as Sphinx does for a local extension

from repository import (  # noqa: E402
    PUBLISHED_BRANCH,
    SOURCE_BRANCH,
    Repository,
    find_repository,
    parse_remote,
)

PROJECT = Path(__file__).parent / "colab_book"
SITE = "https://someone.github.io/course"
MYST_LEFT = re.compile(r"^\s*[`:]{3,}\s*\{|\{[\w:-]+\}\\?`|^\+\+\+|^\([\w-]+\)=|^:::", re.MULTILINE)


def build(folder: Path, repository: str = "", site: str = "") -> subprocess.CompletedProcess[str]:
    """Build the clean notebooks of the book in this folder."""
    config = (folder / "_config.yml").read_text("utf-8")
    (folder / "_config.yml").write_text(config.replace("SITE_URL", site), "utf-8")
    shutil.copytree(ROOT / "book" / "_ext", folder / "book" / "_ext", dirs_exist_ok=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    builder = ["--builder", "custom", "--custom-builder", "colab"]
    return subprocess.run(
        [jupyter_book, "build", folder, "-W", "-n", "--keep-going", *builder],
        env={**os.environ, "GITHUB_REPOSITORY": repository, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )


def notebook(folder: Path, name: str) -> nbformat.NotebookNode:
    return nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4)


def prose(nb: nbformat.NotebookNode) -> str:
    return "\n\n".join(c.source for c in nb.cells if c.cell_type == "markdown")


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "course"
    shutil.copytree(PROJECT, folder)
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "gone.ipynb").touch()
    result = build(folder, "someone/course", SITE + "/")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def homeless(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("homeless") / "course"
    shutil.copytree(PROJECT, folder)
    result = build(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_one_notebook_for_each_page_with_code(published):
    assert {p.name for p in (published / "notebooks").iterdir()} == {"all.ipynb", "other.ipynb"}


def test_no_myst_is_left(published):
    for name in ("all", "other"):
        nb = notebook(published, name)
        nbformat.validate(nb)
        assert not MYST_LEFT.search(prose(nb))


def test_code_is_the_chapters(published):
    chapter = read_chapter(published / "book" / "all.md")
    want = [c.source for c in chapter.cells if c.cell_type == "code"]
    code = [c for c in notebook(published, "all").cells if c.cell_type == "code"][1:]
    assert [re.sub(r"\A#@title .*\n", "", c.source) for c in code] == want
    assert all(not c.outputs and c.execution_count is None for c in code)


@pytest.mark.parametrize(
    "text",
    [
        "# 1. Every construct",
        "## 1.1. Symbols",
        "the definition (1.1)",  # a reference to an equation
        r"\operatorname{softmax}(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}} \tag{1.1} $$",
        r"$$ \begin{aligned} a &= b \\ c &= d \end{aligned} \tag{1.2} $$",
        r"\begin{align*} u &= v \end{align*}",
        r"a price of 5\$, 2\*3, `snake_case` and a_name",
        "**Fig. 1.1** A parabola, see (1.1).",
        f"![A box]({SITE}/_images/box.svg)\n\n**Fig. 1.2** A static figure.",
        "see Fig. 1.1 and Fig. 1.2",
        f"[the other page]({SITE}/book/other.html#sec-other)",
        f"[Section 2]({SITE}/book/other.html#sec-other)",
        f"[Doe, 2020]({SITE}/book/references.html#",
        "> **Note**\n>\n> A note",
        "> **Myth, fact, measured**\n>\n> - first\n> - $$ y = 1 $$",
        "<details>\n<summary><b>More</b></summary>\n\nHidden *text*.\n\n</details>",
        "<details>\n<summary><b>Again</b></summary>\n\nHidden too.\n\n</details>",
        "**Table 1.1** Norms of $x$",
        r"| $\vert x\vert$, `a \| b` | 1 |",
        "| --- | ---: |",
        "1. one\n2. two\n\n   - nested",
        "```text\nliteral $x$ {here}\n```",
        "> **Exercise 1.1 (Sum)**\n>\n> Add 1 to `x`.",
        "<details>\n<summary><b>Solution</b></summary>\n\nBy addition:\n\n</details>",
    ],
)
def test_prose_is_kept(published, text):
    assert text in prose(notebook(published, "all"))


def test_what_the_site_hides_is_folded(published):
    cells = notebook(published, "all").cells
    setup, removed, hidden, solution = (c for c in cells if c.metadata.get("cellView") == "form")
    assert setup.source.startswith("#@title Set-up")
    assert removed.source == "#@title Code (click to show)\nx = 3"
    assert "ax.plot" in hidden.source
    assert solution.source == "#@title Solution (click to show)\nassert x + 1 == 4"
    assert solution.metadata.jupyter.source_hidden


def test_the_notebook_asks_for_a_gpu_only_where_the_page_does(published):
    assert notebook(published, "all").metadata.accelerator == "GPU"
    assert "accelerator" not in notebook(published, "other").metadata


def test_addresses_follow_the_repository(published):
    badge, setup = notebook(published, "all").cells[:2]
    colab = "https://colab.research.google.com/github/someone/course/blob/gh-pages/notebooks"
    assert f"({colab}/all.ipynb)" in badge.source
    assert f"({SITE}/book/all.html)" in badge.source
    requirement = "ptft[chapters] @ git+https://github.com/someone/course@main"
    assert f'%pip install -q "{requirement}"' in setup.source


def test_without_a_repository_the_notebook_stands_alone(homeless):
    nb = notebook(homeless, "all")
    text = prose(nb)
    assert "](data:image/svg+xml;base64," in text
    assert "[the other page](other.ipynb#sec-other)" in text
    assert "Doe, 2020" in text and "references" not in text
    assert "github" not in text
    assert "This notebook needs the course package" in nb.cells[0].source


def test_the_notebook_runs_anywhere(published, tmp_path):
    nb = notebook(published, "all")
    NotebookClient(nb, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for c in nb.cells if c.cell_type == "code" for output in c.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert list(tmp_path.iterdir()) == []


def test_the_setup_cell_says_what_to_do_where_the_package_is_missing(homeless):
    source = notebook(homeless, "all").cells[0].source
    exec(source, {})
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        exec(source.replace('"ptft"', '"not_there"'), {})


def test_cell_ids_follow_the_content(published, homeless):
    first, second = (
        {c.id: c.source for c in notebook(folder, "other").cells if c.cell_type == "code"}
        for folder in (published, homeless)
    )
    assert len(first) == 3  # two of the cells are alike
    assert len(set(first.items()) & set(second.items())) == 2  # the set-up cells differ


def test_what_a_reader_should_not_meet_fails_and_keeps_failing(homeless, tmp_path):
    folder = tmp_path / "course"
    shutil.copytree(homeless, folder)
    with (folder / "book" / "other.md").open("a", encoding="utf-8") as page:
        page.write(
            "\nA raw ` {eq}``x`` `, a footnote[^1].\n\n[^1]: No rule.\n\n"
            "```{code-cell} ipython3\n:tags: [skip-execution]\nx = 1\n```\n"
        )
    for _ in range(2):
        result = build(folder)
        assert result.returncode != 0
        for problem in ("MyST is left", "no rule for the node footnote", "cuda.is_available"):
            assert problem in result.stderr


def test_parse_remote():
    course = Repository("some-one", "course.x")
    for url in (
        "https://github.com/some-one/course.x",
        "https://github.com/some-one/course.x.git",
        "https://token@github.com/some-one/course.x/",
        "git@github.com:some-one/course.x.git",
        "ssh://git@github.com/some-one/course.x.git",
    ):
        assert parse_remote(url) == course
    for url in ("", "/srv/course.git", "https://gitlab.com/a/b", "https://notgithub.com/a/b"):
        assert parse_remote(url) is None


def test_find_repository(tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert find_repository(tmp_path) is None
    for command in (["init", "-q"], ["remote", "add", "origin", "git@github.com:a/b.git"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert find_repository(tmp_path) == Repository("a", "b")
    monkeypatch.setenv("GITHUB_REPOSITORY", "c/d")
    assert find_repository(tmp_path) == Repository("c", "d")
    monkeypatch.setenv("GITHUB_REPOSITORY", "c")
    with pytest.raises(ValueError, match="owner/name"):
        find_repository(tmp_path)


def test_the_workflow_publishes_where_the_addresses_point():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert f"HEAD:refs/heads/{PUBLISHED_BRANCH}\n" in workflow
    assert f"branches: [{SOURCE_BRANCH}]" in workflow
