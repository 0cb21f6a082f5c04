"""Updates of which one half is computed beside the other half of the next.

Actor and critic learn from what the world model made of a batch, and the world model's update on
the next batch needs nothing of theirs. As two branches of one graph they use two cores where one
after the other is bound to one: at small sizes an operation is too short to be shared among cores.

The mathematics stay those of `Learner.update`. TensorFlow keeps the order of reading and writing
variables, so actor and critic imagine with the world model of their own update, not the next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from dreamerv2.agent.learner import Learner, PendingUpdate, Tensors
from dreamerv2.nets.rssm import State


class Overlap:
    """Makes a learner's updates, each completed by the call after it.

    Args:
        learner: what computes the halves.
        compile_function: makes a graph of a function.
    """

    def __init__(self, learner: Learner, compile_function: Callable[[Callable], Callable]):
        self._learner = learner
        self._both = compile_function(self._complete_and_begin)
        self._pending: tuple[PendingUpdate, Tensors] | None = None
        self._arguments: tuple = ()

    @property
    def pending(self) -> bool:
        """Whether an update waits for its second half."""
        return self._pending is not None

    def update(
        self, data: Tensors, state: State, seed: tf.Tensor, step: tf.Tensor
    ) -> tuple[State, Tensors | None]:
        """Completes the update before and begins one; args as those of `Learner.update`.

        Returns the latent state behind the last row, and the metrics of the update that was
        completed, None at the first.
        """
        self._arguments = arguments = data, state, seed, step
        completed = None
        if self._pending is None:  # What is completed is nothing: its effect is undone.
            blank = _blank(self._learner, *arguments)
            with _unchanged(self._learner.halves()[1]):
                state, pending, metrics, _ = self._both(blank, *arguments)
        else:
            before, known = self._pending
            state, pending, metrics, more = self._both(before, *arguments)
            completed = {**known, **more}
        self._pending = pending, metrics
        return state, completed

    def finish(self) -> Tensors | None:
        """Completes the last update; its metrics, or None where there is nothing to complete.

        Costs about one more update: half of what is computed here is thrown away, and half of what
        the next `update` computes, which has nothing to complete.
        """
        if self._pending is None:
            return None
        (pending, metrics), self._pending = self._pending, None
        with _unchanged(self._learner.halves()[0]):
            *_, more = self._both(pending, *self._arguments)
        return {**metrics, **more}

    def _complete_and_begin(
        self, pending: PendingUpdate, *arguments: Any
    ) -> tuple[State, PendingUpdate, Tensors, Tensors]:
        behavior = self._learner.complete(pending)
        return *self._learner.begin(*arguments), behavior


@contextlib.contextmanager
def _unchanged(variables: Sequence[tf.Variable]) -> Iterator[None]:
    """Puts back what the variables held: one graph serves also where only a half is wanted."""
    values = [variable.read_value() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _blank(
    learner: Learner, data: Tensors, state: State, seed: tf.Tensor, step: tf.Tensor
) -> PendingUpdate:
    """Something to complete, of the right shapes, where no update is pending."""
    lead = data['is_terminal'].shape
    start = {k: tf.zeros([*lead, *v.shape[1:]], v.dtype) for k, v in state.items()}
    return PendingUpdate(start, learner.rows_of(data), seed, step, tf.constant(True))
