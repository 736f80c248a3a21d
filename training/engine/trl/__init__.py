"""The bridge between runs and the trainers of TRL: settings (light), data, checkpoints, curves, reference, sampling."""
