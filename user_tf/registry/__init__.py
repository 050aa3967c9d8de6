"""Find rankers by name; a new one is a file in `user_tf/models` and a line here.

Importing this module registers every layer and ranker with Keras, so that a model saved as `.keras`
loads by `keras.saving.load_model` without custom objects.
"""

from user_tf.models.baselines.gerl import Gerl
from user_tf.models.baselines.hrnn import Hrnn
from user_tf.models.baselines.htps import Htps, HtpsUnified
from user_tf.models.baselines.jsr import Jsr
from user_tf.models.baselines.lstur import LsturCon, LsturIni
from user_tf.models.baselines.npa import Npa
from user_tf.models.baselines.nrms import Nrms, NrmsUnified
from user_tf.models.baselines.peps import Peps
from user_tf.models.baselines.rpmn import Rpmn
from user_tf.models.baselines.unisar import Unisar
from user_tf.models.user import User
from user_tf.models.user_plus import UserPlus

RANKERS = {
    "user": User,
    "user_plus": UserPlus,
    "hrnn": Hrnn,
    "rpmn": Rpmn,
    "peps": Peps,
    "htps": Htps,
    "htps_unified": HtpsUnified,
    "nrms": Nrms,
    "nrms_unified": NrmsUnified,
    "npa": Npa,
    "lstur_ini": LsturIni,
    "lstur_con": LsturCon,
    "gerl": Gerl,
    "jsr": Jsr,
    "unisar": Unisar,
}


def build_ranker(config, sizes, word_vectors=None):
    """Build a ranker with all its weights.

    Args:
        config: `ModelConfig`; its `name` chooses the ranker.
        sizes: `Sizes` of the dataset.
        word_vectors: Float array `[vocabulary, width]`, initial values of the word embeddings; not
            used if `config.word_vectors` is off. Default: random values.

    Returns:
        A built `Ranker` under the dtype policy in force.

    Raises:
        ValueError: The name is unknown, or the word vectors have another shape.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> build_ranker(ModelConfig(width=8), Sizes(vocabulary=10, users=3)).name
        'user'
        >>> build_ranker(ModelConfig(name="usr"), Sizes(vocabulary=10, users=3))
        Traceback (most recent call last):
        ValueError: `model.name` must be one of [...'user']. Got 'usr'. Fix: set --model.name.
    """
    if config.name not in RANKERS:
        raise ValueError(
            f"`model.name` must be one of {sorted(RANKERS)}. Got {config.name!r}. "
            "Fix: set --model.name to one of them."
        )
    ranker = RANKERS[config.name](config, sizes, name=config.name).build_from_sizes()
    if word_vectors is not None and config.word_vectors:
        ranker.set_word_vectors(word_vectors)
    return ranker
