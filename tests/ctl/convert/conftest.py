"""`stompctl convert`, and what the server makes of what it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from stompserver.config import load
from stompserver.ctl.convert import convert
from stompserver.ctl.main import main


class Converted(NamedTuple):
    """What was printed: the policies as options that are set, the server's options, the notes one by one."""

    text: str
    policies: dict[str, dict[str, Any]]
    config: Any
    notes: list[str]


@pytest.fixture
def convert_file(tmp_path: Path) -> Callable[..., Converted]:
    """``convert_file(content, *words)`` of a text, or of what becomes JSON."""
    main.add_command(convert)

    def run(content: Any, *words: str) -> Converted:
        file = tmp_path / "given"
        file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        ended = CliRunner().invoke(main, ["convert", str(file), *words], prog_name="stompctl")
        assert ended.exit_code == 0, ended.output
        (tmp_path / "stompserver.conf").write_text(ended.stdout, "utf-8")
        loaded = load([], {}, tmp_path)
        assert loaded.warnings == []
        policies = {
            pattern: {name.replace("_", "-"): getattr(options, name) for name in options.model_fields_set}
            for pattern, options in loaded.config.policies
        }
        _, _, rest = ended.stdout.partition("# Not taken over, or not all of it:\n")
        notes = rest.replace("\n#   ", " ").splitlines()
        assert all(note.startswith("# - ") for note in notes)
        assert max(map(len, ended.stdout.splitlines())) < 200
        return Converted(ended.stdout, policies, loaded.config, [note[4:] for note in notes])

    return run


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """``refused(content, *words, code=)``: what it says when it cannot."""
    main.add_command(convert)

    def run(content: bytes, *words: str, code: int = 1) -> str:
        file = tmp_path / "given"
        file.write_bytes(content)
        ended = CliRunner().invoke(main, ["convert", str(file), *words], prog_name="stompctl")
        assert ended.exit_code == code, ended.output
        assert ended.stdout == ""
        return ended.stderr

    return run
