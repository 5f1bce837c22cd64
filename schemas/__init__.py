"""What tables must look like: pandera models by layer, and the publish gate under ``expectations/``."""
