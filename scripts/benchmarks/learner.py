"""Milliseconds an update, by part and precision, and what share of the limit each reaches.

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

from . import ceiling, flops, subject
from .children import called_in_child
from .options import Options
from .report import Report, Table
from .timing import spread, time_interleaved

PARTS = ('encoder', 'decoder', 'rssm', 'imagination', 'update')
TITLES = {
    'rssm': 'RSSM',
    'imagination': 'imagination, actor, critic',
    'update': 'whole update',
}


def update_call(agent: Any, batch: Mapping[str, Any]) -> Callable[[], float]:
    """A call that makes one update and waits for it."""
    state = None

    def call() -> float:
        nonlocal state
        state, metrics = agent.train(batch, state)
        return float(metrics['model_loss'])

    return call


def part_calls(agent: Any, batch: Mapping[str, Any], xla: bool) -> dict[str, Callable[[], Any]]:
    """For each of `PARTS` a call that computes it and waits for it."""
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

    def imagination(posterior, is_terminal, mask):
        step = tf.constant(0, tf.int64)
        _, metrics = learner.update_behavior(posterior, is_terminal, mask, seed, step)
        return metrics['actor_loss'] + metrics['critic_loss']

    embed = compiled(lambda data: model.encoder(model.preprocess(data)), True)(data)
    posterior, _ = compiled(observe, True)(embed, start)
    features = model.rssm.features(posterior)
    bodies = {
        'encoder': (encoder, (data,)),
        'decoder': (decoder, (features, data)),
        'rssm': (rssm, (embed, start)),
        'imagination': (imagination, (posterior, data['is_terminal'], data['mask'])),
    }

    def caller(body, arguments):
        function = compiled(body, True, xla)
        return lambda: function(*arguments).numpy()

    calls = {name: caller(*body) for name, body in bodies.items()}
    return {**calls, 'update': update_call(agent, batch)}


def part_flops(config: Any, spaces: subject.Spaces, agent: Any) -> dict[str, float]:
    """Operations of each part of one update."""
    differentiable = agent.actor_critic.actor_grad != 'reinforce'
    return flops.update_flops(
        subject.kernel_shapes(agent),
        batch=config.dataset.batch,
        length=config.dataset.length,
        horizon=config.imag_horizon,
        image_side=spaces.image_side,
        through_rollout=differentiable,
    )


def plain_update(flags: Sequence[str], batch: Mapping[str, Any]) -> Callable[[], float]:
    """An update by the plain formulas in float32; for a process of its own.

    Args:
        flags: for the configuration.
        batch: what to learn from.
    """
    config = subject.plainly(load_config(list(flags)))
    device = subject.configure(config, lambda line: None)
    agent = subject.make_agent(config, subject.find_spaces(config), device, device.precision)
    return update_call(agent, batch)


def run(options: Options) -> Report:
    """Measures all parts in all precisions, and the limits, in turn."""
    config = options.config
    device = subject.configure(config, options.say)
    spaces = subject.find_spaces(config)
    batch = subject.random_batch(spaces, config.dataset.batch, config.dataset.length)
    calls: dict[str, Callable[[], Any]] = {}
    formats = ceiling.precisions(device, config.precision)
    for precision in formats:
        options.say(f'Compiling in {precision}.')
        agent = subject.make_agent(config, spaces, device, precision)
        counts = part_flops(config, spaces, agent)
        calls[f'limit {precision}'] = ceiling.matrix_product(precision, device.branches)
        parts = part_calls(agent, batch, xla=config.jit and device.kind == 'gpu')
        calls |= {f'{name} {precision}': call for name, call in parts.items()}
    with contextlib.ExitStack() as stack:
        if options.plain:
            options.say('Compiling the plain formulas.')
            child = called_in_child(plain_update, options.flags, batch)
            calls['plain float32'] = stack.enter_context(child)
            limit = ceiling.matrix_product('float32', device.branches)
            calls.setdefault('limit float32', limit)
        samples = time_interleaved(calls, options.repeat)
    rows: list[list[Any]] = []
    for precision in formats:
        rows += rows_of(precision, samples, counts)
    if device.kind != 'gpu':
        rows.append(['GPU', '', 'not measured: no GPU', None, None, None])
    notes = [
        options.spread_note,
        'A part by itself is forward and backward; imagination includes its updates.',
        'Share: of the rate of a 4096-cube matrix product in the same precision and run.',
    ]
    if options.plain:
        limit = ceiling.matrix_flops() / statistics.median(samples['limit float32'])
        title = 'whole update, plain'
        rows.append(row_of(title, 'float32', samples['plain float32'], counts['update'], limit))
        notes += [
            'Plain: the formulas as they stand (`--kernels plain`), with '
            "TensorFlow's own choice of threads.",
            *(speedup(samples, precision) for precision in formats),
        ]
    columns = ['part', 'precision', 'ms', 'GFLOP', 'TFLOP/s', 'share of limit (%)']
    size = f'{config.dataset.batch}x{config.dataset.length}'
    title = f'One update, batch {size}, on {device.kind.upper()}'
    data = {'samples_ms': {k: [1e3 * s for s in v] for k, v in samples.items()}}
    return options.report([Table(title, columns, rows, notes)], **data)


def speedup(samples: Mapping[str, list[float]], precision: str) -> str:
    """How many times as fast as the plain update, from the pairs measured one after the other."""
    pairs = zip(samples['plain float32'], samples[f'update {precision}'], strict=True)
    ratios = spread(plain / ours for plain, ours in pairs)
    return (
        f'In {precision} {ratios.median:.2f} ({ratios.low:.2f}-{ratios.high:.2f}) times as fast '
        'as plain in float32.'
    )


def row_of(
    title: str, precision: str, seconds: list[float], count: float, limit: float
) -> list[Any]:
    """A row: times of a call, its operations, their rate, and its share of the limit."""
    rate = count / statistics.median(seconds)
    times = spread(1e3 * value for value in seconds)
    return [title, precision, times, count / 1e9, rate / 1e12, 100 * rate / limit]


def rows_of(
    precision: str, samples: Mapping[str, list[float]], counts: Mapping[str, float]
) -> list[list[Any]]:
    """The rows of one precision.

    Args:
        precision: number format.
        samples: seconds a call for `PART PRECISION` and `limit PRECISION`.
        counts: operations of each part.
    """
    limit = ceiling.matrix_flops() / statistics.median(samples[f'limit {precision}'])
    rows = [
        row_of(
            TITLES.get(part, part), precision, samples[f'{part} {precision}'], counts[part], limit
        )
        for part in PARTS
    ]
    medians = {part: statistics.median(samples[f'{part} {precision}']) for part in PARTS}
    rest = medians['update'] - sum(medians[part] for part in PARTS[:-1])
    work = counts['update'] - sum(counts[part] for part in PARTS[:-1])
    rows.append(['rest', precision, 1e3 * rest, work / 1e9, None, None])
    product = samples[f'limit {precision}']
    rows.append(row_of('matrix product', precision, product, ceiling.matrix_flops(), limit))
    return rows
