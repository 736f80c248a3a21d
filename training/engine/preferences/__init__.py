"""Losses over weak orders, one small class each: what it needs, its loss, the probability it gives to each outcome of a pair.

A ranking's loss is the mean over the comparisons of it that the loss uses, or the sum over its choices by how many there could be, so
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
