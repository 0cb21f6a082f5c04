"""Milliseconds an update, by part and precision.

Each part is measured forward and backward by itself, as the update compiles it; imagination, with
the updates of actor and critic, as it is called. `rest` is what the update takes beyond its parts:
reward and discount heads, losses, the model's optimizer, and handing over the batch.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamerv2.config import load_config
from dreamerv2.run.devices import Device

from . import subject
from .children import called_in_child
from .options import Options
from .report import Report, Table
from .timing import spread, time_interleaved

WHOLE = 'whole update'
PLAIN = 'whole update, plain'


def update_call(agent: Any, batch: Mapping[str, Any]) -> Callable[[], float]:
    """A call that makes one update and waits for it."""
    state = None

    def call() -> float:
        nonlocal state
        state, metrics = agent.train(batch, state)
        return float(metrics['model_loss'])

    return call


def part_calls(agent: Any, batch: Mapping[str, Any], xla: bool) -> dict[str, Callable[[], Any]]:
    """For each part of an update, and last for the whole, a call that computes it."""
    import tensorflow as tf

    from dreamerv2.agent.calls import compiled

    model, learner = agent.world_model, agent.learner
    unused = ('level', 'is_last')
    data = {k: tf.convert_to_tensor(v) for k, v in batch.items() if k not in unused}
    lead = list(data['action'].shape[:2])
    start = model.rssm.initial(lead[0])
    seed = tf.constant([1, 2])

    def observe(embed, initial):
        noise = model.rssm.noise(lead, seed)
        return model.rssm.observe(embed, data['action'], data['is_first'], initial, noise)

    def gradient_norm(tape, outputs, sources):
        # The norm needs every gradient, so that none is optimised away.
        gradients = tape.gradient(outputs, sources, unconnected_gradients='zero')
        return tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in gradients])

    def squares(outputs):
        return tf.add_n([tf.reduce_sum(tf.square(tf.cast(x, tf.float32))) for x in outputs])

    def encoder(data):
        with tf.GradientTape() as tape:
            loss = squares([model.encoder(model.preprocess(data))])
        return gradient_norm(tape, loss, list(model.encoder.parameters().values()))

    def decoder(features, data):
        with tf.GradientTape() as tape:
            tape.watch(features)
            dists = model.decoder(features)
            targets = model.preprocess(data)
            loss = -tf.add_n([tf.reduce_mean(d.log_prob(targets[k])) for k, d in dists.items()])
        return gradient_norm(tape, loss, [features, *model.decoder.parameters().values()])

    def rssm(embed, initial):
        with tf.GradientTape() as tape:
            tape.watch(embed)
            posterior, prior = observe(embed, initial)
            loss = squares(tf.nest.flatten(posterior) + [prior[k] for k in prior if k != 'deter'])
        return gradient_norm(tape, loss, [embed, *model.rssm.parameters().values()])

    def imagination(posterior, data):
        rows, step = learner.rows_of(data), tf.constant(0, tf.int64)
        _, metrics = learner.update_behavior(posterior, rows, seed, step)
        return metrics['actor_loss'] + metrics['critic_loss']

    embed = compiled(lambda data: model.encoder(model.preprocess(data)), True)(data)
    posterior, _ = compiled(observe, True)(embed, start)
    features = model.rssm.features(posterior)
    bodies = {
        'encoder': (encoder, (data,)),
        'decoder': (decoder, (features, data)),
        'RSSM': (rssm, (embed, start)),
        'imagination, actor, critic': (imagination, (posterior, data)),
    }

    def caller(body, arguments):
        function = compiled(body, True, xla)
        return lambda: function(*arguments).numpy()

    calls = {name: caller(*body) for name, body in bodies.items()}
    return {**calls, WHOLE: update_call(agent, batch)}


def plain_update(flags: Sequence[str], batch: Mapping[str, Any]) -> Callable[[], float]:
    """An update by the plain formulas in float32; for a process of its own.

    Args:
        flags: for the configuration.
        batch: what to learn from.
    """
    subject.use_default_threads()
    config = load_config(list(flags)).update(subject.PLAIN)
    device = subject.configure(config, lambda line: None)
    agent = subject.make_agent(config, subject.find_spaces(config), device, device.precision)
    return update_call(agent, batch)


def precisions(device: Device, wanted: str = 'auto') -> list[str]:
    """What a learner is worth measuring in on a device, or only what was asked for.

    A processor without instructions for bfloat16 imitates it, far slower than float32.
    """
    if wanted != 'auto':
        return [wanted]
    if device.kind == 'gpu':
        return ['float32', 'bfloat16', 'float16']
    return list(dict.fromkeys(['float32', device.precision]))


def run(options: Options) -> Report:
    """Measures all parts in all precisions, in turn."""
    config = options.config
    device = subject.configure(config, options.say)
    spaces = subject.find_spaces(config)
    batch = subject.random_batch(spaces, config.dataset.batch, config.dataset.length)
    calls: dict[tuple[str, str], Callable[[], Any]] = {}
    formats = precisions(device, config.precision)
    for precision in formats:
        options.say(f'Compiling in {precision}.')
        agent = subject.make_agent(config, spaces, device, precision)
        parts = part_calls(agent, batch, xla=config.jit and device.kind == 'gpu')
        calls |= {(name, precision): call for name, call in parts.items()}
    notes = [
        options.spread_note,
        'A part by itself is forward and backward; imagination includes its updates.',
    ]
    with contextlib.ExitStack() as stack:
        if options.plain:
            options.say('Compiling the plain formulas.')
            child = called_in_child(plain_update, options.flags, batch)
            calls[PLAIN, 'float32'] = stack.enter_context(child)
        samples = time_interleaved(calls, options.repeat)
    rows: list[list[Any]] = []
    for (part, precision), seconds in samples.items():
        rows.append([part, precision, spread(1e3 * value for value in seconds)])
        if part == WHOLE:
            medians = [statistics.median(samples[name, precision]) for name in parts]
            rows.append(['rest', precision, 1e3 * (medians.pop() - sum(medians))])
    if options.plain:
        notes.append(
            'Plain: the formulas as they stand (`--kernels plain`), with '
            "TensorFlow's own choice of threads."
        )
        notes += [speedup(samples, precision) for precision in formats]
    size = f'{config.dataset.batch}x{config.dataset.length}'
    title = f'One update, batch {size}, on {device.kind.upper()}'
    return options.report([Table(title, ['part', 'precision', 'ms'], rows, notes)])


def speedup(samples: Mapping[tuple[str, str], list[float]], precision: str) -> str:
    """How many times as fast as the plain update, from the pairs measured one after the other."""
    pairs = zip(samples[PLAIN, 'float32'], samples[WHOLE, precision], strict=True)
    ratios = spread(plain / ours for plain, ours in pairs)
    return (
        f'In {precision} {ratios.median:.2f} ({ratios.low:.2f}-{ratios.high:.2f}) times as fast '
        'as plain in float32.'
    )
