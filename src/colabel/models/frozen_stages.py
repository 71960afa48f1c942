"""The first stages of a backbone, left as they came: what they know is common to all images."""

from __future__ import annotations

from collections.abc import Sequence

from timm.models import group_parameters
from torch import nn

from colabel.errors import ConfigError


def freeze_first_stages(backbone: nn.Module, name: str, count: float) -> tuple[nn.Module, ...]:
    """Take the parameters of the first stages out of training, in place.

    No gradient has to go back through them, where images are largest and cost most.

    Args:
        backbone: of timm, which knows the order of its stages.
        name: what to call it in messages.
        count: number of stages, the stem being the first; below 1 their share, rounded down.

    Returns:
        The modules that hold nothing but frozen parameters, to be kept in evaluation mode.

    Raises:
        ConfigError: if the backbone has no such stages, or none would be left to train.

    Example:
        >>> import timm
        >>> backbone = timm.create_model("resnet18", num_classes=0)
        >>> len(freeze_first_stages(backbone, "resnet18", 2))
        3
        >>> backbone.conv1.weight.requires_grad, backbone.layer2[0].conv1.weight.requires_grad
        (False, True)
    """
    if not count:
        return ()
    stages = _stages(backbone, name)
    count = int(count * len(stages)) if count < 1 else int(count)
    if count >= len(stages):
        raise ConfigError(
            f"encoder.freeze_stages must be below {len(stages)}, the number of stages that {name} "
            f"has, got {count}; to train the head alone set training.freeze_encoder: true."
        )
    still = {parameter for stage in stages[:count] for parameter in stage}
    for parameter_name, parameter in backbone.named_parameters():
        if parameter_name in still:
            parameter.requires_grad_(False)
    return tuple(_outermost(backbone))


def _stages(backbone: nn.Module, name: str) -> list[Sequence[str]]:
    """Return the names of the parameters of each stage, from the image on."""
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        raise ConfigError(
            f"encoder.freeze_stages: timm does not say what the stages of {name} are; leave it "
            "out, or take another encoder."
        )
    return list(group_parameters(backbone, matcher(coarse=True)).values())


def _outermost(module: nn.Module) -> list[nn.Module]:
    """Return the largest modules below this one whose every parameter is frozen."""
    found = []
    for child in module.children():
        parameters = list(child.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            found.append(child)
        else:
            found += _outermost(child)
    return found
