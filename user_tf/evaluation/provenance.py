"""Origin of numbers: date, machine and versions. Needs the standard library only."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any


def provenance(packages: Sequence[str]) -> dict[str, Any]:
    """Return UTC date, machine and versions of Python and the installed ones of `packages`.

    Example:
        >>> found = provenance(["numpy", "no-such-package"])
        >>> sorted(found), sorted(found["versions"])
        (['date', 'machine', 'versions'], ['numpy', 'python'])
    """
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": versions,
    }


def _cpu() -> str:
    described = pathlib.Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
