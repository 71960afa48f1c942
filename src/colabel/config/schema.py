"""What a recipe may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import yaml
from pydantic import Field

from colabel.methods.kmcl import KMCL
from colabel.methods.linear import ASL, BCE
from colabel.methods.probmcl import ProbMCL
from colabel.settings import Settings
from colabel.settings.data import Augmentation, Data
from colabel.settings.encoder import EncoderSettings
from colabel.settings.training import Evaluation, Training

Method = Annotated[KMCL | ProbMCL | ASL | BCE, Field(discriminator="name")]

METHODS: Mapping[str, type[Settings]] = {
    "kmcl": KMCL,
    "probmcl": ProbMCL,
    "asl": ASL,
    "bce": BCE,
}
"""Settings of each ``method.name``."""


class Published(Settings):
    """The number a recipe is meant to reproduce, and whether anybody has tried."""

    metric: str
    value: float
    """In the unit of the source, per cent."""
    source: str
    run: Literal["no", "yes"]
    """Whether this recipe has been run to its end on that data with this software."""
    note: str = ""


class Config(Settings):
    """A complete recipe."""

    description: str = ""
    published: Published | None = None
    method: Method = KMCL()
    data: Data = Data()
    augmentation: Augmentation = Augmentation()
    encoder: EncoderSettings = EncoderSettings()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    def to_yaml(self) -> str:
        """Return every setting, defaults included, as YAML that :func:`load_config` reads."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, width=99)
        return text
