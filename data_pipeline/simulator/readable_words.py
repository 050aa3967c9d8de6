"""English words for a world that people can read: `readable_words.txt`, parsed."""

import collections
import dataclasses
import functools
import importlib.resources

FILE = "readable_words.txt"
Lines = list[list[str]]


@dataclasses.dataclass(frozen=True)
class ReadableWords:
    """Lines of words by kind; in a line, earlier words are more frequent.

    Attributes:
        general: One line, for every text.
        topics: A line for each topic; the first word is the topic's name.
        subtopics: For each topic, a line for each sub-topic.
        facets: A line for each facet.
        shared: Ambiguous words, each with the topics in which it has a meaning.
    """

    general: Lines
    topics: Lines
    subtopics: list[Lines]
    facets: Lines
    shared: dict[str, list[str]]


@functools.cache
def read_words() -> ReadableWords:
    """Return the words of the package's file.

    Example:
        >>> words = read_words()
        >>> words.topics[0][:3], words.subtopics[0][0][:3]
        (['cooking', 'recipe', 'kitchen'], ['soup', 'broth', 'lentil'])
        >>> words.shared["pitch"]
        ['football', 'music', 'finance', 'outdoors', 'cinema']
    """
    text = (importlib.resources.files(__package__) / FILE).read_text(encoding="utf-8")
    lines = collections.defaultdict[str, Lines](list)
    for line in text.splitlines():
        if line and not line.startswith("#"):
            kind, words = line.split(": ")
            lines[kind].append(words.split())
    each = len(lines["subtopic"]) // len(lines["topic"])
    starts = range(0, len(lines["subtopic"]), each)
    shared = (entry.split("=") for line in lines["shared"] for entry in line)
    return ReadableWords(
        general=lines["general"],
        topics=lines["topic"],
        subtopics=[lines["subtopic"][start : start + each] for start in starts],
        facets=lines["facet"],
        shared={word: topics.split(",") for word, topics in shared},
    )
