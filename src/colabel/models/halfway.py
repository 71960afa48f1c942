"""How far an encoder computes the same for an image throughout, and how to go on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from colabel.models.features import Features

BYTES = 4
"""Of a number that is kept, at most."""
_SMALL = 64
"""Side of the image that is computed in place of those that were computed before, in pixels."""


@dataclass(frozen=True)
class Halt:
    """The end of what is frozen in an encoder.

    Args:
        name: in the encoder, of the last frozen module before anything that is trained.
        memory_format: of what it gives.
        numbers: that it gives of an image.
        side: of an image that passes the frozen modules where their outcome is known already.
    """

    name: str
    memory_format: torch.memory_format
    numbers: int
    side: int


class _ReachedError(Exception):
    """The module was reached at which a pass through an encoder was to end."""

    def __init__(self, given: Tensor) -> None:
        super().__init__()
        self.given = given


def find_halt(
    encoder: nn.Module,
    frozen: Sequence[nn.Module],
    run: Callable[[Tensor], Features],
    images: Tensor,
) -> Halt | None:
    """Find the end of what is frozen, and try whether all that follows needs nothing else.

    Args:
        encoder: left in either mode.
        frozen: modules of it that hold nothing but frozen parameters.
        run: normalised images (batch, 3, height, width) through the encoder.
        images: normalised, of any content, in the layout of the encoder; more than one.

    Returns:
        ``None`` if nothing is frozen; if what follows needs more than the last frozen module
        gives, by another way around it; or if that draws something at random while training.
    """
    encoder.eval()
    reached: list[tuple[nn.Module, Tensor]] = []

    def note(module: nn.Module, _: object, given: object) -> None:
        # what has no gradient has met no parameter that is trained
        if isinstance(given, Tensor) and not given.requires_grad:
            reached.append((module, given))

    hooks = [module.register_forward_hook(note) for module in frozen]
    try:
        with torch.enable_grad():
            whole = run(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not reached:
        return None
    module, given = reached[-1]
    (name,) = (name for name, each in encoder.named_modules() if each is module)
    memory_format, numbers = _memory_format_of(given), given.numel() // len(images)
    halts = [
        Halt(name, memory_format, numbers, side)
        for side in (min(_SMALL, images.shape[-1]), images.shape[-1])
    ]
    if not _is_steady(encoder, halts[0], given, lambda: run(images)):
        return None
    return next((halt for halt in halts if _suffices(encoder, halt, given, run, whole)), None)


def _is_steady(encoder: nn.Module, halt: Halt, given: Tensor, run: Callable[[], object]) -> bool:
    """Tell whether the frozen modules give the same while training: nothing is dropped there."""
    device = given.device
    encoder.train()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
            again = stop_at(encoder, halt, run)
            return again.shape == given.shape and torch.allclose(again, given)
    finally:
        encoder.eval()


def _suffices(
    encoder: nn.Module,
    halt: Halt,
    given: Tensor,
    run: Callable[[Tensor], Features],
    whole: Features,
) -> bool:
    """Tell whether all features come out of what the frozen modules gave."""
    try:
        with torch.no_grad():
            return _agree(go_on(encoder, halt, given, run), whole)
    except (AssertionError, RuntimeError, ValueError):
        return False  # an image of this side cannot pass


def stop_at(encoder: nn.Module, halt: Halt, run: Callable[[], object]) -> Tensor:
    """Return what the last frozen module gives; nothing behind it is computed.

    Args:
        encoder: whose part it is.
        halt: from :func:`find_halt`.
        run: passes images through the encoder.
    """

    def end(_: nn.Module, __: object, given: Tensor) -> None:
        raise _ReachedError(given)

    with _hooked(encoder, halt, end):
        try:
            run()
        except _ReachedError as reached:
            return reached.given
    raise AssertionError(f"{halt.name} was not reached")


def go_on(
    encoder: nn.Module, halt: Halt, given: Tensor, run: Callable[[Tensor], Features]
) -> Features:
    """Return the features of images from what the last frozen module gave for them.

    A small empty image passes the frozen modules in their place, and what the last of them gives
    for it is replaced.

    Args:
        encoder: whose part it is.
        halt: from :func:`find_halt`.
        given: by :func:`stop_at`.
        run: normalised images through the encoder.
    """
    ready = given.contiguous(memory_format=halt.memory_format)
    with _hooked(encoder, halt, lambda *_: ready):
        return run(torch.zeros(1, 3, halt.side, halt.side, device=given.device))


@contextmanager
def _hooked(encoder: nn.Module, halt: Halt, hook: Callable[..., Tensor | None]) -> Iterator[None]:
    handle = encoder.get_submodule(halt.name).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _memory_format_of(given: Tensor) -> torch.memory_format:
    last = given.ndim == 4 and given.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last and not given.is_contiguous() else torch.contiguous_format


def _agree(first: Features, second: Features) -> bool:
    pairs = [
        (first.vector, second.vector),
        (first.unpooled, second.unpooled),
        (first.previous, second.previous),
    ]
    return all(
        one is other
        if one is None or other is None
        else one.shape == other.shape and torch.allclose(one, other, rtol=1e-3, atol=1e-4)
        for one, other in pairs
    )
