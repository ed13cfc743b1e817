"""Finds guidelines: packages with an entry point, and folders that a site names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from cds_service.errors import KnowledgeError
from cds_service.guideline.guideline import Guideline
from cds_service.guideline.toml_files import did_you_mean

GROUP = "cds_service.guidelines"
"""Entry points of this group are guidelines; an entry point's name is the guideline's id."""

_OBJECT = "GUIDELINE"
_FAULTS = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""Errors that importing a package may raise."""


def find(names: Iterable[str], folders: Iterable[Path] = ()) -> dict[str, Guideline[Any]]:
    """Return the guidelines of these names, in this order. Nothing else that is installed is imported.

    Args:
        names: ids of guidelines.
        folders: packages that need not be installed, each with GUIDELINE in its `__init__.py`; a folder's name, with
            `-` for `_`, is the guideline's id. A folder wins over an installed package of the same name.

    Raises:
        KnowledgeError: a guideline is missing or cannot be loaded; the message names it and the error.
    """
    known = {**_packages(), **_folders(folders)}
    found = {}
    for name in names:
        if name not in known:
            raise KnowledgeError(
                f"CDS_GUIDELINES: no guideline is called {name!r}{did_you_mean(name, tuple(known))}; "
                f"there are {', '.join(sorted(known))}"
            )
        try:
            guideline = known[name]()
        except _FAULTS as fault:
            raise KnowledgeError(f"guideline {name}: cannot be imported: {type(fault).__name__}: {fault}") from None
        if not isinstance(guideline, Guideline):
            raise KnowledgeError(f"guideline {name}: {_OBJECT} must be a cds_service.guideline.guideline.Guideline")
        found[name] = guideline
    return found


def _packages() -> Mapping[str, Callable[[], object]]:
    return {entry.name: entry.load for entry in entry_points(group=GROUP)}


def _folders(folders: Iterable[Path]) -> Mapping[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {}
    for folder in folders:
        if not (folder / "__init__.py").is_file():
            raise KnowledgeError(f"CDS_GUIDELINE_FOLDERS: {folder}: there is no __init__.py in it")
        found[folder.name.replace("_", "-")] = partial(_load, folder)
    return found


def _load(folder: Path) -> object:
    """Import a folder as the package of its name, and return its guideline."""
    spec = spec_from_file_location(folder.name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is no package")
    module = sys.modules[folder.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return getattr(module, _OBJECT)
    except _FAULTS:
        del sys.modules[folder.name]
        raise
