"""Floating-point operations of the agent's mathematics, counted from the shapes of its kernels.

A multiply-add counts as two. Only matrix products and convolutions count, as the mathematics needs
them: what an implementation adds to them (padding, a regrouped kernel) lowers the share of the
limit that it reaches, and so do activations, normalisation, draws and optimizers.

Counted a row (one time step of one sequence), forward:

- a dense layer `[in, out]`: 2 in out
- a convolution `[k, k, in, out]`: 2 k k in out for each pixel of its output
- a transposed convolution `[k, k, out, in]`: 2 k k in out for each pixel of its input

Backward costs as much again for the gradient with respect to the kernels, and once more for that
with respect to the inputs, which a first layer behind data or a stopped gradient does not need.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

Shapes = Mapping[str, Sequence[int]]


def forward_flops(shapes: Shapes, image_side: int = 64) -> dict[str, float]:
    """Operations of one row, forward, for each layer by the name of its kernel.

    Args:
        shapes: shape of each parameter by its name (`encoder/conv0/kernel`).
        image_side: height and width of the images in pixels.
    """
    found = {}
    side = {'encoder': image_side, 'decoder': 1}
    for name in sorted(shapes, key=_order):
        shape = list(shapes[name])
        if not name.endswith('/kernel'):
            continue
        module = name.partition('/')[0]
        products = 2.0 * math.prod(shape)
        if len(shape) == 4 and module == 'encoder':
            side[module] = (side[module] - shape[0]) // 2 + 1
            products *= side[module] ** 2
        elif len(shape) == 4:
            products *= side[module] ** 2
            side[module] = 2 * (side[module] - 1) + shape[0]
        found[name] = products
    return found


def update_flops(
    shapes: Shapes,
    *,
    batch: int,
    length: int,
    horizon: int,
    image_side: int = 64,
    through_rollout: bool = False,
) -> dict[str, float]:
    """Operations of one update, by part.

    Args:
        shapes: shape of each parameter by its name.
        batch, length: sequences and their rows.
        horizon: imagined steps.
        image_side: height and width of the images in pixels.
        through_rollout: whether the actor's gradient flows through the imagined steps
            (`actor_grad` `dynamics` or `both`).

    Returns:
        `encoder`, `decoder`, `rssm`, `heads` (reward and discount) and `imagination` (with actor
        and critic), forward and backward; and `update`, their sum.
    """
    layers = forward_flops(shapes, image_side)
    rows = batch * length
    imagined, visited = rows * horizon, rows * (horizon + 1)

    def forward(*modules: str) -> float:
        return sum(value for name, value in layers.items() if name.startswith(modules))

    def trained(module: str) -> float:
        """Forward and backward where nothing before the module is trained."""
        return 3 * forward(module) - sum(
            value for name, value in layers.items() if name.startswith(module) and _is_first(name)
        )

    recurrent = ('rssm/img_', 'rssm/gru/')
    predicted = forward('reward/', 'discount/')
    judged = forward('critic/') + predicted
    rollout = imagined * (forward(*recurrent) + forward('actor/')) + visited * judged
    if through_rollout:  # Once more back to the states; the model's kernels stay as they are.
        rollout += imagined * (forward(*recurrent) + forward('actor/') * 2) + visited * judged
    learned = rows * ((horizon - 1) * trained('actor/') + horizon * trained('critic/'))
    parts = {
        'encoder': rows * trained('encoder/'),
        'decoder': rows * 3 * forward('decoder/'),
        'rssm': rows * 3 * forward('rssm/'),
        'heads': rows * 3 * predicted,
        'imagination': rollout + learned,
    }
    return {**parts, 'update': sum(parts.values())}


def policy_flops(shapes: Shapes, envs: int, image_side: int = 64) -> float:
    """Operations of choosing one action in each of `envs` environments."""
    used = ('encoder/', 'rssm/img_in/', 'rssm/gru/', 'rssm/obs_', 'actor/')
    layers = forward_flops(shapes, image_side)
    return envs * sum(value for name, value in layers.items() if name.startswith(used))


def _is_first(name: str) -> bool:
    return name.split('/')[1] in ('conv0', 'dense0')


def _order(name: str) -> tuple[str, int]:
    """Convolutions of a module in their order, also beyond the tenth."""
    digits = re.search(r'/conv(\d+)/', name)
    return name.partition('/')[0], int(digits.group(1)) if digits else -1
