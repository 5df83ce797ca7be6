"""Where the project lives on GitHub, and every address that follows from it.

Nothing here names an owner: a fork, a clone and a workflow each find their own.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

BOOK_DIR = "book"  # the folder of the chapters' sources
NOTEBOOK_DIR = "notebooks"  # the folder of the clean notebooks, here and on the published branch
SOURCE_BRANCH = "main"
PUBLISHED_BRANCH = "gh-pages"  # site and notebooks together, written by the publish workflow


def notebook_path(docname: str) -> str:
    """Return where a page's clean notebook lies, from the root of the repository or site.

    Example:
        >>> notebook_path("book/why_pretrain")
        'notebooks/why_pretrain.ipynb'
    """
    return f"{NOTEBOOK_DIR}/{docname.removeprefix(BOOK_DIR + '/')}.ipynb"


@dataclass(frozen=True)
class Repository:
    """A GitHub repository, by owner and name."""

    owner: str
    name: str

    @property
    def url(self) -> str:
        """Address of the repository."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def site_url(self) -> str:
        """Address of the site on GitHub Pages, with a slash at the end."""
        return f"https://{self.owner.lower()}.github.io/{self.name}/"

    @property
    def requirement(self) -> str:
        """What pip installs to have the course package without a checkout."""
        return f"ptft[chapters] @ git+{self.url}@{SOURCE_BRANCH}"

    def colab_url(self, docname: str) -> str:
        """Address that opens the page's clean notebook in Colab."""
        return (
            f"https://colab.research.google.com/github/{self.owner}/{self.name}"
            f"/blob/{PUBLISHED_BRANCH}/{notebook_path(docname)}"
        )


def parse_remote(url: str) -> Repository | None:
    """Read owner and name from a git remote, or None when it is not on GitHub."""
    match = re.fullmatch(
        r"(?:(?:https?|ssh|git)://)?(?:[^@/]+@)?github\.com[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?",
        url,
    )
    return Repository(*match.groups()) if match else None


def find_repository(root: Path) -> Repository | None:
    """Find the project's repository.

    The environment variable GITHUB_REPOSITORY ("owner/name", set in every workflow) comes first,
    then the remote `origin` of the checkout at `root`.

    Args:
        root: folder of the checkout.

    Returns:
        The repository, or None when neither says.

    Raises:
        ValueError: if GITHUB_REPOSITORY is not "owner/name".
    """
    slug = os.environ.get("GITHUB_REPOSITORY", "")
    if slug:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", slug):
            raise ValueError(f'GITHUB_REPOSITORY should be "owner/name", not {slug!r}')
        return Repository(*slug.split("/"))
    if not (root / ".git").exists():  # else git would answer for a checkout further up
        return None
    try:
        command = ["git", "-C", str(root), "config", "--get", "remote.origin.url"]
        remote = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:  # git is not installed
        return None
    return parse_remote(remote.strip())
