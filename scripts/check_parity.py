"""Compares the agent with recorded outputs of the original DreamerV2.

    python scripts/check_parity.py FILE.npz [plain|cpu]

A file holds a configuration, a batch, weights, and under `out/` what the original computed from
them in float32 with the mode instead of every random draw. Prints one row for each `out/` entry and
exits with 0 if all agree, 1 if any does not, 2 if the file is invalid. The format is described
in `tests/reference/README.md`. The kernels default to those of `--kernels auto`: cpu on a CPU,
plain on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import types
from collections.abc import Sequence
from typing import Any

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import tensorflow as tf

from dreamerv2.agent import Agent
from dreamerv2.agent.returns import lambda_return
from dreamerv2.cli import Parser, exit_code_of
from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.nets.cpu import make_kernels
from dreamerv2.nets.layers import Kernels

RELATIVE, ABSOLUTE, GRADIENT, WEIGHT = 1e-4, 1e-5, 1e-3, 1e-6
# In addition to the elementwise tolerances, the error of an array is at most this fraction of its
# norm; otherwise small values would agree with anything.
NORM = 1e-2
BOOKKEEPING = ('action', 'reward', 'is_first', 'is_last', 'is_terminal')


def read_file(path: str) -> dict[str, np.ndarray]:
    """Arrays of the file by name; raises UsageError where it is not a parity file."""
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        config = json.loads(bytes(arrays['config']).decode())
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f'{path} is not a parity file ({error}): expected an .npz with config, data/*, '
            'weights/* and out/*, such as tests/reference/dreamerv2_parity.npz.'
        ) from error
    return {**arrays, 'config': config}


def group(arrays: dict[str, Any], prefix: str) -> dict[str, np.ndarray]:
    """Entries that start with `prefix`, without it."""
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}


def make_agent(arrays: dict[str, Any], kernels: Kernels) -> Agent:
    """Agent of the file's configuration and sizes, with its weights."""
    config, data = dict(arrays['config']), group(arrays, 'data/')
    seen = {k: v for k, v in data.items() if k not in BOOKKEEPING}
    shapes = {k: types.SimpleNamespace(shape=v.shape[2:]) for k, v in seen.items()}
    size = data['action'].shape[-1]
    continuous = 'weights/actor/std/kernel' in arrays or not is_one_hot(data['action'])
    act_space = types.SimpleNamespace(shape=(size,))
    if not continuous:
        act_space.n = size
    # What the file does not tell is as the original's defaults have it.
    config = {**load_config().to_dict(), 'eval_state_mean': True, **config}
    config = {**config, 'jit': True, 'init': {'freeze': ''}}
    agent = Agent(shapes, act_space, config, seed=0, precision='float32', kernels=kernels)
    assign(agent.parameters(), group(arrays, 'weights/'))
    return agent


def is_one_hot(action: np.ndarray) -> bool:
    return bool(np.isin(action, (0, 1)).all() and (action.sum(-1) <= 1).all())


def match_names(names: list[str], parameters: list[str]) -> dict[str, str]:
    """The name of our parameter for each of the file's weights.

    Most are the same. Normalisation layers may be called `conv0_norm`, `convnorm0` or `norm0` in a
    file, and their weights `gamma` and `beta`: these are matched by module, number and kind.

    Args:
        names: the file's weights.
        parameters: ours.

    Returns:
        The file's name to ours; names without a match map to themselves.
    """
    found = {name: name for name in names if name in parameters}
    free = [name for name in parameters if name not in found]
    for name in names:
        if name in found:
            continue
        wanted = traits(name)
        matches = [other for other in free if traits(other) == wanted]
        if not matches:  # Without a kind in the name it may be either.
            matches = [other for other in free if traits(other)[:3] == wanted[:3]]
        found[name] = matches[0] if wanted[1] and matches else name
        free = [other for other in free if other != found[name]]
    return found


def traits(name: str) -> tuple[str, str, str, str]:
    """Module, weight of a normalisation (or nothing), place in the module, and kind of layer."""
    module, *rest = name.split('/')
    leaf = {'gamma': 'scale', 'beta': 'offset'}.get(rest[-1], rest[-1])
    layer = '/'.join(rest[:-1])
    kind = 'conv' if 'conv' in layer else 'dense' if 'dense' in layer else ''
    place = re.sub(r'norm|conv|dense|layer|_0$|_', '', layer)
    return module, leaf if leaf in ('scale', 'offset') else '', place, kind


def assign(parameters: dict[str, tf.Variable], weights: dict[str, np.ndarray]):
    """Sets all parameters; raises UsageError naming those that do not fit."""
    names = match_names(list(weights), list(parameters))
    given = {names[name]: value for name, value in weights.items()}
    missing = sorted(set(parameters) - set(given))
    extra = sorted(set(given) - set(parameters))
    differ = [n for n in set(given) & set(parameters) if given[n].shape != parameters[n].shape]
    if missing or extra or differ:
        raise UsageError(
            f'The weights do not fit the configuration: missing {missing}, extra {extra}, of '
            f'another shape {sorted(differ)}.'
        )
    for name, variable in parameters.items():
        variable.assign(given[name])


def world_model_outputs(agent: Agent, data, state) -> dict[str, tf.Tensor]:
    """Everything under `out/wm/`, and the posterior under `start`."""
    model = agent.world_model
    variables = model.parameters()
    with tf.GradientTape() as tape:
        loss, outputs, metrics = model.loss(data, state, None)
    gradients = tape.gradient(loss, list(variables.values()), unconnected_gradients='zero')
    found = {f'loss/{k}': v for k, v in metrics.items()}
    found['loss/total'] = loss
    for name, key in (('post', 'posterior'), ('prior', 'prior'), ('last_state', 'last_state')):
        found.update({f'{name}/{k}': v for k, v in outputs[key].items()})
    found.update(embed=outputs['embed'], feat=outputs['features'], kl=outputs['kl'])
    means = {key: dist.mean() for key, dist in outputs['dists'].items()}
    for key in ('reward', 'discount'):
        if key in means:
            found[f'{key}_mean'] = means.pop(key)
    found.update({f'recon/{key}': value for key, value in means.items()})
    if len(means) == 1:
        found['recon'] = next(iter(means.values()))
    found.update({f'grad/{k}': g for k, g in zip(variables, gradients, strict=True)})
    found['grad_norm'] = tf.linalg.global_norm(gradients)
    return {'out': found, 'start': outputs['posterior']}


def behavior_outputs(agent: Agent, start, data) -> dict[str, tf.Tensor]:
    """Everything under `out/ac/`."""
    behavior, learner = agent.actor_critic, agent.learner
    heads = {'actor': behavior.actor.parameters(), 'critic': behavior.critic.parameters()}
    mask, step = tf.cast(data['mask'], tf.float32), tf.constant(0, tf.int64)
    with tf.GradientTape(persistent=True) as tape:
        sequence, target, rows, _ = learner.imagine(start, data['is_terminal'], mask, None, True)
        actor_loss, metrics = behavior.actor_loss(sequence, target, rows, step)
        critic_loss, _ = behavior.critic_loss(sequence, target, rows)
    found = {f'seq/{k}': v for k, v in sequence.items() if k != 'slow_value'}
    found.update(target=target, slow_value=sequence['slow_value'])
    found.update(actor_loss=actor_loss, critic_loss=critic_loss)
    found['actor_entropy'] = metrics['actor_ent']
    for name, loss in (('actor', actor_loss), ('critic', critic_loss)):
        gradients = tape.gradient(loss, list(heads[name].values()), unconnected_gradients='zero')
        pairs = zip(heads[name], gradients, strict=True)
        found.update({f'grad/{name}/{k}': gradient for k, gradient in pairs})
        found[f'{name}_grad_norm'] = tf.linalg.global_norm(gradients)
    return found


def training_outputs(agent: Agent, data, state, steps: int) -> dict[str, np.ndarray]:
    """Everything under `out/step1/` and so on: metrics and weights after each update."""
    step = tf.constant(0, tf.int64)
    update = tf.function(lambda data, state: agent.learner.update(data, state, None, step))
    found = {}
    for index in range(1, steps + 1):
        state, metrics = update(data, state)
        found.update({f'step{index}/metrics/{k}': v for k, v in metrics.items()})
        weights = {k: v.numpy() for k, v in agent.parameters().items()}
        found.update({f'step{index}/weights/{k}': v for k, v in weights.items()})
    return found


def lambda_return_outputs(recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Everything under `out/lambda_return/out/`, from the inputs stored with it."""
    names = ('reward', 'value', 'discount', 'bootstrap')
    inputs = [tf.constant(recorded[f'in/{name}']) for name in names]
    lambdas = [key[len('out/') :] for key in recorded if key.startswith('out/')]
    return {f'out/{text}': lambda_return(*inputs, float(text)) for text in lambdas}


def compute(arrays: dict[str, Any], kernels: Kernels) -> dict[str, np.ndarray]:
    """Our value for every entry under `out/` that can be computed."""
    agent = make_agent(arrays, kernels)
    data = {k: tf.constant(v) for k, v in group(arrays, 'data/').items()}
    data['mask'] = tf.ones(data['reward'].shape)
    state = agent.world_model.rssm.initial(data['reward'].shape[0])
    found = {}
    result = tf.function(lambda: world_model_outputs(agent, data, state))()
    found.update({f'wm/{k}': v for k, v in result['out'].items()})
    magnitude = agent.actor_critic.reward_norm.magnitude
    behavior = tf.function(lambda: behavior_outputs(agent, result['start'], data))()
    found.update({f'ac/{k}': v for k, v in behavior.items()})
    magnitude.assign(1.0)  # The recorded training steps start with a fresh reward scale.
    steps = [int(m.group(1)) for m in (re.match(r'out/step(\d+)/', k) for k in arrays) if m]
    found.update(training_outputs(agent, data, state, max(steps, default=0)))
    recorded = group(arrays, 'out/lambda_return/')
    if recorded:
        returns = lambda_return_outputs(recorded)
        found.update({f'lambda_return/{k}': v for k, v in returns.items()})
    names = match_names(list(group(arrays, 'weights/')), list(agent.parameters()))
    found.update(under_their_names(found, {ours: theirs for theirs, ours in names.items()}))
    return {f'out/{key}': np.asarray(value) for key, value in found.items()}


def under_their_names(found: dict[str, Any], theirs: dict[str, str]) -> dict[str, Any]:
    """Gradients and weights under the file's names of the parameters."""
    renamed = {}
    for key, value in found.items():
        match = re.fullmatch(r'((?:wm|ac)/grad/|step\d+/weights/)(.*)', key)
        if match:
            renamed[match.group(1) + theirs.get(match.group(2), match.group(2))] = value
    return renamed


def compare(key: str, ours: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Error and tolerance of one quantity; it agrees where the error is not above the tolerance."""
    ours, reference = ours.astype(np.float64), reference.astype(np.float64)
    if ours.shape != reference.shape:
        return float('inf'), 0.0
    difference = np.abs(ours - reference)
    norm = np.linalg.norm(reference)
    share = np.linalg.norm(difference) / norm if norm > 0 else 0.0
    if '/grad/' in key:
        return (share if norm > 0 else float(difference.max())), GRADIENT
    if '/weights/' in key:
        error, tolerance = float(difference.max()), WEIGHT
    else:
        excess = difference / (ABSOLUTE / RELATIVE + np.abs(reference))
        error, tolerance = float(excess.max()), RELATIVE
    return (max(error, share * tolerance / NORM), tolerance)


def table(arrays: dict[str, Any], found: dict[str, np.ndarray]) -> list[tuple[str, float, float]]:
    """Rows (quantity, error, tolerance), one for each `out/` key of the file."""
    rows = []
    for key, reference in arrays.items():
        if not key.startswith('out/') or key.startswith('out/lambda_return/in/'):
            continue
        ours = found.get(key)
        rows.append((key, *(compare(key, ours, reference) if ours is not None else (np.inf, 0.0))))
    returns = [row for row in rows if row[0].startswith('out/lambda_return/')]
    for key in arrays:
        if key.startswith('out/lambda_return/in/'):  # As wrong as what is computed from it.
            worst = max(returns, key=lambda row: row[1], default=('', np.inf, 0.0))
            rows.append((key, *worst[1:]))
    return rows


def run(argv: Sequence[str]) -> int:
    """Compares and prints; returns 1 where a quantity differs. Raises UsageError for bad input."""
    parser = Parser(
        prog='check_parity.py',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('file', metavar='FILE.npz')
    parser.add_argument('kernels', nargs='?', choices=('plain', 'cpu'), help='default: as above')
    args = parser.parse_args(argv)
    chosen = args.kernels or ('plain' if tf.config.list_physical_devices('GPU') else 'cpu')
    arrays = read_file(args.file)
    try:
        rows = table(arrays, compute(arrays, make_kernels(chosen)))
    except ValueError as error:
        raise UsageError(f'{args.file}: {error}') from error
    width = max(len(row[0]) for row in rows)
    print(f'{"quantity":<{width}}  {"error":>9}  {"tolerance":>9}')
    wrong = []
    for key, error, tolerance in rows:
        agrees = error <= tolerance
        row = f'{key:<{width}}  {error:9.2e}  {tolerance:9.2e}'
        print(row if agrees else f'{row}  DIFFERS')
        if not agrees:
            wrong.append(key)
    print(f'{len(rows) - len(wrong)} of {len(rows)} quantities agree.')
    return 1 if wrong else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
