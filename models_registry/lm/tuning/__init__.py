"""Which parameters move: `config` declares the choices (light), `apply` carries them out (torch, peft)."""
