"""Properties of the rankers of searches."""

from tests.user_tf.models.properties.ranker_properties import RankerProperties, each_of


@each_of("search")
class TestSearchRankers(RankerProperties):
    pass
