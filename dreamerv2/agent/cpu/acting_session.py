"""The policy in the thread that asks for it.

A compiled function is computed by TensorFlow's pool of threads: beside a learner each call lines up
behind the learner's operations. A session may compute in the calling thread, and calling it costs
less, which counts where a call is short: one environment and a small network. Where environments
are enough for the encoder to have branches, it has threads of its own for them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from dreamerv2.agent.acting import Acting, ActState
from dreamerv2.nets.cpu.kernels import LEAST_IMAGES
from dreamerv2.nets.layers import Layer

Call = Callable[..., list[np.ndarray]]


class ActingSession:
    """Acts, on a processor, with a copy of the weights that `sync` renews.

    The copy holds kernels and biases in the type that their layers compute in: with few
    environments, casting them in each call takes as long as the rest of it.

    Args:
        acting: what acts, with the weights that learn.
        traced: called with each function before it becomes a graph; returns it.
    """

    def __init__(self, acting: Acting, traced: Callable[[Callable], Callable]):
        self._traced = traced
        modules = {id(module): module for module in acting.modules.values()}.values()  # Each once.
        layers = [x for module in modules for x in module.submodules if isinstance(x, Layer)]
        types = {id(x): layer.dtype for layer in layers for x in (layer.kernel, layer.bias)}
        self._learned = [v for module in modules for v in module.parameters().values()]
        self._graph = tf.Graph()
        with self._graph.as_default():
            copies = [
                tf.Variable(tf.zeros(v.shape, types.get(id(v), v.dtype))) for v in self._learned
            ]
            instead = dict(zip(map(id, self._learned), copies, strict=True))
            self._acting = copy.copy(acting)
            self._acting.modules = {
                name: copy.deepcopy(module, instead) for name, module in acting.modules.items()
            }
            values = [_placeholder(variable) for variable in self._learned]
            renewed = tf.group(
                *(v.assign(tf.cast(new, v.dtype)) for v, new in zip(copies, values, strict=True))
            )
        threads = tf.config.threading
        options = tf.compat.v1.ConfigProto(
            device_count={'GPU': 0},
            intra_op_parallelism_threads=threads.get_intra_op_parallelism_threads(),
            inter_op_parallelism_threads=threads.get_inter_op_parallelism_threads(),
        )
        self._session = tf.compat.v1.Session(graph=self._graph, config=options)
        self._renew = self._callable(values, [], [renewed])
        self._calls: dict[tuple, Call] = {}
        self.sync()

    def sync(self):
        """Takes over the newest weights."""
        read = tf.raw_ops.ReadVariableOp  # A quarter of what `read_value` takes.
        self._renew(*(np.asarray(read(resource=v.handle, dtype=v.dtype)) for v in self._learned))

    def act(
        self, mode: str, obs: Mapping[str, np.ndarray], state: ActState, seed: np.ndarray
    ) -> tuple[np.ndarray, ActState]:
        """Actions and state as arrays; args as those of `Acting.function(mode)`."""
        latent, action = state
        seen, names = sorted(obs), sorted(latent)
        given = [*(obs[key] for key in seen), *(latent[key] for key in names), action, seed]
        given = list(map(np.asarray, given))
        key = mode, *((value.shape, value.dtype) for value in given)
        if key not in self._calls:
            self._calls[key] = self._place(mode, seen, names, given)
        action, *values = self._calls[key](*given)
        return action, (dict(zip(names, values, strict=True)), action)

    def _place(self, mode: str, seen: list[str], names: list[str], given: list) -> Call:
        """Puts a function of inputs like those given into the graph."""
        with self._graph.as_default():
            inputs = [_placeholder(value) for value in given]
            *rest, action, seed = inputs
            obs = dict(zip(seen, rest, strict=False))
            latent = dict(zip(names, rest[len(seen) :], strict=True))
            function = self._traced(self._acting.function(mode))
            action, (latent, _) = function(obs, (latent, action), seed)
        split = len(given[-2]) >= 2 * LEAST_IMAGES  # Actions: one for each environment.
        return self._callable(inputs, [action, *(latent[name] for name in names)], split=split)

    def _callable(self, inputs: list, results: list, also: Sequence = (), split=False) -> Call:
        """A call of the graph; in threads of the session's own where its operations are `split`."""
        options = config_pb2.CallableOptions(
            feed=[x.name for x in inputs],
            fetch=[x.name for x in results],
            target=[operation.name for operation in also],
        )
        options.run_options.inter_op_thread_pool = 0 if split else -1  # -1: the caller's thread.
        # Not public; the public `make_callable` takes as long again as the policy's computation.
        return self._session._make_callable_from_options(options)


def _placeholder(like: tf.Variable | np.ndarray) -> tf.Tensor:
    return tf.compat.v1.placeholder(tf.as_dtype(like.dtype), like.shape)
