"""A simulated platform: two services, shared users, known truth.

`world_settings` settings and the reasons for their defaults; `world` topics and documents;
`world_words` and `readable_words` their words; `people` users, lasting interests and intents;
`services` the search engine and the feed, both imperfect; `click_model` clicks and dwell time;
`behavior` the sessions; `platform` all users in blocks; `canonical_files` the tables of a log;
`folder` writes the log; `click_probabilities` the latent truth, which only evaluation may read.
"""
