"""The web server: gunicorn with threads. The address comes from the settings' environment variables."""

import os
from pathlib import Path

_host = os.environ.get("PERINGKAT_HOST", "127.0.0.1")
_port = os.environ.get("PERINGKAT_PORT", "8000")

wsgi_app = "config.wsgi:application"
bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
worker_class = "config.worker.Worker"
workers = int(os.environ.get("WEB_CONCURRENCY") or max(2, min(4, os.cpu_count() or 1)))
threads = 16  # a streamed answer holds one for as long as it streams, and the playground asks for four at once
preload_app = True  # one import for all workers, and their memory is shared
keepalive = 30
timeout = 60
graceful_timeout = 10
loglevel = "warning"
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the heartbeat file must not wait for a disk
