"""Tests of the world: topics, families, documents."""

import numpy as np

from data_pipeline.simulator.world import build_world
from data_pipeline.simulator.world_settings import WorldSettings


def _world(**changes):
    return build_world(WorldSettings(**changes), 30.0, np.random.default_rng(1))


def test_a_family_has_one_subtopic_of_as_many_topics_as_senses():
    world = _world()
    topics = world.topic_of(world.senses)
    assert all(len(set(row)) == 4 for row in topics.tolist())
    np.testing.assert_array_equal(world.senses[:, 0], np.arange(world.subtopics))
    same = world.family_of[world.senses] == world.family_of[:, None]
    assert same.all()


def test_every_document_is_a_member_of_its_subtopic_once():
    world = _world(documents=7205)
    inside = world.members >= 0
    assert sorted(world.members[inside].tolist()) == list(range(7205))
    rows = np.nonzero(inside)[0]
    np.testing.assert_array_equal(world.document_subtopic[world.members[inside]], rows)


def test_titles_keep_their_length_bounds_and_mean():
    world = _world(title_minimum=6, title_mean=9.0, title_maximum=12)
    lengths = (world.titles >= 0).sum(axis=1)
    assert lengths.min() == 6 and lengths.max() == 12
    assert abs(lengths.mean() - 9.0) < 0.2
    assert ((world.titles >= 0) == (np.arange(12) < lengths[:, None])).all()


def test_every_title_names_its_subtopic_and_its_facet():
    world = _world()
    for block, of in (
        (world.words.subtopic, world.document_subtopic),
        (world.words.facet, world.document_facet),
    ):
        assert (world.titles[:, :, None] == block[of][:, None, :]).any(axis=(1, 2)).all()


def test_the_share_of_fresh_documents_is_the_set_one():
    assert abs((_world(fresh_share=0.2).published > 0).mean() - 0.2) < 0.01
    assert not (_world(fresh_share=0.0).published > 0).any()
