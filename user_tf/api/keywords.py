"""Settings as keyword arguments: `width=32` is the setting `model.width`."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any

from data_pipeline.common import flagtree
from user_tf.config import Config


def replace_settings(
    config: Config, keywords: Mapping[str, Any], groups: tuple[str, ...]
) -> Config:
    """Return `config` with the settings that keyword arguments name.

    Args:
        config: Settings to start from.
        keywords: Values by the last part of a setting's name, or by its full name.
        groups: Beginnings of the names that are allowed, such as `model.`.

    Raises:
        ValueError: A name is unknown or ambiguous, or a value does not fit its setting.

    Example:
        >>> replace_settings(Config(), {"width": 32}, ("model.",)).model.width
        32
        >>> replace_settings(Config(), {"widht": 32}, ("model.",))
        Traceback (most recent call last):
        ValueError: `widht` must be the name of a setting. Got an unknown one. Fix: ... width...
    """
    plain = flagtree.to_dict(config)
    for keyword, value in keywords.items():
        name, field, kind = _find(keyword, groups)
        *parents, last = name.split(".")
        node = plain
        for parent in parents:
            node = node[parent]
        node[last] = _check(keyword, value, field, kind)
    return flagtree.from_dict(Config, plain)


def _find(keyword: str, groups: tuple[str, ...]) -> tuple[str, dataclasses.Field[Any], Any]:
    known = [leaf for leaf in flagtree.leaves(Config) if leaf[0].startswith(groups)]
    found = [leaf for leaf in known if keyword in (leaf[0], leaf[0].rpartition(".")[2])]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(name for name, _, _ in found)
        raise ValueError(
            f"`{keyword}` must name one setting. Got the name of {names}. Fix: pass one of them, as "
            f"in **{{'{found[0][0]}': ...}}."
        )
    short = [name.rpartition(".")[2] for name, _, _ in known]
    near = difflib.get_close_matches(keyword, short, cutoff=0.5) or short
    elsewhere = [name for name, _, _ in flagtree.leaves(Config) if name.endswith(f".{keyword}")]
    got = f"{elsewhere[0]}, which this function does not take" if elsewhere else "an unknown one"
    raise ValueError(
        f"`{keyword}` must be the name of a setting. Got {got}. Fix: use one of {', '.join(near)}."
    )


def _check(keyword: str, value: Any, field: dataclasses.Field[Any], kind: Any) -> Any:
    """Return `value` as its setting holds it."""
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is tuple:
        fits, expected = isinstance(value, list | tuple), "a list"
    else:
        fits, expected = isinstance(value, (int, float) if kind is float else kind), kind.__name__
        fits &= isinstance(value, bool) == (kind is bool)
    if not fits:
        raise ValueError(f"`{keyword}` must be {expected}. Got {value!r}. Fix: pass {expected}.")
    choices = field.metadata.get("choices")
    if choices and value not in choices:
        raise ValueError(
            f"`{keyword}` must be one of {', '.join(choices)}. Got {value!r}. Fix: pass one of them."
        )
    return float(value) if kind is float else value
