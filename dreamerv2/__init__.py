"""DreamerV2 for multi-task world models on Super Mario Bros levels."""

__version__ = '0.1.0'
