"""Events of users in order, and when each fact is known; front door: `user_events.build_events`."""
