"""A simulated platform: two services, shared users, known truth (one idea a file).

`settings` what can be set and why the defaults are what they are; `world` topics, documents and
words; `people` users, their lasting interests and their session intents; `services` the search
engine and the feed, both imperfect; `clicks` the click and dwell model; `behavior` the sessions;
`tables` the canonical tables; `truth` the latent truth, which only evaluation may read.
"""
