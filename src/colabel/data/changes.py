"""What can be lost or guessed when an image is read, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Change:
    """One thing that reading does to images.

    Args:
        severity: "warning" where it is likely not what the owner of the images means.
        what: said of them, after "12 images".
        cost: what it means for the model.
        remedy: what to do.
    """

    severity: Literal["warning", "note"]
    what: str
    cost: str
    remedy: str


CHANGES: Mapping[str, Change] = {
    "dark": Change(
        "warning",
        "nearly black",
        "Contrast is lost before the model sees it. Scanners often store 12 bits, and satellites "
        "reflectances up to 10,000, in files made for 65,535.",
        "Set data.scale to the value that is to be white (colabel check names one to try), or "
        "export them with the display window applied.",
    ),
    "fourth channel": Change(
        "warning",
        "that are half-transparent nearly everywhere, laid over white",
        "If the fourth channel holds data, such as a fourth stain, it has faded the other three.",
        "If so, set data.alpha: ignore, which takes the first three as they are.",
    ),
    "invisible": Change(
        "warning",
        "that are wholly transparent; their colours were taken as they are",
        "Over white nothing would be left of them.",
        "Look at them; if their colours are meant, set data.alpha: ignore, else remove them.",
    ),
    "transparency": Change(
        "note",
        "with transparency, laid over white",
        "None, if the page below is meant to be white.",
        "Nothing to do; or set data.alpha: ignore to take the colours below as they are.",
    ),
    "more channels": Change(
        "warning",
        "with more channels than red, green and blue, which were left out",
        "The model does not see what they hold.",
        "If others matter more, name three: data.bands: [4, 3, 2].",
    ),
    "pages": Change(
        "warning",
        "of several pages or frames, of which only the first was taken",
        "The model does not see the others, which the labels may be about.",
        "Export the page that the labels describe as a file of its own.",
    ),
    "cut off": Change(
        "warning",
        "with more than 1 % of the values above data.scale",
        "These are all white, and what they differ in is lost.",
        "Set data.scale higher.",
    ),
    "not numbers": Change(
        "warning",
        "with values that are no numbers (NaN or infinite), taken as 0",
        "They look like black.",
        "Fill in what they should be.",
    ),
    "no window": Change(
        "warning",
        "without a display window (DICOM), stretched over the range of their bits",
        "They are mostly grey or black, with little contrast.",
        "Set data.scale, or export them with the window applied.",
    ),
    "16 bits": Change(
        "note",
        "of more than 8 bits, brought to 8 by the full range: 65535 is white",
        "None, if they use that range.",
        "If their white is another value, set data.scale to it.",
    ),
    "cmyk": Change(
        "note",
        "in CMYK, converted to RGB without a colour profile",
        "Colours are brighter than in print, in all images alike.",
        "Export them as RGB if exact colours matter.",
    ),
    "profile": Change(
        "note",
        "with a colour profile other than sRGB, which is not applied",
        "Their colours are a little off, compared with images of other profiles.",
        "Export them as sRGB if colours matter.",
    ),
}
"""A description per key, the worst first."""
