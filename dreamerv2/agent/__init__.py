"""DreamerV2's agent: world model, actor-critic, learner."""

from dreamerv2.agent.agent import Agent

__all__ = ['Agent']
