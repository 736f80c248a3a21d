"""manage.py serve_models: the model server, a process of its own on loopback."""

import psutil
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

GB = 10**9


class Command(BaseCommand):
    help = "Serve the registered models on loopback by the OpenAI protocol; the site's “Try it” pages ask here."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--port", type=int, default=settings.MODELS_PORT)
        parser.add_argument(
            "--memory", type=float, default=settings.MODELS_MEMORY_GB, help="GB of weights held at most"
        )
        parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")

    def handle(self, *, port: int, memory: float, device: str | None, **options) -> None:
        # Only this process loads torch; other commands import this file merely to list it.
        import torch
        import uvicorn

        from models_registry.serving.app import make_app
        from models_registry.serving.engine import Engine
        from models_registry.serving.pool import Pool

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        whole = torch.cuda.mem_get_info()[1] if device == "cuda" else psutil.virtual_memory().total
        engine = Engine(Pool(budget=int(memory * GB) or whole // 2, device=device))
        config = uvicorn.Config(
            make_app(engine), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        self.stdout.write(f"Models are served at http://127.0.0.1:{port}/v1 ({device}).")
        self.stdout.flush()
        server.run()
        if not server.started:
            raise CommandError(f"Port {port} is taken; choose another with PERINGKAT_MODELS_PORT.")
