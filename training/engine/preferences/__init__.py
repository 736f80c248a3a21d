"""Losses over weak orders, one small class each: what it needs, its loss, the probability it gives to each outcome of a pair.

A ranking's loss is the mean over the statements of it that the loss uses (comparisons of two outputs, or choices from what is left), so
a ranking of nine weighs as much as a ranking of two (Ouyang et al. 2022, section 3.5, equation 1).

`d` is always the difference of two scores, first minus second.
"""

from .comparisons import Comparisons
from .luce import PlackettLuce
from .objective import Objective, centered
from .pairwise import BradleyTerry, Davidson, RaoKupper, Soft

Preference = BradleyTerry | Soft | RaoKupper | Davidson | PlackettLuce

__all__ = [
    "BradleyTerry",
    "Comparisons",
    "Davidson",
    "Objective",
    "PlackettLuce",
    "Preference",
    "RaoKupper",
    "Soft",
    "centered",
]
