"""Describe a served model: its signatures, its files and the commands that rank its example."""

import pathlib

from tensorflow.core.protobuf import saved_model_pb2

from user_tf.serving import layout

INITIALIZER = "__saved_model_init_op"
"""Signature that TensorFlow adds to every SavedModel; nobody calls it."""


def summary(version: pathlib.Path) -> str:
    """Return signatures, files and commands of a version as text.

    Args:
        version: Folder DIR/<version>.
    """
    lines = []
    # The file is read and not loaded: loading makes all its graphs.
    written = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    signatures = written.meta_graphs[0].signature_def
    for name in sorted(signatures.keys() - {INITIALIZER}):
        arguments = ", ".join(sorted(signatures[name].inputs))
        results = ", ".join(sorted(signatures[name].outputs))
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
