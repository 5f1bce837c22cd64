"""Delever: a warehouse of crypto-derivatives stress. Start reading at ``definitions.py`` (pipeline) or ``cli.py`` (command line)."""
