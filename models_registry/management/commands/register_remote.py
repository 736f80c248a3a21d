"""manage.py register_remote NAME ADDRESS MODEL: registers an OpenAI-compatible server as a version."""

from django.core.management.base import BaseCommand, CommandError

from models_registry import actions, endpoints, serving_client
from people.errors import Refusal


class Command(BaseCommand):
    help = "Register the model MODEL of the OpenAI-compatible server at ADDRESS (…/v1) as the next version of NAME."

    def add_arguments(self, parser) -> None:
        parser.add_argument("name")
        parser.add_argument("address")
        parser.add_argument("model")
        parser.add_argument("--key-env", default="", help="environment variable that holds the key; ends in _API_KEY")
        parser.add_argument("--chat-only", action="store_true", help="the server knows no /completions")
        parser.add_argument("--licence", default="")
        parser.add_argument("--test", action="store_true", help="call it first, and register it only if it answers")

    def handle(
        self,
        *,
        name: str,
        address: str,
        model: str,
        key_env: str,
        chat_only: bool,
        licence: str,
        test: bool,
        **options,
    ) -> None:
        try:
            if test:
                wrote = serving_client.probe(endpoints.reached(address, model, key_env, chat_only=chat_only))
                self.stderr.write(f"It answers: {wrote!r}")
            version = actions.register_remote(
                actor=None,
                name=name,
                base_url=address,
                model=model,
                key_env=key_env,
                chat_only=chat_only,
                licence=licence,
            )
        except Refusal as refusal:
            raise CommandError("\n".join(str(problem) for problem in refusal.problems)) from None
        self.stdout.write(str(version))
