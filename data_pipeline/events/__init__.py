"""Events of users in order, and when each fact is known; front door: `event_shards.build_events`."""
