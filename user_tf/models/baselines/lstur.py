"""Rank by long- and short-term user vectors: LSTUR (An et al., ACL 2019)."""

import keras
from keras import ops

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.word_convolution import WordConvolution
from user_tf.models.baselines.clicked_history import match, read_clicks
from user_tf.models.batch_ops import encode_buckets, split_by_length
from user_tf.models.ranker import Ranker

# Of the authors' experiments; nothing in USER corresponds to either.
ATTENTION_UNITS = 200
USER_MASKING = 0.5


@keras.saving.register_keras_serializable(package="user_tf")
class UserMasking(keras.layers.Layer):
    """Set complete rows to zero in training, each with the same probability.

        x_i -> m_i x_i,   P(m_i = 0) = rate

    Unlike dropout it neither acts on single entries nor scales what it keeps.

    Args:
        rate: Probability that a row is masked.

    Call arguments:
        inputs: Float tensor `[B, d]`.
        training: True to mask rows.

    Returns:
        Float tensor `[B, d]`.

    Example:
        >>> UserMasking(0.9)(ops.ones((1, 3))).numpy().tolist()
        [[1.0, 1.0, 1.0]]
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        # Its state is a variable of the model, so that training can reseed it at every step.
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, inputs_shape):
        """Make nothing: there are no weights."""

    def call(self, inputs, training=None):
        if not training:
            return inputs
        drawn = keras.random.uniform((ops.shape(inputs)[0], 1), seed=self.seed_generator)
        return ops.where(drawn >= self.rate, inputs, ops.zeros_like(inputs))

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable(package="user_tf")
class Lstur(Ranker):
    """Rank news by a long-term user vector and a GRU over the clicks (LSTUR); base of both variants.

        r(x) = AdditiveAttention(WordConvolution(x));   l = masked(e_u);   p = user(l, r(clicks)) . r(D)

    with e_u the row of the user, set to zero for half of the targets in training. The GRU skips
    places without a click, so its last state is that of the last real one. Every distinct text is
    encoded once.

    Clicks are all browses a target may see; searches, the query and the features F are not read. A
    search target gets a score by the same rule.

    A reconstruction in settings: news vectors have num_heads x key_dim entries (400, more than
    the authors' 300) and no topic embeddings, since a Batch has no topics. A subclass chooses the
    widths in `__init__` and writes `encode_users`.

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `dropout` and `train_words` are used.
        sizes: `Sizes` of the dataset.
        short: Units of the GRU.
        long: Width of the rows of users.

    Reference:
        An et al., Neural News Recommendation with Long- and Short-term User Representations, ACL 2019.
    """

    def __init__(self, config, sizes, short, long, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.words = WordConvolution(
            sizes.vocabulary,
            config.width,
            config.num_heads * config.key_dim,
            dropout=config.dropout,
            dtype=policy,
            name="words",
        )
        self.words.embedding.trainable = config.train_words
        self.pool = AdditiveAttention(ATTENTION_UNITS, dtype=policy, name="pool")
        self.user_embedding = keras.layers.Embedding(
            sizes.users, long, dtype=policy, name="user_embedding"
        )
        self.user_masking = UserMasking(USER_MASKING, dtype=policy, name="user_masking")
        # The reset gate before the recurrent product, as in the paper. No cuDNN: it needs clicks
        # without gaps, and XLA does not compile it.
        self.gru = keras.layers.GRU(
            short,
            reset_after=False,
            return_state=True,
            use_cudnn=False,
            dtype=policy,
            name="gru",
        )

    @property
    def word_embedding(self):
        return self.words.embedding

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        filters = self.config.num_heads * self.config.key_dim
        self.words.build((None, None))
        self.pool.build((None, None, filters))
        self.user_embedding.build((None,))
        self.gru.build((None, None, filters))

    def call(self, batch, training=False):
        texts, batch = split_by_length(batch)
        _, titles, mask = encode_buckets(self.encode_texts, texts, training)
        clicks = read_clicks(batch, ops.any(mask, axis=1))
        long = self.user_masking(self.user_embedding(batch["user"]), training=training)
        users = self.encode_users(long, ops.take(titles, clicks.texts, axis=0), clicks.mask)
        return match(users, ops.take(titles, batch["candidate_text"], axis=0))

    def encode_texts(self, tokens, training=False):
        """Return words `[X, L, filters]`, titles `[X, filters]` and mask of the words."""
        words, mask = self.words(tokens, training=training)
        return words, self.pool(words, padding_mask=mask), mask

    def encode_users(self, long, clicks, mask):
        """Return user vectors `[T, filters]`.

        Args:
            long: Float tensor `[T, long]`, long-term vectors.
            clicks: Float tensor `[T, H, filters]`, clicked titles.
            mask: bool tensor `[T, H]`, true at clicks.
        """
        raise NotImplementedError(
            "`encode_users` must combine `long` and `clicks`. Got a subclass without it: "
            f"{type(self).__name__!r}. Fix: define the method there."
        )


@keras.saving.register_keras_serializable(package="user_tf")
class LsturIni(Lstur):
    """Rank by LSTUR with a GRU that begins at the long-term vector.

        user(l, x) = GRU(x_1, x_2, ... from l)

    Without clicks the user vector is l.

    Args:
        config, sizes: As in `Lstur`.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = LsturIni(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.gru.units, ranker.user_embedding.output_dim
        (400, 400)
    """

    def __init__(self, config, sizes, **kwargs):
        filters = config.num_heads * config.key_dim
        super().__init__(config, sizes, short=filters, long=filters, **kwargs)

    def encode_users(self, long, clicks, mask):
        # Not the last output: where nothing was clicked it is 0, while the state is still l.
        _, state = self.gru(clicks, initial_state=long, mask=mask)
        return state


@keras.saving.register_keras_serializable(package="user_tf")
class LsturCon(Lstur):
    """Rank by LSTUR with the state of the GRU and the long-term vector, concatenated, as user vector.

        user(l, x) = [GRU(x_1, x_2, ... from 0) ; l]

    Each is half as wide as a title. Without clicks the user vector is [0 ; l].

    Args:
        config, sizes: As in `Lstur`.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = LsturCon(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.gru.units, ranker.user_embedding.output_dim
        (200, 200)
    """

    def __init__(self, config, sizes, **kwargs):
        filters = config.num_heads * config.key_dim
        super().__init__(config, sizes, short=filters - filters // 2, long=filters // 2, **kwargs)

    def encode_users(self, long, clicks, mask):
        _, state = self.gru(clicks, mask=mask)
        return ops.concatenate([state, long], axis=-1)
