"""Heads: from an image's features to its labels' logits, or to a mixture with logits."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.errors import ConfigError, nearest
from colabel.mixtures import GaussianMixture

Covariance = Literal["isotropic", "diagonal", "shared_diagonal", "shared_isotropic"]
"""What the kernels' covariances may be: see :class:`KernelMixtureHead`."""

Initialisation = Literal["linear", "paper", "paper_mean_variance"]
"""How the output layers of a mixture head start."""

Activation = Literal["gelu", "relu", "silu", "tanh"]
"""What the hidden layers of a :class:`MixtureDensityHead` apply."""

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}

PAPER_WEIGHT_BOUND = 0.1
"""Upper end of the uniform distribution the paper draws mean and coefficient weights from."""

PAPER_VARIANCE_WEIGHT = 1.0
"""Constant the paper sets the variance weights to."""


class KernelMixtureHead(nn.Module):
    r"""One exponential kernel per class from the features of an image.

    .. math::
        \pi_k = \operatorname{sigmoid}(a^\pi_k), \quad \mu_k = a^\mu_k, \quad
        \sigma^2_k = \operatorname{ELU}(a^{\sigma^2}_k) + 2 + \varepsilon,
        \qquad a = W f + b

    Source: KMCL, Eq. 16 and 17 (the kernel mixture module); Corollaries 1 and 2 and Table 4 for
    the four forms of the covariance.

    Deviation: the three layers start like any linear layer. The paper's initialisation
    (``init="paper"``: coefficient and mean weights uniform in 0 to 0.1, variance weights 1, biases
    0) saturates every coefficient at features that are not negative, and its gradient with it.

    Args:
        width: number of features M.
        classes: number of classes K.
        covariance: ``"isotropic"``: a mean and a variance per class; ``"diagonal"``: a mean and a
            variance per class and feature; ``"shared_diagonal"``: a mean per class and feature, a
            variance per feature for all classes (Mahalanobis); ``"shared_isotropic"``: a mean per
            class, one variance for all classes and features (Gaussian kernel).
        init: ``"linear"``: all layers start like :class:`torch.nn.Linear`; ``"paper"``: as the
            paper says; ``"paper_mean_variance"``: the paper's start for means and variances, the
            linear one for coefficients. Random numbers come from torch's generator, as they do
            for every layer of torch.
        epsilon: positive floor added to the variance, which is above 1 in any case.
        feature_length: length the features are brought to before means and variances are read
            off them; ``None`` takes them as they come, as the paper does. It decides how far
            apart kernels start: with linear layers the expected exponent of an overlap is
            ``feature_length**2 * (1 - cosine) / 24`` for two images, whatever the width.

    Raises:
        ConfigError: if the covariance or the initialisation is unknown, or a number too small.

    Example:
        >>> head = KernelMixtureHead(width=16, classes=3)
        >>> mixture = head(torch.rand(2, 16))
        >>> mixture.mean.shape, mixture.logits.shape, mixture.dim
        (torch.Size([2, 3]), torch.Size([2, 3]), 16)
        >>> head = KernelMixtureHead(width=16, classes=3, covariance="diagonal")
        >>> head(torch.rand(2, 16)).mean.shape
        torch.Size([2, 3, 16])
    """

    def __init__(
        self,
        width: int,
        classes: int,
        covariance: Covariance = "isotropic",
        init: Initialisation = "linear",
        epsilon: float = 1e-7,
        feature_length: float | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(width, classes)
        _check_choice("covariance", covariance, get_args(Covariance))
        _check_choice("init", init, get_args(Initialisation))
        if not epsilon >= 0:
            raise ConfigError(f"epsilon must not be negative, got {epsilon}.")
        _check_length(feature_length)
        self.width = width
        self.classes = classes
        self.covariance: Covariance = covariance
        self.init: Initialisation = init
        self.epsilon = epsilon
        self.feature_length = feature_length
        per_feature = width if covariance in ("diagonal", "shared_diagonal") else 1
        self.variances = 1 if covariance in ("shared_diagonal", "shared_isotropic") else classes
        self.weight_layer = nn.Linear(width, classes)
        self.mean_layer = nn.Linear(width, classes * per_feature)
        self.variance_layer = nn.Linear(width, self.variances * per_feature)
        _initialise(self.weight_layer, self.mean_layer, self.variance_layer, init)

    def forward(self, features: Float[Tensor, "batch width"]) -> GaussianMixture:
        """Return the mixture of each image, computed in float32 also under autocast.

        Args:
            features: the encoder's pooled features.

        Returns:
            Mixtures whose coefficients are independent probabilities, with their logits. A shared
            variance is an expanded view.
        """
        logits = self.weight_logits(features)
        scaled = bring_to_length(features, self.feature_length)
        mean = _linear(self.mean_layer, scaled)
        activation = _linear(self.variance_layer, scaled)
        variance = functional.elu(activation) + (2.0 + self.epsilon)
        batch = features.shape[0]
        if self.covariance in ("diagonal", "shared_diagonal"):
            mean = mean.view(batch, self.classes, self.width)
            variance = variance.view(batch, self.variances, self.width)
        variance = variance.expand_as(mean)
        return GaussianMixture(functional.logsigmoid(logits), mean, variance, self.width, logits)

    def weight_logits(
        self, features: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return only the log-odds of the coefficients: all that a deployed model needs."""
        _check_features(features, self.width)
        return _linear(self.weight_layer, features)


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
        _check_sizes(width, classes)
        _check_choice("activation", activation, get_args(Activation))
        _check_choice("init", init, get_args(Initialisation))
        _check_length(feature_length)
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
        _initialise(self.weight_layer, self.mean_layer, self.variance_layer, init)

    def forward(self, features: Float[Tensor, "batch width"]) -> GaussianMixture:
        """Return the mixture of each image, computed in float32 also under autocast.

        Args:
            features: the encoder's, normalised as the method asks for.

        Returns:
            Isotropic kernels in ``width`` dimensions whose coefficients sum to one; no logits.
        """
        _check_features(features, self.width)
        values = bring_to_length(features, self.feature_length)
        for layer in self.hidden_layers:
            values = ACTIVATIONS[self.activation](_linear(layer, values))
        variance = functional.elu(_linear(self.variance_layer, values)) + 2.0
        log_weights = _linear(self.weight_layer, values).log_softmax(dim=1)
        return GaussianMixture(log_weights, _linear(self.mean_layer, values), variance, self.width)


class LinearHead(nn.Module):
    """One logit per class, linear in the features: the head of ordinary classifiers.

    Args:
        width: number of features M.
        classes: number of classes K.

    Raises:
        ConfigError: if a number is too small.

    Example:
        >>> LinearHead(width=16, classes=3)(torch.rand(2, 16)).shape
        torch.Size([2, 3])
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        _check_sizes(width, classes)
        self.width = width
        self.classes = classes
        self.weight_layer = nn.Linear(width, classes)

    def forward(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"]:
        """Return the logits, computed in float32 also under autocast."""
        _check_features(features, self.width)
        return _linear(self.weight_layer, features)


def bring_to_length(
    features: Float[Tensor, "batch width"], length: float | None
) -> Float[Tensor, "batch width"]:
    """Return features of one length, in float32 or float64; ``None`` leaves them as they are.

    Args:
        features: one row per image.
        length: Euclidean length of the result, positive.

    Example:
        >>> bring_to_length(torch.tensor([[3.0, 4.0]]), 10)
        tensor([[6., 8.]])
    """
    if length is None:
        return features
    dtype = torch.promote_types(features.dtype, torch.float32)
    return length * functional.normalize(features.to(dtype), dim=1)


@torch.no_grad()
def _initialise(
    weight_layer: nn.Linear, mean_layer: nn.Linear, variance_layer: nn.Linear, init: Initialisation
) -> None:
    """Replace the linear start of the output layers by the papers', where ``init`` asks for it."""
    if init == "linear":
        return
    nn.init.uniform_(mean_layer.weight, 0.0, PAPER_WEIGHT_BOUND)
    nn.init.constant_(variance_layer.weight, PAPER_VARIANCE_WEIGHT)
    nn.init.zeros_(mean_layer.bias)
    nn.init.zeros_(variance_layer.bias)
    if init == "paper":
        nn.init.uniform_(weight_layer.weight, 0.0, PAPER_WEIGHT_BOUND)
        nn.init.zeros_(weight_layer.bias)


def _linear(layer: nn.Linear, features: Tensor) -> Tensor:
    """Apply a layer in float32, or in float64 if it is; autocast would take bfloat16."""
    dtype = torch.promote_types(layer.weight.dtype, torch.float32)
    if not torch.amp.is_autocast_available(features.device.type):
        return functional.linear(features.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))
    with torch.autocast(features.device.type, enabled=False):
        return functional.linear(features.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))


def _check_sizes(width: int, classes: int) -> None:
    if width < 1 or classes < 1:
        raise ConfigError(
            f"width and classes must be at least 1, got width {width} and classes {classes}."
        )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"there is no {name} {value!r}; {nearest(str(value), choices)}")


def _check_length(feature_length: float | None) -> None:
    if feature_length is not None and not feature_length > 0:
        raise ConfigError(f"feature_length must be positive, got {feature_length}.")


def _check_features(features: Tensor, width: int) -> None:
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(
            f"features must have shape (batch, width) = (batch, {width}), "
            f"got {tuple(features.shape)}."
        )
