"""Describe a served model: its signatures, its files and the commands that rank its example."""

import pathlib

from user_tf.serving import layout
from user_tf.serving.loading import load


def summary(version: pathlib.Path) -> str:
    """Return signatures, files and commands of a version as text.

    Args:
        version: Folder DIR/<version>.
    """
    lines = []
    signatures = load(version).signatures
    for name, signature in sorted(signatures.items()):
        arguments = ", ".join(sorted(signature.structured_input_signature[1]))
        results = ", ".join(sorted(signature.structured_outputs))
        lines.append(f"signature {name}\n  from {arguments}\n  to   {results}")
    extra = version / layout.EXTRA
    lines += [
        "",
        f"SavedModel        {version}",
        f"manifest          {extra / layout.MANIFEST}",
        f"example request   {extra / layout.EXAMPLE}",
        "",
        "Rank the example:",
        f"  python -m user_tf.predict --model={version} --requests={extra / layout.EXAMPLE}",
        f"  {layout.cli_command(version)}",
    ]
    return "\n".join(lines)
