"""The simulated platform as a stream of tables, one block of users after the other."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from data_pipeline.common.codes import Task
from data_pipeline.simulator import behavior, canonical_files
from data_pipeline.simulator.click_model import ClickModel
from data_pipeline.simulator.world import World, build_world
from data_pipeline.simulator.world_settings import SimulateSettings, check


@dataclasses.dataclass(frozen=True)
class Block:
    """Tables of some users: `requests` and `browses` of the log, `states` of the truth.

    User ids are raw in all of them.
    """

    users: int
    requests: pa.Table
    browses: pa.Table
    states: pa.Table


class Platform:
    """A world and its users, determined by the settings.

    Each block of users has its own random generator, so the first block of a large log equals that
    of a small one.

    Args:
        settings: Settings of the platform.

    Raises:
        ValueError: A setting is out of its range.

    Example:
        >>> platform = Platform(SimulateSettings(output="log", users=3))
        >>> [block.users for block in platform.blocks()]
        [3]
    """

    def __init__(self, settings: SimulateSettings) -> None:
        check(settings)
        self.settings, self.model = settings, ClickModel()
        self.world: World = build_world(
            settings.world, settings.session.days, np.random.default_rng([settings.seed, 0])
        )
        self._start = canonical_files.start_microseconds(settings.session.start)

    def documents(self) -> pa.Table:
        """Return the documents of the log."""
        return canonical_files.documents_table(self.world, self._start)

    def truth_documents(self) -> pa.Table:
        """Return the latent vectors of the documents."""
        return canonical_files.truth_documents_table(self.world)

    def blocks(self) -> Iterator[Block]:
        """Simulate all users, block by block, rows in order of user and time."""
        settings, request = self.settings, 0
        for number, first in enumerate(range(0, settings.users, settings.block_users)):
            users = min(settings.block_users, settings.users - first)
            rng = np.random.default_rng([settings.seed, 1, number])
            served = behavior.simulate_users(self.world, settings, self.model, users, rng)
            names = canonical_files.user_ids(first + served.users)
            shown = canonical_files.requests_table(self.world, served, names, self._start, request)
            request += shown.num_rows
            only_browses = settings.shape == "browses"
            feeds = behavior.select(served, served.tasks == Task.RECOMMENDATION)
            feed_names = canonical_files.user_ids(first + feeds.users)
            browses = canonical_files.browses_table(self.world, feeds, feed_names, self._start)
            states = canonical_files.states_table(served, names, self._start)
            if only_browses:
                searching = pa.array(served.tasks == Task.SEARCH)
                shown = shown.filter(searching)
                read = canonical_files.browse_states_table(feeds, feed_names, self._start)
                states = pa.concat_tables([states.filter(searching), read])
            else:
                browses = browses.slice(0, 0)
            yield Block(users=users, requests=shown, browses=browses, states=states)
