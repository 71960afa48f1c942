"""Published weights that are on this machine already."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from huggingface_hub import try_to_load_from_cache

_HUB_NAMES = ("model.safetensors", "pytorch_model.bin")


def weights_at_hand(name: str) -> Path | None:
    """Return the file with timm's published weights of a backbone, if it was fetched before.

    The network is not asked.

    Args:
        name: name in timm.

    Returns:
        A file in the cache of the Hugging Face hub or of torch, or ``None``.

    Example:
        >>> weights_at_hand("test_efficientnet.never_published") is None
        True
    """
    try:
        published = timm.get_pretrained_cfg(name)
    except (RuntimeError, ValueError, KeyError):
        return None
    if published is None:
        return None
    if published.hf_hub_id:
        names = (published.hf_hub_filename,) if published.hf_hub_filename else _HUB_NAMES
        for file in names:
            found = try_to_load_from_cache(published.hf_hub_id, file)
            if isinstance(found, str):
                return Path(found)
    if isinstance(published.url, str) and published.url:
        file = Path(urlparse(published.url).path).name
        fetched = Path(torch.hub.get_dir()) / "checkpoints" / file
        if fetched.is_file():
            return fetched
    return None
