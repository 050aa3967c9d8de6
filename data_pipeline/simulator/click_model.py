"""The click and dwell model: clicks depend on relevance and position, dwell time on relevance."""

import dataclasses

import numpy as np
from scipy import special


@dataclasses.dataclass(frozen=True)
class ClickModel:
    """Constants of the position-based click model and the log-normal dwell.

    With affinity `a = state . document` (axes: Q requests, C candidates, k latent):
    P(click) = position ** -examination * sigmoid(slope * (a - center)), independent for each
    position of a list, and ln(dwell / s) normal with mean `log_dwell + dwell_slope * (a - center)`
    and deviation `dwell_deviation`.
    """

    slope: float = 10.0
    center: float = 1.55
    examination: float = 0.5
    log_dwell: float = 4.1
    dwell_slope: float = 1.5
    dwell_deviation: float = 0.9
    satisfied_seconds: float = 30.0

    def affinity(self, states: np.ndarray, documents: np.ndarray) -> np.ndarray:
        """Return affinities [Q, C] of states [Q, k] and documents [Q, C, k], summed in float64."""
        return np.einsum(
            "qk,qck->qc", states.astype(np.float64), documents.astype(np.float64), optimize=False
        )

    def click_probability(self, affinity: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return P(click) [Q, C]; `positions` count from 1."""
        examined = positions.astype(np.float64) ** -self.examination
        return examined * special.expit(self.slope * (affinity - self.center))

    def dwell_mean(self, affinity: np.ndarray) -> np.ndarray:
        """Return the mean of the logarithm of the dwell time in seconds."""
        return self.log_dwell + self.dwell_slope * (affinity - self.center)

    def satisfaction_probability(self, affinity: np.ndarray) -> np.ndarray:
        """Return P(dwell > satisfied_seconds | click)."""
        above = self.dwell_mean(affinity) - np.log(self.satisfied_seconds)
        return special.ndtr(above / self.dwell_deviation)

    def draw_clicks(
        self, affinity: np.ndarray, positions: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw clicks and dwell times in seconds, rounded to milliseconds.

        A dwell time is at most 15 min, so that no list outlasts a session; it has no meaning
        without a click.
        """
        clicked = rng.random(affinity.shape) < self.click_probability(affinity, positions)
        noise = self.dwell_deviation * rng.standard_normal(affinity.shape)
        dwell = np.exp(self.dwell_mean(affinity) + noise)
        return clicked, np.round(np.clip(dwell, 1.0, 900.0), 3)
