"""Everything that touches a model: load a chain, tune, generate, score. Pure torch, transformers and peft; this file loads none of them."""

import os

# Read by OpenMP when torch is loaded. A thread that waits for its part of the work sleeps instead of spinning: a trainer shares the
# machine with the web server, the worker and the model server, and spinning threads then wait for each other's time slices. Seen on two
# loaded cores with a model of 260 K parameters: 3,600 tokens/s instead of 950.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
