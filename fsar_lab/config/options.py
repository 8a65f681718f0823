"""What conf/ offers: groups, their options, and what each option's first comment says about it."""

from __future__ import annotations

import re
from pathlib import Path

CONFIG_DIR = Path(__file__).resolve().parents[2] / "conf"


def groups(config_dir: Path = CONFIG_DIR) -> dict[str, list[str]]:
    """Names of the options of every group, both sorted; `_name.yaml` is what several options share."""
    found: dict[str, list[str]] = {}
    for file in sorted(config_dir.glob("*/**/[!_]*.yaml")):
        found.setdefault(file.parent.relative_to(config_dir).as_posix(), []).append(file.stem)
    return found


def defaults(config_dir: Path = CONFIG_DIR) -> dict[str, str]:
    """The option that conf/train.yaml picks for each group (overlays are left out)."""
    picked = re.findall(r"^  - (\w+): (\w+)", (config_dir / "train.yaml").read_text(), flags=re.MULTILINE)
    return {group: option for group, option in picked if option != "null"}


def about(group: str, option: str, config_dir: Path = CONFIG_DIR) -> str:
    """The option's first comment that is not a Hydra directive."""
    for line in (config_dir / group / f"{option}.yaml").read_text().splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


def listing() -> str:
    """All groups and options with their comments, for `--help`."""
    picked = defaults()
    lines: list[str] = []
    for group, names in groups().items():
        if group == "local":
            continue
        lines.append(group)
        for name in names:
            mark = "*" if picked.get(group) == name else " "
            lines.append(f"  {mark} {name:20} {about(group, name)}")
    return "\n".join(lines)
