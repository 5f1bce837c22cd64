"""The two consoles of the command line, and what its modules ask of a path."""

import os
import sys
from pathlib import Path

import click
from rich.console import Console

PIPED_WIDTH = 160
"""Columns where the output is no terminal and nothing says how wide it is: tables are not to lose text in a file."""

_WIDTH = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH
OUT = Console(width=_WIDTH)
ERR = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
