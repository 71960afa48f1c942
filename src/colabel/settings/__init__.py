"""The groups of settings a recipe is made of; free of torch."""

from colabel.settings.base import Settings
from colabel.settings.data import Augmentation, Data
from colabel.settings.encoder import PRETRAINED, EncoderSettings
from colabel.settings.training import Evaluation, Training

__all__ = [
    "PRETRAINED",
    "Augmentation",
    "Data",
    "EncoderSettings",
    "Evaluation",
    "Settings",
    "Training",
]
