r"""Batch normalisation with the statistics of the global batch.

Every process takes mean and variance of its own rows; all have as many. With :math:`\mu_r` and
:math:`v_r` of process r of R, the global batch has

.. math:: \mu = \frac1R \sum_r \mu_r,\qquad
          v = \frac1R \sum_r \left(v_r + (\mu_r - \mu)^2\right),

in which nothing cancels, unlike in a mean of squares less the square of the mean. The statistics
of all processes are gathered with gradient, on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from colabel.errors import ConfigError
from colabel.training.distributed import gather_with_gradient, world_size

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_AFTERWARDS = ("drop", "act")  # children of timm's layer that also applies an activation, in order


def synchronise_batch_norm(model: nn.Module) -> None:
    """Replace the batch-norm layers that are in training mode by ones that share statistics.

    Layers in evaluation mode, as frozen ones are, stay as they are. Parameters, buffers and the
    names in the state stay the same. The forward pass keeps one more tensor of the size of the
    layer's input than an ordinary layer.

    Args:
        model: changed in place.

    Raises:
        ConfigError: for a kind of layer whose computation is not known.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        >>> synchronise_batch_norm(model)
        >>> type(model[1]).__name__, list(model[1].state_dict())[:2]
        ('SynchronisedBatchNorm', ['weight', 'bias'])
    """
    for name, module in list(model.named_modules()):
        for child_name, child in list(module.named_children()):
            if not isinstance(child, _BatchNorm) or not child.training:
                continue
            if isinstance(child, SynchronisedBatchNorm):
                continue
            children = tuple(dict(child.named_children()))
            if type(child) not in _PLAIN and children != _AFTERWARDS:
                raise ConfigError(
                    f"the layer {f'{name}.{child_name}'.lstrip('.')} is a {type(child).__name__}, "
                    "whose statistics cannot be synchronised; set "
                    "training.synchronise_batch_norm: false, or encoder.freeze_batch_norm: true."
                )
            setattr(module, child_name, SynchronisedBatchNorm(child))


class SynchronisedBatchNorm(_BatchNorm):
    """A batch-norm layer whose statistics, while it trains, are those of all processes.

    With one process and in evaluation mode it computes what the ordinary layer does.

    Args:
        layer: whose parameters, buffers, dropout and activation are used, not copied.
    """

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__(
            layer.num_features,
            eps=layer.eps,
            momentum=layer.momentum,
            affine=False,
            track_running_stats=False,
        )
        self.affine, self.track_running_stats = layer.affine, layer.track_running_stats
        self._parameters.update(layer._parameters)
        self._buffers.update(layer._buffers)
        self._modules.update(layer._modules)
        self.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise, and apply the dropout and the activation of the layer that was replaced.

        Args:
            input: shape (batch, features, ...), as large on every process.

        Raises:
            ValueError: if the global batch has a single value per feature.
        """
        if self.training and world_size() > 1:
            output = self._normalise_together(input)
        else:
            output = super().forward(input)
        for module in self._modules.values():
            assert module is not None
            output = module(output)
        return output

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(
                f"expected (batch, features, ...), got an input of shape {tuple(input.shape)}."
            )

    def _normalise_together(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        count = input.numel() // self.num_features * world_size()
        if count < 2:
            raise ValueError(
                "expected more than one value per feature over all processes, got an input of "
                f"shape {tuple(input.shape)}; take a larger batch."
            )
        shape = (1, -1, *(1,) * (input.ndim - 2))
        with torch.autocast(input.device.type, enabled=False):
            values = input.float() if input.dtype in (torch.half, torch.bfloat16) else input
            axes = [axis for axis in range(input.ndim) if axis != 1]
            local = torch.stack(torch.var_mean(values, dim=axes, correction=0))
            (everywhere,) = gather_with_gradient(local[None])
            variances, means = everywhere.unbind(dim=1)  # (processes, features) each
            mean = means.mean(dim=0)
            variance = (variances + (means - mean).square()).mean(dim=0)
            if self.track_running_stats:
                self._track(mean.detach(), variance.detach() * (count / (count - 1)))
            scale = (variance + self.eps).rsqrt()
            if self.affine:
                scale = scale * self.weight
            output = (values - mean.view(shape)) * scale.view(shape)
            if self.affine:
                output = output + self.bias.view(shape)
        return output.to(input.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # the mean over all batches
            momentum = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)
