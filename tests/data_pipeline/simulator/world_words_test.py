"""Tests of the words of the world, invented and readable."""

import dataclasses
import re

import numpy as np
import pytest

from data_pipeline.simulator import world_settings
from data_pipeline.simulator.platform import Platform
from data_pipeline.simulator.readable_words import read_words
from data_pipeline.simulator.world import build_world
from data_pipeline.simulator.world_settings import SimulateSettings, WorldSettings, check
from data_pipeline.simulator.world_words import zipf_weights

KINDS = ("invented", "readable")


def _world(**changes):
    return build_world(WorldSettings(**changes), 30.0, np.random.default_rng(1))


def _family_words(world):
    """Words of each family by rank, and the names of its topics."""
    names, topics = world.words.names, np.array(world.words.topic_names)
    for family, row in enumerate(world.words.family):
        members = np.nonzero(world.family_of == family)[0]
        yield names[row].tolist(), topics[world.topic_of(members)].tolist()


def test_words_follow_zipf_within_their_block():
    world, rng = _world(), np.random.default_rng(2)
    words = world.words.draw(world.words.background, np.zeros(200_000, np.int64), rng)
    seen = np.bincount(words, minlength=200)[:200] / len(words)
    np.testing.assert_allclose(seen[:5], zipf_weights(200, 1.0)[:5], rtol=0.03)


@pytest.mark.parametrize("words", KINDS)
def test_word_names_are_distinct(words):
    names = _world(words=words).words.names
    assert len(set(names.tolist())) == len(names)


@pytest.mark.parametrize("words", KINDS)
def test_blocks_have_the_sizes_of_the_settings(words):
    world = _world(words=words, topics=8, subtopics=3, senses=2, facets=5).words
    blocks = (world.background, world.topic, world.subtopic, world.family, world.facet)
    assert [block.shape for block in blocks] == [(1, 200), (8, 30), (24, 8), (12, 6), (5, 10)]
    assert sorted(np.concatenate([block.ravel() for block in blocks])) == list(
        range(len(world.names))
    )
    assert len(world.topic_names) == 8


def test_readable_and_invented_worlds_of_a_seed_differ_in_strings_alone():
    invented, readable = (_world(words=words) for words in KINDS)
    for field in dataclasses.fields(invented):
        if field.name != "words":
            np.testing.assert_array_equal(
                getattr(invented, field.name), getattr(readable, field.name)
            )
    for field in dataclasses.fields(invented.words):
        same = np.array_equal(
            getattr(invented.words, field.name), getattr(readable.words, field.name)
        )
        assert same == (field.name not in ("names", "topic_names"))


def test_titles_of_ids_say_nothing_and_all_else_stays():
    invented, ids = _world(), _world(words="ids")
    assert ids.titles.shape == (len(ids.document_subtopic), 1)
    titles = ids.words.names[ids.titles[:, 0]].tolist()
    assert len(set(titles)) == len(titles)
    assert not set(titles) & set(invented.words.names.tolist())
    assert ids.words.names[: len(invented.words.names)].tolist() == invented.words.names.tolist()
    for name in ("document_subtopic", "published", "log_popularity", "document_vectors"):
        np.testing.assert_array_equal(getattr(ids, name), getattr(invented, name))


def test_users_do_the_same_in_a_readable_world():
    invented, readable = (
        next(
            Platform(
                SimulateSettings(output="log", users=5, world=WorldSettings(words=words))
            ).blocks()
        ).requests
        for words in KINDS
    )
    assert invented.drop_columns("query").equals(readable.drop_columns("query"))
    lengths = [
        [len(query.split()) for query in table["query"].to_pylist()]
        for table in (invented, readable)
    ]
    assert lengths[0] == lengths[1]


def test_words_of_the_file_are_plain_and_occur_once():
    words = read_words()
    lines = [*words.general, *words.topics, *words.facets, list(words.shared)]
    lines += [line for topic in words.subtopics for line in topic]
    flat = [word for line in lines for word in line]
    assert len(set(flat)) == len(flat)
    assert all(re.fullmatch("[a-z]+", word) for word in flat)
    names = {topic[0] for topic in words.topics}
    assert len(names) >= 24 and all(set(topics) <= names for topics in words.shared.values())


def test_lines_of_the_file_fill_their_blocks():
    words = read_words()
    assert {len(line) for line in words.general} == {world_settings.GENERAL_WORDS}
    assert {len(line) for line in words.topics} == {world_settings.TOPIC_WORDS}
    assert {len(topic) for topic in words.subtopics} == {6}
    assert {len(line) for topic in words.subtopics for line in topic} == {
        world_settings.SUBTOPIC_WORDS
    }
    assert {len(line) for line in words.facets} == {world_settings.FACET_WORDS}


def test_documents_name_their_topic_and_sub_topic_in_english():
    documents = Platform(
        SimulateSettings(output="log", world=WorldSettings(words="readable"))
    ).documents()
    words = read_words()
    subtopics = {
        topic[0]: {word for line in lines for word in line}
        for topic, lines in zip(words.topics, words.subtopics, strict=True)
    }
    for row in documents.slice(0, 500).to_pylist():
        assert subtopics[row["category"]] & set(row["title"].split())


def test_shared_words_are_ambiguous_between_the_topics_of_their_family():
    shared, found = read_words().shared, []
    for words, topics in _family_words(_world(words="readable")):
        meanings = [len(set(topics) & set(shared[word])) for word in words]
        assert meanings == sorted(meanings, reverse=True)
        found += meanings
    # At random, a word has a meaning in less than one of four topics.
    assert np.mean(found) > 1.5 and np.mean(np.array(found) >= 2) > 0.6


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"topics": 28},
            r"`world\.topics` must be at most 24 .*Got 28\. Fix: lower --world\.topics",
        ),
        ({"subtopics": 7}, r"`world\.subtopics` must be at most 6 .*Got 7\. Fix: lower"),
        ({"facets": 9}, r"`world\.facets` must be at most 8 .*Got 9\. Fix: lower"),
        ({"senses": 3}, r"`world\.senses` must give at most 36 .*Got 3\. Fix: raise"),
        (
            {"words": "french"},
            r"`world\.words` must be one of invented, readable, ids\. Got 'french'",
        ),
    ],
)
def test_a_world_with_too_few_readable_words_names_its_setting(changes, named):
    world = WorldSettings(**{"words": "readable", **changes})
    with pytest.raises(ValueError, match=named):
        check(SimulateSettings(output="log", world=world))
    if "words" not in changes:
        check(SimulateSettings(output="log", world=dataclasses.replace(world, words="invented")))
