"""Command-line flags generated from a tree of frozen dataclasses.

The dataclass tree is the single source of names, types, defaults and help. The flags are its leaves
with dotted names (`--model.width=64`). A flagfile is a saved list of such flags. absl refuses an
unknown flag before any work starts.
"""

import dataclasses
import enum
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from absl import flags

from data_pipeline.common.paths import local_path

Tree = TypeVar("Tree")

# absl then counts the flags as those of the calling module, which `--help` prints.
flags.disclaim_key_flags()


def setting(
    default: Any, help: str, choices: tuple[str, ...] | None = None, path: bool = False
) -> Any:
    """Declare one documented field of a settings dataclass.

    Args:
        default: Default value; the annotation of its field gives the type of the flag.
        help: One sentence for `--help`, with the unit.
        choices: Allowed values of a string field. Default: any.
        path: Whether the value is a path, which `read` expands and checks (`paths.local_path`).
            Default: False.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Cut:
        ...     minutes: int = setting(30, "Minutes without activity that end a session.")
        >>> Cut().minutes
        30
    """
    return dataclasses.field(
        default=default, metadata={"help": help, "choices": choices, "path": path}
    )


def leaves(tree: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Yield (dotted name, field, type) of every setting of a dataclass tree."""
    annotations = typing.get_type_hints(tree)
    for field in dataclasses.fields(tree):
        kind = annotations[field.name]
        if dataclasses.is_dataclass(kind):
            yield from leaves(typing.cast(type, kind), f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field, kind


def _optional(kind: Any) -> Any:
    """Return `X` of an `X | None` annotation, other annotations unchanged."""
    if isinstance(kind, types.UnionType):
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def define(
    tree: type,
    prefix: str = "",
    values: flags.FlagValues = flags.FLAGS,
    essentials: Sequence[str] = (),
) -> None:
    """Define one absl flag for every leaf of `tree`.

    Args:
        tree: Dataclass of settings.
        prefix: Prefix of every name. Default: none.
        values: Flags to define them in. Default: those of the process.
        essentials: Settings that `--help` lists. `--helpfull` lists the others after them, in
            groups by the first part of their names, and the flags of absl last. Default: `--help`
            lists all settings.

    Raises:
        TypeError: A field has a type no flag can hold.
    """
    for name, field, annotation in leaves(tree, prefix):
        kind, text = _optional(annotation), field.metadata.get("help", "")
        choices = field.metadata.get("choices")
        default: Any = field.default
        options: dict[str, Any] = {"flag_values": values}
        if essentials and name not in essentials:
            # absl sorts groups by name: this one comes before those of absl's own modules.
            options["module_name"] = f"Settings of {name.split('.')[0]}"
        if choices:
            flags.DEFINE_enum(name, default, choices, text, **options)
        elif kind is bool:
            flags.DEFINE_boolean(name, default, text, **options)
        elif kind is int:
            flags.DEFINE_integer(name, default, text, **options)
        elif kind is float:
            flags.DEFINE_float(name, default, text, **options)
        elif kind is str:
            flags.DEFINE_string(name, default, text, **options)
        elif typing.get_origin(kind) is tuple:
            flags.DEFINE_list(name, list(map(str, default)), text, **options)
        else:
            raise TypeError(
                f"`{name}` must be a bool, int, float, str or tuple. Got {kind}. Fix: change the "
                f"annotation in {tree.__name__}."
            )


def read(tree: type[Tree], prefix: str = "", values: flags.FlagValues = flags.FLAGS) -> Tree:
    """Build `tree` from parsed flags; the inverse of `define`.

    Raises:
        ValueError: A path is a URL that cannot be fetched.
    """
    flat = {}
    for name, field, _ in leaves(tree, prefix):
        value: Any = values[name].value
        if field.metadata.get("path"):
            value = (
                [local_path(name, item) for item in value]
                if isinstance(value, list)
                else local_path(name, value)
            )
        flat[name] = value
    return _build(tree, flat, prefix)


def _build(tree: type[Tree], flat: Mapping[str, Any], prefix: str) -> Tree:
    annotations = typing.get_type_hints(tree)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, tree)):
        kind = annotations[field.name]
        if dataclasses.is_dataclass(kind):
            arguments[field.name] = _build(typing.cast(type, kind), flat, f"{prefix}{field.name}.")
        elif typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            arguments[field.name] = tuple(item(value) for value in flat[prefix + field.name])
        else:
            arguments[field.name] = flat[prefix + field.name]
    return tree(**arguments)


def to_dict(tree: Any) -> dict[str, Any]:
    """Return a settings dataclass as a nested dictionary of plain values, ready for JSON."""
    plain = dataclasses.asdict(tree)

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return [clean(item) for item in value]
        return value.value if isinstance(value, enum.Enum) else value

    return typing.cast(dict[str, Any], clean(plain))


def from_dict(tree: type[Tree], plain: Mapping[str, Any]) -> Tree:
    """Rebuild a settings dataclass from `to_dict`.

    Raises:
        ValueError: `plain` lacks a setting or holds one that `tree` does not know.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Cut:
        ...     minutes: int = setting(30, "Minutes.")
        >>> from_dict(Cut, {"minutes": 20})
        Cut(minutes=20)
    """
    flat: dict[str, Any] = {}

    def flatten(node: Mapping[str, Any], prefix: str) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping):
                flatten(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    flatten(plain, "")
    known = {name for name, _, _ in leaves(tree)}
    if known != set(flat):
        raise ValueError(
            f"Saved settings must be those of `{tree.__name__}`. Got unknown ones "
            f"{sorted(set(flat) - known)} and none for {sorted(known - set(flat))}. Fix: run the "
            "command that wrote them again; they are of another version of the program."
        )
    return _build(tree, flat, "")
