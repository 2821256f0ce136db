"""What a forward pass leaves in memory for its backward pass, in bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class KeptBytes(TorchDispatchMode):
    """Notes every storage that is made inside; ``total`` says what of it is still alive.

    Unlike hooks on saved tensors it also sees what gradient checkpointing keeps: the inputs of the
    parts that it computes again. ``where`` groups by the innermost module of ``within`` that ran.
    """

    def __init__(self, within: nn.Module | None = None) -> None:
        super().__init__()
        self.made: list[tuple[StorageWeakRef, int, str]] = []
        self.known: set[int] = set()
        self.running: list[str] = []
        for name, module in within.named_modules() if within is not None else ():
            module.register_forward_pre_hook(lambda *_, name=name: self.running.append(name))
            module.register_forward_hook(self._leave, always_call=True)

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        given = {_address(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            # an address is not used again while a weak reference to it is held
            if isinstance(leaf, Tensor) and _address(leaf) not in given | self.known:
                storage = leaf.untyped_storage()
                self.known.add(_address(leaf))
                place = self.running[-1] if self.running else ""
                self.made.append((StorageWeakRef(storage), storage.nbytes(), place))
        return result

    def _leave(self, *_: object) -> None:
        self.running.pop()

    def total(self) -> int:
        return sum(self.where().values())

    def where(self) -> Counter[str]:
        alive: Counter[str] = Counter()
        for reference, size, place in self.made:
            alive[place] += 0 if reference.expired() else size
        return alive


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
