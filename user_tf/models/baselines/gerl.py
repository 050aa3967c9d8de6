"""Rank by the graph of users and documents: GERL (Ge et al., WWW 2020)."""

import keras
from keras import ops

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.attentive_encoder import AttentiveEncoder
from user_tf.models.baselines.clicked_history import match, read_clicks
from user_tf.models.batch_ops import encode_buckets, split_by_length
from user_tf.models.ranker import Ranker

# Neighbors of a user and of a document in the authors' experiments and the public codes.
NEIGHBORS = 15


@keras.saving.register_keras_serializable(package="user_tf")
class Gerl(Ranker):
    """Rank news with the neighbors of a user and of a document in the click graph (GERL).

        r(x)   = AttentiveEncoder(dropout(E_x));   r2(x) likewise, of its own weights
        u_t    = AddAtt(r(clicks))                 v_t   = r(D)
        u_e    = e_u                               v_t2  = AddAtt(r2(N_D))
        u_e2   = AddAtt(e(N_u))                    v_e2  = AddAtt(e(N_D))
        p      = u_e . v_t2 + u_e2 . v_e2 + u_t . v_t

    with E_x the embeddings of the words of x, e the rows of users and of documents, N_u the users who
    share most clicked documents with u, N_D the documents that share most users with D. Each AddAtt
    has weights of its own. Padding, places without a click and missing neighbors are masked; without
    any place left a vector is 0: new documents and the unknown user have no neighbors.

    The graph is built from the training clicks (`data_pipeline.dataset.click_graph`), those of the
    training targets included: in training it leaks which candidate was clicked. Public codes avoid
    this by a graph of clicks older than all training targets, which a log without such a history
    does not have. Removing a target's own click from its neighbors made validation MAP worse. Clicks
    of validation and test are not in the graph.

    `use_dataset` copies the graph and the words of the documents into weights that are not trained, so
    checkpoints and saved models contain them. Documents are numbers of the dataset: a served request
    names titles instead, its Batch has the documents 0, and the score is u_t . v_t alone.

    Clicks are all browses a target may see; searches, the query and the features F are not read. A
    search target gets a score by the same rule.

    A reconstruction: no code of the authors is public, and the other public codes differ. The score
    is the product of concatenated vectors as in one of them (another multiplies sums), titles, users
    and documents have num_heads x key_dim entries, and there are no topic embeddings, since a Batch
    has no topics. Neighbors are the nearest ones; public codes also sample them.

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `dropout` and `train_words` are used.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Gerl(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.units, ranker.user_neighbors.shape[1]
        (400, 15)

    Reference:
        Ge et al., Graph Enhanced Representation Learning for News Recommendation, WWW 2020.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.units = config.num_heads * config.key_dim
        self.embedding = self.new_word_embedding()
        self.user_embedding = keras.layers.Embedding(
            sizes.users, self.units, dtype=policy, name="user_embedding"
        )
        self.document_embedding = keras.layers.Embedding(
            sizes.documents, self.units, dtype=policy, name="document_embedding"
        )
        self.dropout_layer = keras.layers.Dropout(config.dropout, dtype=policy, name="dropout")

        def encoder(name):
            heads = (config.num_heads, config.key_dim, config.dropout)
            return AttentiveEncoder(*heads, dtype=policy, name=name)

        self.title_encoder = encoder("title_encoder")
        self.neighbor_encoder = encoder("neighbor_encoder")

        def pool(name):
            return AdditiveAttention(dtype=policy, name=name)

        self.click_pool = pool("click_pool")
        self.user_pool = pool("user_pool")
        self.title_pool = pool("title_pool")
        self.document_pool = pool("document_pool")

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        self.embedding.build((None, None))
        self.user_embedding.build((None,))
        self.document_embedding.build((None,))
        for encoder in (self.title_encoder, self.neighbor_encoder):
            encoder.build((None, None, self.config.width))
        for pool in (self.click_pool, self.user_pool, self.title_pool, self.document_pool):
            pool.build((None, None, self.units))

        def table(name, rows, columns):
            # "int" of Keras has 64 bits under TensorFlow, which keeps no shorter ones on a GPU.
            kind = {"initializer": "zeros", "dtype": "int", "trainable": False}
            return self.add_weight((rows, columns), name=name, **kind)

        users, documents = self.sizes.users, self.sizes.documents
        self.user_neighbors = table("user_neighbors", users, NEIGHBORS)
        self.document_neighbors = table("document_neighbors", documents, NEIGHBORS)
        self.document_tokens = table("document_tokens", documents, self.sizes.text_length)

    def use_dataset(self, dataset, scenario):
        from data_pipeline.dataset.click_graph import click_graph

        graph = click_graph(dataset, scenario, NEIGHBORS)
        self.set_graph(graph, dataset.text_tokens[dataset.document_texts])

    def set_graph(self, graph, document_tokens):
        """Set neighbors and the words of their titles.

        Args:
            graph: `ClickGraph` with `NEIGHBORS` neighbors of each user and document.
            document_tokens: int array `[documents, text_length]`, token ids of the titles.
        """
        self.build_from_sizes()
        self.user_neighbors.assign(graph.users)
        self.document_neighbors.assign(graph.documents)
        self.document_tokens.assign(document_tokens)

    def call(self, batch, training=False):
        texts, batch = split_by_length(batch)
        _, titles, mask = encode_buckets(self.encode_texts, texts, training)
        clicks = read_clicks(batch, ops.any(mask, axis=1))
        u_t = self.click_pool(ops.take(titles, clicks.texts, axis=0), padding_mask=clicks.mask)
        v_t = ops.take(titles, batch["candidate_text"], axis=0)
        u_e = self.user_embedding(batch["user"])
        u_e2 = self.read_users(_rows(self.user_neighbors, batch["user"]))
        near_documents = _rows(self.document_neighbors, batch["candidate_doc"])
        v_t2, v_e2 = self.read_documents(near_documents, training)
        return match(u_e, v_t2) + match(u_e2, v_e2) + match(u_t, v_t)

    def encode_texts(self, tokens, training=False):
        """Return words `[X, L, width]`, titles `[X, units]` and mask of the words."""
        return self._encode(self.title_encoder, tokens, training)

    def _encode(self, encoder, tokens, training):
        mask = tokens > 0
        words = self.dropout_layer(self.embedding(tokens), training=training)
        return words, encoder(words, padding_mask=mask, training=training), mask

    def read_users(self, neighbors):
        """Return vectors u_e2 `[T, units]` of neighbors `[T, n]`, 0 for missing ones."""
        return self.user_pool(self.user_embedding(neighbors), padding_mask=neighbors > 0)

    def read_documents(self, neighbors, training=False):
        """Return vectors v_t2 and v_e2 `[T, C, units]` of neighbors `[T, C, n]`, 0 for missing ones."""
        # Neighbors repeat, and most places of a sparse graph are empty: each is encoded once.
        distinct, places = ops.unique(neighbors, sorted=False, return_inverse=True)
        tokens = _rows(self.document_tokens, distinct)
        _, titles, words = self._encode(self.neighbor_encoder, tokens, training)
        # A title without words is no neighbor.
        mask = neighbors > 0
        written = ops.logical_and(mask, ops.take(ops.any(words, axis=1), places, axis=0))
        return (
            self._pool(self.title_pool, ops.take(titles, places, axis=0), written),
            self._pool(self.document_pool, self.document_embedding(neighbors), mask),
        )

    def _pool(self, pool, vectors, mask):
        """Pool `[T, C, n, units]` where `mask`, `[T, C, n]`, is true: `[T, C, units]`."""
        pooled = pool(
            ops.reshape(vectors, (-1, NEIGHBORS, self.units)),
            padding_mask=ops.reshape(mask, (-1, NEIGHBORS)),
        )
        return ops.reshape(pooled, (-1, ops.shape(mask)[1], self.units))


def _rows(table, numbers):
    return ops.cast(ops.take(table, numbers, axis=0), "int32")
