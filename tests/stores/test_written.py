"""What earlier versions wrote is read: one directory of each format that was ever released."""

from __future__ import annotations

import runpy
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from stompserver.stores.base import Place, open_store
from stompserver.testing import Model, message, put
from stompserver.testing.double import contents, counted

written = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("written.py"))))
ARCHIVES = sorted(
    path for path in written.DATA.glob("*-*.tar.gz") if path.name.startswith(("lmdb-", "file-"))
)


def test_there_is_one_of_each() -> None:
    assert {path.name.split("-")[0] for path in ARCHIVES} == {"lmdb", "file"}


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def test_what_was_written_is_read(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    kind = archive.name.split("-")[0]
    model = Model()
    for ops in written.batches():
        model.apply(ops)
    model.restart()
    place = Place(tmp_path / "storage", tmp_path / "etc")
    for _ in range(2):
        store = open_store(kind, place)
        assert counted(store.load()) == model.counts()
        assert contents(store) == model.held
        ops = [put("/queue/new", message(9))]
        store.commit(ops, True)
        model.apply(ops)
        store.close()
    shutil.rmtree(tmp_path / "storage")
