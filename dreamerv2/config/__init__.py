"""Configuration: YAML presets and command-line flags become one validated, frozen `Config`.

    config = load_config(['--configs', 'mario', 'debug', '--seed', '1'])
    config.rssm.deter, config['rssm.deter'], config.flat, config.to_dict()

No part of it imports TensorFlow, so that mistakes are reported at once.
"""

from dreamerv2.config.config import Config, Section, load_config, named_sets

__all__ = ['Config', 'Section', 'load_config', 'named_sets']
