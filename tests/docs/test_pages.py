"""What the pages name exists: links, options, environment variables, modules, make targets, the version."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

import stompserver
from stompserver.config.command_line import ACTIONS
from stompserver.config.options import OPTIONS, environment_name, flag_of, folded
from stompserver.ctl.convert import convert
from stompserver.ctl.live import COMMANDS
from stompserver.ctl.main import main
from stompserver.ctl.move import move
from stompserver.ctl.permissions import can, permissions_import
from stompserver.ctl.store import store
from stompserver.ctl.token import token

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    ROOT / "bench/README.md",
    ROOT / "tests/interop/README.md",
    ROOT / "tests/applications/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
STOMPCTL: dict[str, click.Command] = {
    "": main,
    "move": move,
    "convert": convert,
    "can": can,
    "permissions import": permissions_import,
    **{f"store {name}": one for name, one in store.commands.items()},
    **{f"token {name}": one for name, one in token.commands.items()},
    **{
        f"{group.name} {name}": one
        for group in COMMANDS
        if isinstance(group, click.Group)
        for name, one in group.commands.items()
    },
    **{one.name or "": one for one in COMMANDS if not isinstance(one, click.Group)},
}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(words)
    return found


@every_page
def test_links(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_the_help_of_every_command_of_stompctl_is_on_its_page() -> None:
    page = (ROOT / "docs/reference/stompctl.md").read_text()
    assert set(re.findall(r"^\$ stompctl (.*?) ?--help$", page, re.MULTILINE)) == set(STOMPCTL)


def test_the_index_has_every_page() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    assert set((ROOT / "docs").rglob("*.md")) - linked == {index}


@every_page
def test_options_exist(page: Path) -> None:
    known = {f"--{flag_of(key)}" for key in OPTIONS} | {f"--{name}" for name in ACTIONS}
    known |= {option for command in STOMPCTL.values() for each in command.params for option in each.opts}
    known |= {f"--no-{flag_of(key)}" for key in OPTIONS} | {"--conf", "--name", "--no-name", "--d"}
    text = page.read_text()
    others = re.compile(r"-m bench|useradd|systemctl|journalctl")
    lines = [line for line in text.splitlines() if not others.search(line)]
    said = [words for line in lines for words in re.findall(r"(?:^|[\s/`(])stompserver( -[^|`#\n]*)", line)]
    said += [code for code in CODE.findall(text) if code.startswith("--") and page.parent.name != "bench"]
    for words in said:
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", words):
            assert option in known or folded(option) in {folded(each) for each in known}, (
                f"{option} in {words!r}"
            )


@every_page
def test_environment_variables_exist(page: Path) -> None:
    known = {environment_name(key) for key in OPTIONS} | {
        "STOMPSERVER_",
        "STOMPSERVER_NO_SKIP",
        "STOMPSERVER_PURE",
    }
    assert set(re.findall(r"\bSTOMPSERVER_[A-Z0-9_]*", page.read_text())) <= known


@pytest.mark.parametrize("page", [ROOT / "docs/how-to/tune-limits.md", ROOT / "docs/reference/frames.md"])
def test_limits_named_in_words_are_options(page: Path) -> None:
    text = FENCED.sub("", page.read_text())
    named = {
        code for code in CODE.findall(text) if re.fullmatch(r"(max|login|slow|memory|idle)-[a-z-]+", code)
    }
    assert named - {"max-exceptions"} <= set(OPTIONS)


SOURCE = Path(stompserver.__file__).parent
FOLDERS = {str(path.parent.relative_to(SOURCE)): path for path in sorted(SOURCE.rglob("__init__.py"))}


def names_in(folder: Path) -> set[str]:
    """The modules and folders of a folder."""
    modules = {path.stem for path in folder.glob("*.py") if not path.name.startswith("__")}
    return modules | {path.name for path in folder.iterdir() if (path / "__init__.py").exists()}


def test_the_map_has_every_folder() -> None:
    part = (ROOT / "ARCHITECTURE.md").read_text().partition("## The folders")[2]
    rows = re.findall(r"^\| `([\w/]+)/` \|", part, re.MULTILINE)
    assert sorted(rows) == sorted({"src/stompserver", *FOLDERS} - {"."}), (
        "rows of ARCHITECTURE.md, 'The folders'"
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_says_what_is_in_it(folder: str) -> None:
    """Its docstring names each module, and no module that is not there."""
    init = FOLDERS[folder]
    tree = ast.parse(init.read_text())
    named = set(re.findall(r"``([a-z_]+)``", ast.get_docstring(tree) or ""))
    modules = {path.stem for path in init.parent.glob("*.py") if not path.name.startswith("__")}
    assert not modules - named, f"name these in the docstring of {folder}/__init__.py"
    others = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}
    others |= {
        alias.name for each in ast.walk(tree) if isinstance(each, ast.ImportFrom) for alias in each.names
    }
    known = names_in(init.parent) | names_in(init.parent.parent) | others | {"stompctl"}
    assert not named - known, f"named in the docstring of {folder}/__init__.py, and not there"


def test_the_readme_is_short() -> None:
    assert README.count("\n") <= 250


def test_benchmarks_that_comments_name_exist() -> None:
    named = set()
    for path in [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.c")]:
        for names in re.findall(r"bench:\s+([\w\s,*]+)\)", path.read_text()):
            named.update(re.findall(r"\w+", names))
    scenarios = set(re.findall(r'Scenario\(\s+"(\w+)"', (ROOT / "bench/scenarios.py").read_text()))
    assert scenarios
    assert not named - scenarios, "no scenarios of python -m bench"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for code in [*CODE.findall(page.read_text()), *FENCED.findall(page.read_text())]:
            for target in re.findall(r"(?:^|\n)make ([a-z-]+)", code):
                assert target in targets, f"make {target} in {page.name}"


def test_the_newest_version_of_the_changelog_is_ours() -> None:
    newest = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert newest == stompserver.__version__


@every_page
def test_nothing_of_one_machine(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"/(root|home/\w+|work|tmp/\w+)/", text)
