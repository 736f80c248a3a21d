"""The demo: a small bilingual corpus, simulated annotators with a documented taste, and the whole loop in one command."""
