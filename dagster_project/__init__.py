"""Delever: a warehouse of crypto-derivatives stress. Start at ``definitions.py`` (pipeline) or ``cli.py`` (commands)."""
