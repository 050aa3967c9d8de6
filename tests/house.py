"""The order of the rooms, and the graph of their imports.

    python -m tests.house               # prints files, rooms, floors and circles of the code

A room is a folder, or a file that `ORDER` names. CONTRIBUTING.md explains the rules.
"""

import ast
import collections
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("data_pipeline", "user_tf", "benchmarks")

# From the ground up. A room may import itself and the rooms before it in its package. The last
# room of a package holds the files at its top: its commands.
ORDER = {
    "data_pipeline": [
        "data_pipeline.common",
        "data_pipeline.settings",
        "data_pipeline.engine",
        "data_pipeline.log",
        "data_pipeline.importers.formats",
        "data_pipeline.importers",
        "data_pipeline.simulator",
        "data_pipeline.events",
        "data_pipeline.text",
        "data_pipeline.features",
        "data_pipeline.targets",
        "data_pipeline.dataset",
        "data_pipeline.batching",
        "data_pipeline.description",
        "data_pipeline.preparation",
        "data_pipeline",
    ],
    "user_tf": [
        "user_tf.config",
        "user_tf.layers",
        "user_tf.layers.user",
        "user_tf.layers.user_plus",
        "user_tf.models",
        "user_tf.models.baselines",
        "user_tf.registry",
        "user_tf.run_folder",
        "user_tf.evaluation",
        "user_tf.training.steps",
        "user_tf.training.records",
        "user_tf.training",
        "user_tf.serving.graph",
        "user_tf.serving.server",
        "user_tf.serving",
        "user_tf.serving.client",
        "user_tf.experiments",
        "user_tf.reporting",
        "user_tf.api",
        "user_tf.explore",
        "user_tf",
    ],
    "benchmarks": ["benchmarks.peers", "benchmarks", "benchmarks.results_page"],
}
# The packages each package may import.
MAY_IMPORT = {
    "data_pipeline": {"data_pipeline"},
    "user_tf": {"data_pipeline", "user_tf"},
    "benchmarks": {"data_pipeline", "user_tf", "benchmarks"},
}

Graph = dict[str, set[str]]


def source_files(root: pathlib.Path, *folders: str) -> list[pathlib.Path]:
    """Return the Python files below folders of the repository, in order of their paths."""
    return sorted(path for folder in folders for path in (root / folder).rglob("*.py"))


def modules(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the file of every module of the packages; a package is its `__init__.py`."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in source_files(root, *PACKAGES)
    }


def imported_names(path: pathlib.Path) -> list[str]:
    """Return every name that a file imports, dotted, wherever in the file the import is.

    A relative import is an error: it would hide the room it reaches into.
    """
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path} must import by full names. Got a relative import.")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def module_graph(root: pathlib.Path) -> Graph:
    """Return the modules that each module of the packages imports, itself aside."""
    known = modules(root)
    graph: Graph = {}
    for name, path in known.items():
        found = (_longest_known(imported, known) for imported in imported_names(path))
        graph[name] = {module for module in found if module and module != name}
    return graph


def _longest_known(name: str, known: dict[str, pathlib.Path]) -> str:
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def room_of(module: str, path: pathlib.Path) -> str:
    """Return the room of a module: its own name if `ORDER` has it, otherwise its folder's."""
    rooms = ORDER[module.partition(".")[0]]
    if module in rooms or path.name == "__init__.py":
        return module
    return module.rpartition(".")[0]


def room_graph(root: pathlib.Path) -> Graph:
    """Return the rooms that each room imports, itself aside."""
    files = modules(root)
    rooms: Graph = collections.defaultdict(set)
    for module, imported in module_graph(root).items():
        room = room_of(module, files[module])
        rooms[room] |= {room_of(name, files[name]) for name in imported} - {room}
    return dict(rooms)


def reachable(graph: Graph) -> Graph:
    """Return all that can be reached from each node, over one edge or more."""
    found: Graph = {}
    for start in graph:
        seen: set[str] = set()
        open_nodes = list(graph[start])
        while open_nodes:
            node = open_nodes.pop()
            if node not in seen:
                seen.add(node)
                open_nodes += graph[node]
        found[start] = seen
    return found


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of nodes that reach each other.

    >>> circles({"a": {"b"}, "b": {"a"}, "c": {"a"}})
    [['a', 'b']]
    """
    reach = reachable(graph)
    groups = {
        frozenset(other for other in reach[node] if node in reach[other])
        for node in graph
        if node in reach[node]
    }
    return sorted(sorted(group) for group in groups)


def floors(graph: Graph) -> int:
    """Return the length of the longest chain of imports, imports within a circle aside.

    >>> floors({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    3
    """
    reach = reachable(graph)
    height: dict[str, int] = {}
    for node in sorted(graph, key=lambda name: len(reach[name] | {name})):
        below = [height[other] for other in graph[node] if node not in reach[other]]
        height[node] = 1 + max(below, default=0)
    return max(height.values(), default=0)


def describe_house(root: pathlib.Path = ROOT) -> list[str]:
    """Return lines of files, rooms, floors and circles: a line a package, and one of all."""
    files, of_modules, of_rooms = modules(root), module_graph(root), room_graph(root)
    lines = []
    for package in (*PACKAGES, ""):
        inside = [_part(graph, package) for graph in (of_modules, of_rooms)]
        sizes = [line_count(files[name]) for name in inside[0]]
        folders = collections.Counter(files[name].parent for name in inside[0])
        lines.append(
            f"{package or 'all'}: {len(sizes)} files, {sum(sizes)} lines, longest file "
            f"{max(sizes, default=0)}, largest folder {max(folders.values(), default=0)} files, "
            f"{len(folders)} folders, {len(inside[1])} rooms, floors of files {floors(inside[0])}, "
            f"circles of files {len(circles(inside[0]))}, floors of rooms {floors(inside[1])}, "
            f"circles of rooms {len(circles(inside[1]))}"
        )
    return lines


def _part(graph: Graph, package: str) -> Graph:
    """Return the nodes of one package and the edges between them; all without a name."""
    inside = {name for name in graph if not package or name.partition(".")[0] == package}
    return {name: graph[name] & inside for name in inside}


def line_count(path: pathlib.Path) -> int:
    """Return the number of lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    print("\n".join(describe_house(pathlib.Path(*sys.argv[1:2] or [ROOT]))))
