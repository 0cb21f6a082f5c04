"""What the agent acts in. Importing this package imports neither TensorFlow nor an emulator."""

from dreamerv2.envs.factory import make_env, wrap_env
from dreamerv2.envs.tasks import check_task, parse_task

__all__ = ['check_task', 'make_env', 'parse_task', 'wrap_env']
