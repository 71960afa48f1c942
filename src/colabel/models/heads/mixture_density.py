"""ProbMCL's mixture density network: one Gaussian density per class."""

from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.choices import Activation, Initialisation
from colabel.errors import ConfigError
from colabel.mixtures import GaussianMixture
from colabel.models.heads.layers import (
    ACTIVATIONS,
    apply_linear,
    bring_to_length,
    check_choice,
    check_features,
    check_length,
    check_sizes,
    initialise,
)


class MixtureDensityHead(nn.Module):
    r"""One Gaussian density per class from the features of an image, by a small network.

    .. math::
        \pi = \operatorname{softmax}(a^\pi), \quad \mu_k = a^\mu_k, \quad
        \sigma^2_k = \operatorname{ELU}(a^{\sigma^2}_k) + 2

    with ``a`` the 3C outputs of a perceptron on the features.

    Source: ProbMCL, Eq. 1 and Sec. 2.1 (the mixture density network): two hidden layers of 2048
    and 128 nodes. The paper does not name the hidden layers' activation.

    Deviation: the output layers start like any linear layer, see ``init``. ``feature_length`` is
    ours.

    Args:
        width: number of features H.
        classes: number of components C, one per class.
        hidden: nodes of each hidden layer.
        activation: of the hidden layers: ``"gelu"``, ``"relu"``, ``"silu"`` or ``"tanh"``.
        init: of the output layers: ``"linear"``: like :class:`torch.nn.Linear`; ``"paper"``:
            weights of coefficients and means uniform from 0 to 0.1, of variances 1, biases 0;
            ``"paper_mean_variance"``: the paper's start for means and variances alone. Hidden
            layers always start like linear layers.
        feature_length: length that features are brought to before the first layer; ``None`` takes
            them as they come. Features of length 1 are small beside the first layer's
            biases, so that all images begin with the same mixture.

    Raises:
        ConfigError: if a choice is unknown or a number too small.

    Example:
        >>> import torch
        >>> mixture = MixtureDensityHead(width=16, classes=3, hidden=(8,))(torch.rand(2, 16))
        >>> mixture.mean.shape, mixture.dim, bool((mixture.variance > 1).all())
        (torch.Size([2, 3]), 16, True)
        >>> torch.allclose(mixture.log_weights.exp().sum(dim=1), torch.ones(2))
        True
    """

    def __init__(
        self,
        width: int,
        classes: int,
        hidden: Sequence[int] = (2048, 128),
        activation: Activation = "gelu",
        init: Initialisation = "linear",
        feature_length: float | None = None,
    ) -> None:
        super().__init__()
        check_sizes(width, classes)
        check_choice("activation", activation, get_args(Activation))
        check_choice("init", init, get_args(Initialisation))
        check_length(feature_length)
        if any(nodes < 1 for nodes in hidden):
            raise ConfigError(f"a hidden layer needs at least 1 node, got {tuple(hidden)}.")
        self.width = width
        self.classes = classes
        self.activation: Activation = activation
        self.feature_length = feature_length
        sizes = (width, *hidden)
        self.hidden_layers: Sequence[nn.Linear] = nn.ModuleList(  # type: ignore[assignment]
            nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)
        )
        self.weight_layer, self.mean_layer, self.variance_layer = (
            nn.Linear(sizes[-1], classes) for _ in range(3)
        )
        initialise(self.weight_layer, self.mean_layer, self.variance_layer, init)

    def forward(self, features: Float[Tensor, "batch width"]) -> GaussianMixture:
        """Return the mixture of each image, computed in float32 also under autocast.

        Args:
            features: the encoder's, normalised as the method asks for.

        Returns:
            Isotropic kernels in ``width`` dimensions whose coefficients sum to one; no logits.
        """
        check_features(features, self.width)
        values = bring_to_length(features, self.feature_length)
        for layer in self.hidden_layers:
            values = ACTIVATIONS[self.activation](apply_linear(layer, values))
        variance = functional.elu(apply_linear(self.variance_layer, values)) + 2.0
        log_weights = apply_linear(self.weight_layer, values).log_softmax(dim=1)
        return GaussianMixture(
            log_weights, apply_linear(self.mean_layer, values), variance, self.width
        )
