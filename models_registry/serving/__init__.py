"""The model server: a process of its own that speaks the OpenAI protocol. The web process never imports this package."""
