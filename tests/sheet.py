"""Writes the index of cases and the reviewer's sheet anew: `python -m tests.sheet`."""

from pathlib import Path

from cards.knowledge import loader, reviewing
from cards.sheet import sheet
from tests.cases import index

FOLDER = Path(loader.__file__).parent

if __name__ == "__main__":
    (FOLDER / "cases.toml").write_text(index(), encoding="utf-8")
    (FOLDER / "sheet.md").write_text(sheet(loader.load(), reviewing.load()), encoding="utf-8")
