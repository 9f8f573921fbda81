"""Keywheel, deployed on this machine: a local AWS, an emulated Entra, and the stack of infra/template.yaml."""

from .settings import ROOT, Settings
from .stack import Stack

__all__ = ["ROOT", "Settings", "Stack"]
