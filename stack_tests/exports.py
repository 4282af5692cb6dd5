"""What lies at a destination."""

from __future__ import annotations

import json
from pathlib import Path


def names(folder: Path) -> set[str]:
    """All files, hidden and temporary ones too."""
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def exported_ids(folder: Path) -> list[str]:
    """Ids of all entries, sorted, read as a reader should: by the manifest."""
    files = json.loads((folder / "_manifest.json").read_text())["files"]
    lines = [line for file in files for line in (folder / file["name"]).read_text().splitlines()]
    return sorted(json.loads(line)["id"] for line in lines)


def assert_only_the_set(folder: Path) -> None:
    """Nothing lies there but the manifest and the files that it lists."""
    listed = {file["name"] for file in json.loads((folder / "_manifest.json").read_text())["files"]}
    assert names(folder) == {"_manifest.json", *listed}
