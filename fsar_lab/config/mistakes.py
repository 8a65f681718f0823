"""Finds out what is wrong with overrides that Hydra refused, and says it with place and remedy."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fsar_lab.config import options

OVERLAYS = ("experiment", "debug", "budget", "sweep")  # groups that may be left empty

_TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def parse(overrides: Sequence[str]) -> tuple[list[Override], list[str]]:
    """Parse overrides: those that Hydra's grammar knows, and a message for each that it does not."""
    parser = OverridesParser.create()
    parsed, problems = [], []
    for text in overrides:
        try:
            parsed.append(parser.parse_override(text))
        except HydraException as error:
            problems.append(
                f"{text}: not understood ({_first_line(error)}) -> write key=value or group=option"
            )
    return parsed, problems


def is_option(override: Override, groups: dict[str, list[str]]) -> bool:
    """Whether an override picks an option of a group rather than setting a value."""
    return override.key_or_group in groups and not isinstance(override.value(), dict)


def wrong_options(override: Override, config_dir: Path) -> Iterator[str]:
    """Complain if an override of a group does not name one of its options."""
    groups = options.groups(config_dir)
    group = override.key_or_group
    names = groups[group]
    if override.is_delete() or override.value() is None:
        if group not in OVERLAYS:
            yield f"{group}: needs an option -> one of {', '.join(names)}"
        return
    given = override.value()
    for name in given if isinstance(given, list) else [given]:
        if str(name) not in names:
            near = get_close_matches(str(name), names, 1, 0.5)
            hint = f"did you mean {group}={near[0]}? " if near else ""
            yield f"{group}: no option {str(name)!r} -> {hint}There are {', '.join(names)}"


def wrong_values(overrides: Sequence[Override], tree: DictConfig) -> Iterator[str]:
    """Complain about overrides of values: unknown keys and wrong types.

    Args:
        overrides: Those that set values, not sweeps.
        tree: The configuration without them.
    """
    for override in overrides:
        key = override.key_or_group
        if key.partition(".")[0] == "hydra":
            continue
        if complaint := unknown_key(key, tree):
            yield complaint
        elif override.is_delete():
            yield f"{key}: nothing can be taken out of a configuration -> set another value"
        else:
            yield from _wrong_type(key, override.value(), tree)


def unknown_key(key: str, tree: DictConfig) -> str | None:
    """Complain if a dotted key does not exist in the configuration, naming the likeliest that do."""
    node: Any = tree
    seen: list[str] = []
    for part in key.split("."):
        if not isinstance(node, DictConfig):
            return f"{key}: {'.'.join(seen)} has no keys below it -> set {'.'.join(seen)} itself"
        allowed = _keys(node)
        if part not in allowed:
            near = [".".join([*seen, name]) for name in get_close_matches(part, allowed, 1)]
            last = key.rpartition(".")[2]
            near += [
                full for full in _full_keys(tree) if full.rpartition(".")[2] == last and full not in near
            ]
            if not near:
                everywhere = {full.rpartition(".")[2]: full for full in _full_keys(tree)}
                near = [everywhere[name] for name in get_close_matches(last, everywhere, 1, 0.75)]
            hint = f"did you mean {' or '.join(near[:3])}? " if near else ""
            where = ".".join(seen) or "the root"
            return f"{key}: unknown key -> {hint}At {where} there are {', '.join(allowed)}"
        seen.append(part)
        node = None if OmegaConf.is_missing(node, part) else node._get_node(part)
    return None


def strangers(tree: DictConfig, prefix: str = "") -> Iterator[str]:
    """Full keys that are in a composed configuration but not in the schema (Hydra's `+` can add such)."""
    allowed = _keys(tree)
    for key in tree:
        full = f"{prefix}{key!s}"
        if key not in allowed:
            yield full
        elif isinstance(node := tree._get_node(key), DictConfig) and not node._is_none():
            yield from strangers(node, f"{full}.")


def explain(error: BaseException) -> str:
    """One line for what Hydra, OmegaConf or the YAML parser found wrong in a file."""
    file = re.search(r"In '([\w/]+)'", str(error))
    place = f"conf/{file[1]}.yaml" if file else ""
    cause: BaseException | None = error
    while cause is not None and getattr(cause, "full_key", None) is None:
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        text = " ".join(str(error).split())
        return f"{text} -> correct it; --cfg job shows every key"
    place = f"{place}, {getattr(cause, 'full_key', '')}".lstrip(", ")
    kind = getattr(cause, "object_type", None)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        wrong = str(getattr(cause, "key", ""))
        if wrong not in names and (near := get_close_matches(wrong, names, 1)):
            return f"{place}: {_first_line(cause)} -> did you mean {near[0]}?"
    return f"{place}: {_first_line(cause)} -> correct it; --cfg job shows every key"


def _wrong_type(key: str, value: Any, tree: DictConfig) -> Iterator[str]:
    copy = tree.copy()
    try:
        OmegaConf.update(copy, key, value, merge=True)
    except OmegaConfBaseException as error:
        if complaint := _unknown_below(key, value, tree):
            yield complaint
            return
        parent_key, _, name = key.rpartition(".")
        parent = OmegaConf.select(tree, parent_key) if parent_key else tree
        kind = OmegaConf.get_type(parent)
        expected = words(typing.get_type_hints(kind)[name]) if kind is not None else _first_line(error)
        yield f"{key}: {show(value)} is of the wrong type -> give {expected}"


def _unknown_below(key: str, value: Any, tree: DictConfig) -> str | None:
    """For key={a:1,…}: complain about the first unknown key in the braces."""
    if not isinstance(value, dict):
        return None
    return next((wrong for name in value if (wrong := unknown_key(f"{key}.{name}", tree))), None)


def words(hint: Any) -> str:
    """A type in words: `list[int] | None` is "a list of whole numbers or null"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if argument is type(None) else words(argument) for argument in arguments)
    if origin is list:
        inner = arguments[0]
        example = {str: "[a,b]", int: "[1,2]", float: "[0.1,0.2]"}.get(inner, "[[0,-1,0]]")
        return f"a list ({example}), each element {words(inner)}"
    if dataclasses.is_dataclass(hint):
        return f"{{key:value,…}} with the keys {', '.join(f.name for f in dataclasses.fields(hint))}"
    return _TYPE_WORDS.get(hint, str(hint))


def show(value: Any) -> str:
    """A value as it was typed, null and the empty text included."""
    return "null" if value is None else repr(value) if isinstance(value, str) else str(value)


def _keys(node: DictConfig) -> list[str]:
    kind = OmegaConf.get_type(node)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return [str(key) for key in node]


def _full_keys(tree: DictConfig, prefix: str = "") -> list[str]:
    found = []
    for key in _keys(tree):
        if OmegaConf.is_missing(tree, key):
            continue
        found.append(f"{prefix}{key}")
        if isinstance(node := tree._get_node(key), DictConfig):
            found += _full_keys(node, f"{prefix}{key}.")
    return found


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
