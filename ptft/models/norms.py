"""Layer norm or root-mean-square norm, as a style asks for."""

from torch import nn

from ptft.models.config import Style


def make_norm(style: Style, width: int) -> nn.Module:
    """Return the norm of a style over the last axis, of `width` entries."""
    if style.norm == "rms":
        return nn.RMSNorm(width, eps=style.norm_eps)
    return nn.LayerNorm(width, eps=style.norm_eps, bias=style.bias)
