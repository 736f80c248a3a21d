"""Taking a link out of a loaded model again: an adapter, prefix or soft prompt that makes room for others over the same base."""

from peft.tuners.vera.layer import VeraLayer
from peft.utils import ModulesToSaveWrapper

from . import leading
from .bottleneck_loader import Bottlenecks
from .chain import Loaded


def forget(loaded: Loaded, name: str) -> None:
    """Free what `chain.add_adapter` put into the model under this name; it must not be on. A name that is not there is no error."""
    for peft in loaded.pefts.values():
        if name in peft.peft_config:
            peft.delete_adapter(name)
    if loaded.pefts.pop(f"VERA {name}", None):  # it had wrappers of its own
        for place, module in list(loaded.model.named_modules()):
            if isinstance(module, VeraLayer) and not module.vera_lambda_b:
                loaded.model.set_submodule(place, module.base_layer)
    for module in loaded.model.modules():
        if isinstance(module, Bottlenecks) and name in module.adapters:
            del module.adapters[name]
        elif isinstance(module, ModulesToSaveWrapper) and name in module.modules_to_save:
            del module.modules_to_save[name]
    if (state := leading.of(loaded.model)) is not None:
        for values in (state.prompts, state.prefixes):
            if name in values:
                del values[name]
    loaded.labels_of.pop(name, None)
