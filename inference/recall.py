"""Modules that answer from memory what they have computed before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from diffusers.hooks.hooks import HookRegistry, ModelHook
from torch import nn

Decide = Callable[[str, Callable[[], Any]], Any]
"""Given a module's name and its computation, the module's answer."""


@contextmanager
def answered(purpose: str, modules: Mapping[str, nn.Module], decide: Decide) -> Iterator[None]:
    """Within the block ``decide(name, compute)`` is what each of the modules returns.

    By diffusers' own hooks, which are taken off again at the end. A module may answer for several
    purposes at a time, for each once.
    """
    for name, module in modules.items():
        registry = HookRegistry.check_if_exists_or_initialize(module)
        registry.register_hook(_Answering(name, decide), purpose)
    try:
        yield
    finally:
        for module in modules.values():
            HookRegistry.check_if_exists_or_initialize(module).remove_hook(purpose, recurse=False)


class SharedByHalves:
    """What the first half of classifier-free guidance computes, handed to the second.

    Both halves see the same latents, noise level and guidance; they part at the first attention.
    ``decide`` for ``answered``: every module's answer serves twice and is then forgotten.
    """

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}

    def decide(self, name: str, compute: Callable[[], Any]) -> Any:
        if name in self._answers:
            return self._answers.pop(name)
        self._answers[name] = compute()
        return self._answers[name]

    def forget(self) -> None:
        """Begin with a new pair of halves, whatever became of the last one."""
        self._answers.clear()


class _Answering(ModelHook):
    def __init__(self, name: str, decide: Decide) -> None:
        super().__init__()
        self._name, self._decide = name, decide

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        del module
        forward = self.fn_ref.original_forward
        assert forward is not None
        return self._decide(self._name, lambda: forward(*args, **kwargs))
