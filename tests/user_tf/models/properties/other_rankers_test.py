"""Properties of all other rankers of the registry."""

from tests.user_tf.models.properties.ranker_properties import RankerProperties, each_of


@each_of("other")
class TestOtherRankers(RankerProperties):
    pass
