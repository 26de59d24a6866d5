"""The page for administrators shows what the command really says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from stompserver import migrate
from stompserver.migrate import found, original
from stompserver.stores.originals import LEDGER

PAGE = Path(__file__).parents[2] / "docs/how-to/import-the-original.md"
PLACE = "/var/lib/stompserver/storage"


def test_its_output_is_real(fixtures: Any, tmp_path: Path) -> None:
    made = fixtures.copy("file/debian31", tmp_path)
    fixtures.copy("file/ruby18_checkpoint60", made, "_queue_cp")
    (made / "ruby18_checkpoint60/_queue_cp").rename(made / "_queue_cp")
    first, second, *_ = sorted(
        (made / "_queue_many").iterdir(), key=lambda path: int(path.name.split("-")[3])
    )
    first.unlink()
    second.write_bytes(second.read_bytes()[:-4])
    said, shown = re.findall(r"^```text\n(.*?)\n```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert said == f"WARNING {found(made)[0]}".replace(str(made), PLACE)
    command = [
        sys.executable,
        "-c",
        "from stompserver.ctl.main import run; run()",
        "-q",
        "lmdb",
        "-w",
        str(tmp_path),
    ]
    done = subprocess.run([*command, "store", "import-original", str(made)], capture_output=True, timeout=60)
    assert done.stdout.decode().strip().replace(str(made), PLACE) == shown


def test_it_names_what_there_is() -> None:
    text = PAGE.read_text("utf-8")
    assert LEDGER in text
    assert original.REPAIRED.title() in text
    for reason in re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)[7:]:
        first = re.split(r"[,;]", reason)[0]
        assert any(first in path.read_text("utf-8") for path in Path(migrate.__file__).parent.glob("*.py")), (
            first
        )
