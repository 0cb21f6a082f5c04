"""The agent learns: the built-in pixel task is solved from pixels in about a minute."""

import json

import numpy as np

from dreamerv2.config import load_config
from dreamerv2.envs import make_env
from dreamerv2.run.training import train

FLAGS = """
--task pixel --seed 0 --steps 2600 --prefill 400 --train_every 4 --eval_every 0 --log_every 500
--save_every 0 --dataset.batch 4 --dataset.length 16 --imag_horizon 8 --discount 0.9
--rssm.deter 64 --rssm.hidden 64 --rssm.stoch 8 --rssm.discrete 8 --encoder.cnn_depth 8
--decoder.cnn_depth 8 --model_opt.lr 1e-3 --actor_opt.lr 1e-3 --critic_opt.lr 1e-3
--actor_ent 3e-2 --expl_noise 0.0 --precision float32 --action_repeat 1 --sticky 0
""".split()


def test_the_pixel_task_is_solved(tmp_path):
    env = make_env('pixel', seed=0)
    assert train(load_config(['--configs', 'mario_small', *FLAGS, '--logdir', str(tmp_path)])) == 0
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    returns = [
        line['train_return']
        for line in lines
        if 'train_return' in line and 'train_prefill' not in line
    ]
    solved = env.random_return + 0.8 * (env.optimal_return - env.random_return)
    assert np.mean(returns[-20:]) > solved
