"""Properties of the rankers that predict the next query."""

from tests.user_tf.models.properties.ranker_properties import RankerProperties, each_of


@each_of("query")
class TestQueryRankers(RankerProperties):
    pass
