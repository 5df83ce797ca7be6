"""Check a built site without network: pages, links, anchors, images, outputs, nothing from outside.

    python tools/check_site.py _build/html

Prints every problem and exits with 1 if there is any.
"""

import re
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag
from chapter import find_chapters, toc_pages

# Which attribute of which element makes a browser load something, and which is only a link.
LOADS = {
    "img": "src",
    "script": "src",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
}
LINKS = {"a": "href", "link": "href"}
LOADING_RELS = {"stylesheet", "preload", "icon", "modulepreload", "manifest"}
STYLE_LOAD = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
SCRIPT_LOAD = re.compile(r"""(?:import\s*\(?|from\s|fetch\(|\.src\s*=)\s*["'](https?://[^"']+)""")
FILE_NAME = re.compile(r"\S+\.(?:png|svg|jpe?g|gif|webp)")


class Page:
    """One HTML file of the site."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def soup(self) -> BeautifulSoup:
        """The parsed page."""
        return BeautifulSoup(self.path.read_text("utf-8"), "html.parser")

    @cached_property
    def anchors(self) -> set[str]:
        """Everything on the page that a #fragment can name."""
        named = {str(tag["name"]) for tag in self.soup.find_all("a", attrs={"name": True})}
        return named | {str(tag["id"]) for tag in self.soup.find_all(id=True)}


class Site:
    """A built site and what is wrong with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        files = sorted(self.folder.rglob("*.html"))
        self.pages = {path: Page(path) for path in files if "_static" not in path.parts}

    def problems(self) -> Iterator[str]:
        """Yield every problem of every page, with the page's name."""
        for page in self.pages.values():
            name = page.path.relative_to(self.folder).as_posix()
            for check in (self.links, self.loads, self.images, self.outputs):
                for problem in check(page):
                    yield f"{name}: {problem}"

    def links(self, page: Page) -> Iterator[str]:
        """Find links within the site to pages, files and anchors that are not there."""
        for element, attribute in (LINKS | LOADS).items():
            for tag in page.soup.find_all(element, attrs={attribute: True}):
                url = str(tag[attribute])
                parts = urlsplit(url)
                if parts.scheme or parts.netloc:
                    continue
                target = (page.path.parent / unquote(parts.path)).resolve()
                if not parts.path:
                    target = page.path
                elif target.is_dir():
                    target /= "index.html"
                if not target.exists():
                    yield f"broken link {url}"
                elif parts.fragment and not self.has_anchor(target, unquote(parts.fragment)):
                    yield f"missing anchor {url}"

    def has_anchor(self, target: Path, fragment: str) -> bool:
        """Whether a fragment names something on a page; files that are no pages are not read."""
        page = self.pages.get(target)
        return page is None or fragment == "top" or fragment in page.anchors

    def loads(self, page: Page) -> Iterator[str]:
        """Find what a browser would fetch from another host."""
        for element, attribute in (LINKS | LOADS).items():
            for tag in page.soup.find_all(element, attrs={attribute: True}):
                only_a_link = element in LINKS and not LOADING_RELS & set(tag.get("rel") or [])
                if not only_a_link and urlsplit(str(tag[attribute])).netloc:
                    yield f"loads {tag[attribute]}"
        for tag in page.soup.find_all(["script", "style"]):
            pattern = SCRIPT_LOAD if tag.name == "script" else STYLE_LOAD
            yield from (f"loads {url}" for url in pattern.findall(tag.get_text()))

    def images(self, page: Page) -> Iterator[str]:
        """Find images whose alternative text is missing, empty or a file name."""
        for image in page.soup.select("article img"):
            alt = str(image.get("alt") or "").strip()
            if not alt or FILE_NAME.fullmatch(alt):
                yield f"image without alternative text: {image.get('src')}"

    def outputs(self, page: Page) -> Iterator[str]:
        """Find errors that a cell left on the page without meaning to show them."""
        for cell in page.soup.select("div.cell"):
            expected = "tag_raises-exception" in (cell.get("class") or [])
            if not expected and cell.select_one(".output.traceback"):
                yield "a cell shows an error"


def missing_pages(site: Site, root: Path) -> Iterator[str]:
    """Find pages of `_toc.yml` that were not built, and chapters that show no output."""
    chapters = {chapter.docname for chapter in find_chapters(root)}
    for docname in toc_pages(root):
        page = site.pages.get(site.folder / f"{docname}.html")
        if page is None:
            yield f"{docname}: page is missing"
        elif docname in chapters and not isinstance(page.soup.select_one(".cell_output"), Tag):
            yield f"{docname}: no cell shows an output"


def main(folder: Path, root: Path) -> int:
    """Print the problems of the site in `folder`, built from the checkout `root`."""
    site = Site(folder)
    problems = sorted({*site.problems(), *missing_pages(site, root)})
    print(f"{len(site.pages)} pages checked, {len(problems)} problems")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path.cwd()))
