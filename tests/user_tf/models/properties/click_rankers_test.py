"""Properties of the rankers that read clicked titles."""

from tests.user_tf.models.properties.ranker_properties import RankerProperties, each_of


@each_of("click")
class TestClickRankers(RankerProperties):
    pass
