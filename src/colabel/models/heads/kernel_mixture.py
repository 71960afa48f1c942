"""KMCL's kernel mixture module: one exponential kernel per class."""

from typing import get_args

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from colabel.choices import Covariance, Initialisation
from colabel.errors import ConfigError
from colabel.mixtures import GaussianMixture
from colabel.models.heads.layers import (
    apply_per_class,
    bring_to_length,
    check_choice,
    check_features,
    check_length,
    check_sizes,
    initialise,
)


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
        logit_feature_length: the same for the coefficients; an encoder's features are long (53 in
            a pretrained MobileNetV2), and a coefficient layer that learns quickly on them soon
            knows the training images by heart.

    Raises:
        ConfigError: if the covariance or the initialisation is unknown, or a number too small.

    Example:
        >>> import torch
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
        logit_feature_length: float | None = None,
    ) -> None:
        super().__init__()
        check_sizes(width, classes)
        check_choice("covariance", covariance, get_args(Covariance))
        check_choice("init", init, get_args(Initialisation))
        if not epsilon >= 0:
            raise ConfigError(f"epsilon must not be negative, got {epsilon}.")
        for length in (feature_length, logit_feature_length):
            check_length(length)
        self.width = width
        self.classes = classes
        self.covariance: Covariance = covariance
        self.init: Initialisation = init
        self.epsilon = epsilon
        self.feature_length = feature_length
        self.logit_feature_length = logit_feature_length
        per_feature = width if covariance in ("diagonal", "shared_diagonal") else 1
        self.variances = 1 if covariance in ("shared_diagonal", "shared_isotropic") else classes
        self.weight_layer = nn.Linear(width, classes)
        self.mean_layer = nn.Linear(width, classes * per_feature)
        self.variance_layer = nn.Linear(width, self.variances * per_feature)
        initialise(self.weight_layer, self.mean_layer, self.variance_layer, init)

    def forward(self, features: Float[Tensor, "batch *classes width"]) -> GaussianMixture:
        """Return the mixture of each image, computed in float32 also under autocast.

        Args:
            features: the encoder's pooled features, shape (batch, width); or (batch, classes,
                width) where each class has features of its own, off which its kernel is read. A
                variance that classes share is then read off the mean of their features.

        Returns:
            Mixtures whose coefficients are independent probabilities, with their logits. A shared
            variance is an expanded view.
        """
        logits = self.weight_logits(features)
        scaled = bring_to_length(features, self.feature_length)
        mean = apply_per_class(self.mean_layer, scaled)
        if self.variances < self.classes and scaled.ndim == 3:
            scaled = scaled.mean(dim=1)
        activation = apply_per_class(self.variance_layer, scaled)
        variance = functional.elu(activation) + (2.0 + self.epsilon)
        batch = features.shape[0]
        if self.covariance in ("diagonal", "shared_diagonal"):
            mean = mean.view(batch, self.classes, self.width)
            variance = variance.view(batch, self.variances, self.width)
        variance = variance.expand_as(mean)
        return GaussianMixture(functional.logsigmoid(logits), mean, variance, self.width, logits)

    def weight_logits(
        self, features: Float[Tensor, "batch *classes width"]
    ) -> Float[Tensor, "batch outputs"]:
        """Return only the log-odds of the coefficients: all that a deployed model needs."""
        check_features(features, self.width, self.classes)
        return apply_per_class(
            self.weight_layer, bring_to_length(features, self.logit_feature_length)
        )
