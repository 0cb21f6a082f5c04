"""Every key of the configuration: its kind of value, its help, what a resume may do with it.

The values themselves stand in `configs.yaml`; a key is valid when it stands in both.
"""

from __future__ import annotations

import dataclasses

from dreamerv2.config.kinds import (
    BOOLEAN,
    CLASSES,
    PATTERN,
    Kind,
    button_sets,
    choice,
    extended,
    number,
    schedule,
    several,
    text,
    whole,
)

ACTIVATIONS = (
    'elu', 'relu', 'relu6', 'selu', 'gelu', 'silu', 'swish', 'leaky_relu', 'softplus', 'softsign',
    'sigmoid', 'tanh', 'mish', 'none',
)  # fmt: skip
MARIO_ACTIONS = ('complex', 'simple', 'right_only')
MARIO_BUTTONS = ('right', 'left', 'down', 'up', 'A', 'B')
WIDTH = 65536
PATH = 4096  # characters
NAME = 64
FLOATS = {'16': 'float16', '32': 'float32'}  # as the original writes them
RATIO = number(0, 1)


@dataclasses.dataclass(frozen=True)
class Resume:
    """Whether a key may differ from the run's when the run resumes."""

    # Only with `accept_changes`: what the run has (weights, optimizer states, replay, environments)
    # still fits, but learning continues differently.
    accepted: bool = False
    reason: str = ''  # why it never may
    # Fixed by the first checkpoint only: the random episodes before it do not depend on the key.
    learning: bool = False


# How long, how often, where and how fast: neither the task nor the way of learning depends on it.
# The numbers may: `envs`, `envs_parallel` and `async_collect` decide in which order steps and
# updates come, and which weights act.
FREE = Resume()
ACCEPTED = Resume(accepted=True)
NETWORKS = Resume(reason='makes the networks and optimizers what they are', learning=True)
BATCH = Resume(reason='shapes the batch that waits in the checkpoint', learning=True)
LEARNED_FROM = Resume(reason='decides how the run began', learning=True)
BEGINNING = Resume(reason='decides how the run began')
CAPACITY = Resume(reason='decides what the replay holds')
ENVIRONMENT_KEY = Resume(reason='makes the environment what it is')
UNCOMPARED = None  # Says where a run is, or what a single start does.


@dataclasses.dataclass(frozen=True)
class Key:
    """What a key may hold, what it is for, and what a run that resumes may do with it.

    Most keys decide how a run learns: what is not declared otherwise is `ACCEPTED`.
    """

    kind: Kind
    doc: str
    resume: Resume | None = ACCEPTED


def _network(what: str) -> dict[str, Key]:
    return {
        'act': Key(choice(*ACTIVATIONS), f'activation in the {what}', NETWORKS),
        'norm': Key(choice('none', 'layer'), f'normalisation in the {what}', NETWORKS),
    }


def _head(what: str, *distributions: str) -> dict[str, Key]:
    return {
        'layers': Key(whole(0, 100), f'hidden layers of the {what}', NETWORKS),
        'units': Key(whole(1, WIDTH), f'units of each hidden layer of the {what}', NETWORKS),
        **_network(what),
        'dist': Key(choice(*distributions), f'distribution that the {what} gives', NETWORKS),
    }


def _vision(what: str) -> dict[str, Key]:
    return {
        'mlp_keys': Key(
            PATTERN, f'vector observations of the {what} (regular expression)', NETWORKS
        ),
        'cnn_keys': Key(
            PATTERN, f'image observations of the {what} (regular expression)', NETWORKS
        ),
        **_network(what),
        'cnn_depth': Key(whole(1, 4096), f'channel multiplier of the {what}', NETWORKS),
        'cnn_kernels': Key(
            several(whole(1, 64), 1, 16, 'kernel sizes'),
            f'kernel size per layer of the {what}',
            NETWORKS,
        ),
        'mlp_layers': Key(
            several(whole(1, WIDTH), 0, 100, 'layer widths'),
            f'units per MLP layer of the {what}',
            NETWORKS,
        ),
        'symlog': Key(BOOLEAN, f'squash vector observations of the {what} by symlog', NETWORKS),
    }


def _optimizer(what: str) -> dict[str, Key]:
    return {
        'opt': Key(
            choice('adam', 'adamax', 'momentum', 'sgd'), f'optimiser of the {what}', NETWORKS
        ),
        'lr': Key(schedule(0), f'learning rate of the {what}'),
        'eps': Key(number(0, above=True), f'epsilon of Adam for the {what}'),
        'clip': Key(number(0), f'largest global gradient norm of the {what} (0: no clipping)'),
        'wd': Key(number(0, 1), f'weight decay per update of the {what}'),
        'agc': Key(
            number(0),
            f'largest gradient of each parameter of the {what}, as a share of its norm (0: off)',
        ),
        'warmup': Key(
            whole(0), f'updates over which the learning rate of the {what} rises from 0 (0: off)'
        ),
    }


def _normalizer(what: str) -> dict[str, Key]:
    return {
        'momentum': Key(RATIO, f'momentum of the {what} normaliser (1: it never moves)'),
        'scale': Key(number(), f'scale of the normalised {what}'),
        'eps': Key(number(0, above=True), f'added to the magnitude of the {what}'),
    }


def _free(keys: dict[str, Key]) -> dict[str, Key]:
    return {name: dataclasses.replace(key, resume=FREE) for name, key in keys.items()}


def _with_prefix(prefix: str, keys: dict[str, Key]) -> dict[str, Key]:
    return {f'{prefix}.{name}': key for name, key in keys.items()}


RUN = {
    'logdir': Key(
        text('a folder', most=PATH),
        'folder of the run; {task} and {seed} are filled in',
        UNCOMPARED,
    ),
    'seed': Key(whole(0, 2**31 - 1), 'the one source of randomness', BEGINNING),
    'device': Key(
        choice('auto', 'cpu', 'gpu'), 'where to compute; auto: on a GPU if there is one', FREE
    ),
    'precision': Key(
        choice('auto', 'float32', 'float16', 'bfloat16', aliases=FLOATS),
        'number format of the networks; auto chooses by device',
    ),
    'jit': Key(BOOLEAN, 'compile the training step', FREE),
    'kernels': Key(
        choice('auto', 'plain', 'cpu'),
        'how networks are computed, to the same numbers up to rounding: plain formulas, or what is '
        'faster on a processor; auto: cpu on a CPU, plain on a GPU',
        FREE,
    ),
    'deterministic': Key(
        BOOLEAN, 'a GPU too repeats itself bit for bit, but slower (a CPU always does)', FREE
    ),
    'gpu_memory': Key(
        number(0), 'cap on GPU memory in GB, to share a card (0: grow as needed)', FREE
    ),
    'dry_run': Key(
        BOOLEAN, 'find what a start would find, print the configuration and end', UNCOMPARED
    ),
    'accept_changes': Key(
        BOOLEAN, 'resume a run although keys of learning changed, such as model_opt.lr', UNCOMPARED
    ),
}

ENVIRONMENT = {
    'task': Key(
        text('a task'),
        'mario_1-1, mario_3-1+3-2, a set such as mario_e4, atari_pong, gym_ID',
        ENVIRONMENT_KEY,
    ),
    'envs': Key(whole(1, 1024), 'environments that collect side by side', FREE),
    'envs_parallel': Key(
        choice('none', 'thread', 'process'),
        'how several environments run: one after the other, or side by side (an even number: half '
        'of them in turn)',
        FREE,
    ),
    'async_collect': Key(
        BOOLEAN,
        'collect while the agent learns; it acts with weights one training step old, on a CPU with '
        'an actor one update older',
        FREE,
    ),
    'render_size': Key(
        several(whole(1, 4096), 2, 2, 'whole numbers'),
        'height and width of images',
        ENVIRONMENT_KEY,
    ),
    'grayscale': Key(BOOLEAN, 'gray images instead of colour', ENVIRONMENT_KEY),
    'mario_actions': Key(
        button_sets(MARIO_ACTIONS, MARIO_BUTTONS),
        'actions in Mario: complex (12, the thesis), simple (7), right_only (5), or a list of '
        'buttons such as NOOP right right+A',
        ENVIRONMENT_KEY,
    ),
    'atari_grayscale': Key(
        BOOLEAN, 'gray images instead of colour for Atari, as grayscale', ENVIRONMENT_KEY
    ),
    'atari_all_actions': Key(
        BOOLEAN,
        'all 18 actions instead of those of the game (several games: always all)',
        ENVIRONMENT_KEY,
    ),
    'dmc_camera': Key(whole(-1, 100), 'camera of DeepMind Control tasks (not supported)', FREE),
    'sticky': Key(RATIO, 'probability that the previous action is executed again', ENVIRONMENT_KEY),
    'action_repeat': Key(whole(1, 1000), 'frames per agent step', ENVIRONMENT_KEY),
    'time_limit': Key(whole(0), 'longest episode in agent steps (0: no limit)', ENVIRONMENT_KEY),
    'level_weights': Key(
        several(number(0), 0, noun='numbers'),
        'weight of each level of the task (empty: uniform)',
        ENVIRONMENT_KEY,
    ),
}

SCHEDULE = {
    'steps': Key(whole(1), 'length of the run, prefill included', FREE),
    'prefill': Key(whole(0), 'random steps before training starts'),
    'prefill_policy': Key(
        choice('random', 'init'), 'what acts in the prefill; init: the loaded agent', BEGINNING
    ),
    'pretrain': Key(whole(0), 'updates on the prefill before collecting continues'),
    'train_every': Key(whole(0), 'steps between updates (0: none)'),
    'train_steps': Key(whole(1, 10**6), 'updates each time'),
    'log_every': Key(whole(0), 'steps between logged metrics (0: none)', FREE),
    'save_every': Key(
        whole(0), 'steps between checkpoints (0: at evaluations and at the end)', FREE
    ),
    'eval_every': Key(whole(0), 'steps between evaluations (0: none)', FREE),
    'eval_eps': Key(whole(1, 10**6), 'evaluation episodes on each level', FREE),
    'eval_policy': Key(choice('mode', 'sample'), 'action taken in evaluation', FREE),
}

LOGGING = {
    'callbacks': Key(
        several(text('a name')),
        'what installed packages do during a run, see dreamerv2.plugins',
        FREE,
    ),
    'wandb': Key(
        choice('off', 'offline', 'online'),
        'Weights & Biases: a copy in the logdir for `wandb sync`, or sent as the run goes',
        FREE,
    ),
    'mlflow': Key(BOOLEAN, 'MLflow: a file store in the logdir', FREE),
    'log_keys_video': Key(several(text('a key')), 'images of which videos are logged', FREE),
    'log_keys_sum': Key(PATTERN, 'observations whose sum over an episode is logged', FREE),
    'log_keys_mean': Key(PATTERN, 'observations whose mean over an episode is logged', FREE),
    'log_keys_max': Key(PATTERN, 'observations whose maximum over an episode is logged', FREE),
}

EXPERIENCE = {
    'replay.capacity': Key(whole(1), 'steps kept in replay', CAPACITY),
    'replay.ongoing': Key(BOOLEAN, 'sample from unfinished episodes too'),
    'replay.minlen': Key(whole(0), 'shortest piece joined to a window (0: whole windows only)'),
    'replay.maxlen': Key(whole(0), 'longest piece joined to a window (0: whole windows only)'),
    'replay.prioritize_ends': Key(BOOLEAN, 'sample the ends of episodes more often'),
    'replay.past_end': Key(
        choice('short', 'all', 'off'), 'which windows continue past the end of an episode'
    ),
    'replay.keep_on_disk': Key(BOOLEAN, 'keep evicted episodes on disk', FREE),
    'dataset.batch': Key(whole(1, WIDTH), 'sequences in a batch', BATCH),
    'dataset.length': Key(whole(1, WIDTH), 'steps of each sequence in a batch', BATCH),
    'init.from': Key(
        text(empty=True, most=PATH),
        'LOGDIR, LOGDIR@STEP or LOGDIR@best to take parameters from',
        LEARNED_FROM,
    ),
    'init.include': Key(PATTERN, 'parameters that are taken (empty: all)', LEARNED_FROM),
    'init.exclude': Key(PATTERN, 'parameters that start fresh all the same', LEARNED_FROM),
    'init.freeze': Key(PATTERN, 'parameters that training does not change', LEARNED_FROM),
    'init.optimizer': Key(BOOLEAN, 'take the optimiser state as well', LEARNED_FROM),
    'init.dry_run': Key(BOOLEAN, 'only print what would be taken', UNCOMPARED),
}

WORLD_MODEL = {
    'heads': Key(
        several(text('a name')),
        'heads of installed packages, see dreamerv2.plugins',
        NETWORKS,
    ),
    'grad_heads': Key(
        several(choice('decoder', 'reward', 'discount'), 0, 3, 'heads'),
        'heads whose gradients reach the latent states',
    ),
    'pred_discount': Key(BOOLEAN, 'learn the discount factor (ends of episodes)', NETWORKS),
    'rssm.ensemble': Key(
        whole(1, 100), 'priors, of which imagination uses one at random', NETWORKS
    ),
    'rssm.hidden': Key(whole(1, WIDTH), 'units of the hidden layers', NETWORKS),
    'rssm.deter': Key(whole(1, WIDTH), 'units of the recurrent state', NETWORKS),
    'rssm.stoch': Key(whole(1, 4096), 'latent variables', NETWORKS),
    'rssm.discrete': Key(CLASSES, 'classes of each latent variable (0: Gaussian)', NETWORKS),
    **_with_prefix('rssm', _network('recurrent model')),
    'rssm.std_act': Key(
        choice('softplus', 'sigmoid', 'sigmoid2'),
        'deviation of Gaussian latent variables',
        NETWORKS,
    ),
    'rssm.min_std': Key(number(0), 'smallest deviation of Gaussian latent variables', NETWORKS),
    'rssm.unimix': Key(RATIO, 'share of the uniform distribution in categorical latent variables'),
    **_with_prefix('encoder', _vision('encoder')),
    **_with_prefix('decoder', _vision('decoder')),
    'decoder.error_weight': Key(
        number(0), 'how much more the gradient of a pixel counts where it is drawn wrongly (0: off)'
    ),
    **_with_prefix('reward_head', _head('reward head', 'mse', 'normal', 'binary', 'twohot')),
    **_with_prefix('discount_head', _head('discount head', 'binary', 'mse', 'normal')),
    'loss_scales.image': Key(number(0), 'weight of the loss of the images'),
    'loss_scales.kl': Key(number(0), 'weight of the KL loss'),
    'loss_scales.reward': Key(number(0), 'weight of the reward loss'),
    'loss_scales.discount': Key(number(0), 'weight of the discount loss'),
    'kl.free': Key(number(0), 'nats of KL that cost nothing'),
    'kl.forward': Key(BOOLEAN, 'swap the two distributions of the KL'),
    'kl.balance': Key(RATIO, 'share of the KL gradient that trains the prior'),
    'kl.free_avg': Key(BOOLEAN, 'apply free nats to the mean, not to each step'),
    **_with_prefix('model_opt', _optimizer('world model')),
}

ACTOR_CRITIC = {
    **_with_prefix(
        'actor', _head('actor', 'auto', 'onehot', 'trunc_normal', 'tanh_normal', 'normal')
    ),
    'actor.min_std': Key(number(0), 'smallest deviation of continuous actions', NETWORKS),
    'actor.unimix': Key(RATIO, 'share of the uniform distribution in discrete actions'),
    **_with_prefix('critic', _head('critic', 'mse', 'normal', 'twohot')),
    **_with_prefix('actor_opt', _optimizer('actor')),
    **_with_prefix('critic_opt', _optimizer('critic')),
    'discount': Key(RATIO, 'discount factor'),
    'discount_lambda': Key(RATIO, 'lambda of the lambda-return'),
    'imag_horizon': Key(whole(1, 1000), 'steps of imagination'),
    'actor_grad': Key(
        choice('auto', 'dynamics', 'reinforce', 'both'),
        'gradient of the actor; auto: reinforce for discrete actions, else dynamics',
    ),
    'actor_grad_mix': Key(schedule(0, 1), 'share of dynamics gradients when both are used'),
    'actor_ent': Key(schedule(), 'weight of the entropy of the actor'),
    'slow_target': Key(BOOLEAN, 'compute targets with a slow copy of the critic', NETWORKS),
    'slow_target_update': Key(whole(1), 'updates between copies to the slow critic'),
    'slow_target_fraction': Key(RATIO, 'share of the critic in each copy'),
    'slow_regularizer': Key(number(0), 'weight of the values of the slow critic as targets'),
    'critic_replay': Key(
        number(0), "weight of the critic's loss on the rows of the batch and their rewards"
    ),
    'bootstrap': Key(
        choice('slow', 'online'), 'critic that targets and the baseline of the actor come from'
    ),
    'slow_baseline': Key(BOOLEAN, 'does nothing, as in the original', FREE),
    'clip_rewards': Key(choice('identity', 'sign', 'tanh'), 'how rewards are clipped'),
    **_with_prefix('reward_norm', _normalizer('reward')),
    'return_norm.scope': Key(
        choice('none', 'all', 'level'),
        'divide advantages by the range of returns: over all levels together, or of each',
        NETWORKS,
    ),
    'return_norm.rate': Key(RATIO, 'weight of the newest range of returns'),
    'return_norm.low': Key(RATIO, 'quantile of returns where the range starts'),
    'return_norm.high': Key(RATIO, 'quantile of returns where the range ends'),
    'return_norm.least': Key(number(0, above=True), 'smallest range of returns to divide by'),
}

ACTING = {
    'expl_behavior': Key(
        extended(
            choice('greedy', 'random', note=' (Plan2Explore and ModelLoss are not supported)'),
            'behaviors',
        ),
        'what collects: greedy is the actor itself, random any action',
        LEARNED_FROM,
    ),
    'expl_noise': Key(RATIO, 'noise on actions while collecting'),
    'expl_until': Key(
        whole(0), 'frames until the actor itself collects (0: never; no effect with greedy)', FREE
    ),
    'eval_noise': Key(RATIO, 'noise on actions in evaluation', FREE),
    'eval_state_mean': Key(BOOLEAN, 'latent means instead of samples in evaluation', FREE),
}

UNBUILT_EXPLORATION = {
    'expl_intr_scale': Key(number(), 'weight of the intrinsic reward', FREE),
    'expl_extr_scale': Key(number(), 'weight of the task reward', FREE),
    **_free(_with_prefix('expl_opt', _optimizer('exploration models'))),
    **_free(_with_prefix('expl_head', _head('exploration head', 'mse', 'normal'))),
    **_free(_with_prefix('expl_reward_norm', _normalizer('intrinsic reward'))),
    'expl_model_loss': Key(text('the name of a loss'), 'loss that is the intrinsic reward', FREE),
    'disag_target': Key(
        choice('embed', 'stoch', 'deter', 'feat'), 'what the ensemble predicts', FREE),
    'disag_log': Key(BOOLEAN, 'intrinsic reward is the logarithm of disagreement', FREE),
    'disag_models': Key(whole(1, 1000), 'models of the ensemble', FREE),
    'disag_offset': Key(whole(0, 1000), 'steps ahead that the ensemble predicts', FREE),
    'disag_action_cond': Key(BOOLEAN, 'the ensemble sees the action', FREE),
}  # fmt: skip

GROUPS = {
    'Run': RUN,
    'Environment': ENVIRONMENT,
    'Length of the run, in agent steps (logged `step` counts frames)': SCHEDULE,
    'Logging': LOGGING,
    'Experience': EXPERIENCE,
    'World model': WORLD_MODEL,
    'Actor and critic': ACTOR_CRITIC,
    'Acting': ACTING,
    'Exploration models (accepted, no effect)': UNBUILT_EXPLORATION,
}
# Below these, users may add keys of their own.
OPEN_GROUPS = {
    'sets': Key(
        several(text('the name of a level or game'), 1, noun='levels'),
        'levels that a task set stands for',
        ENVIRONMENT_KEY,
    ),
    'loss_scales': Key(number(0), 'weight of a loss of the world model: of an observation, say'),
}
SCHEMA: dict[str, Key] = {name: key for group in GROUPS.values() for name, key in group.items()}


def key_of(name: str) -> Key | None:
    """The declaration of a dotted key, or None where there is no such key."""
    if name in SCHEMA:
        return SCHEMA[name]
    group, _, member = name.partition('.')
    valid = len(member) <= NAME and member.replace('_', '').isalnum()
    return OPEN_GROUPS[group] if group in OPEN_GROUPS and valid else None
