"""Code from a file as a module: what newel reads has to have a source."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["imported"]


def imported(file: Path) -> ModuleType:
    """Import a file under its own name; whoever asks takes it out of `sys.modules` again."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module
