"""What a study is about, in words: the game, the agent, and what T, N and M stand for."""

import itertools
from collections.abc import Sequence

from dreamerv2.analysis.study import Study
from dreamerv2.analysis.table import Run
from dreamerv2.studies.definition import STAGES

# By the family of a task: the game, and what is played in it, one and several.
_GAMES = {
    'mario': ('Super Mario Bros', 'level', 'levels'),
    'atari': ('the Atari 2600', 'game', 'games'),
    'gym': ('Gymnasium', 'environment', 'environments'),
}


def introduction(data: Study) -> list[str]:
    """The paragraphs with which the report of a study opens; none where there are no runs."""
    plan, runs = data.plan, list(data.runs.values())
    if not runs:
        return []
    family = runs[0].task.partition('_')[0]
    game, one, several = _GAMES.get(family, (family, 'task', 'tasks'))
    after = ' or '.join(
        f'{stage.task} ({count} {one if count == 1 else several})'
        for stage in STAGES.values()
        if stage.task and (count := len(plan.trained_on[stage.name]))
    )
    question = (
        f'Is it cheaper to train one agent on several {several} of {game}'
        f'{f" and then {after}" if after else ""} than to train one agent for each {one}?'
    )
    sizes = [f'N = {len(levels)} for the set {name}' for name, levels in plan.sets.items()]
    symbols = [f'T = {plan.frames:,} frames is what every single run costs.']
    if sizes:
        symbols.append(
            f'N is the number of {several} that one pre-trained agent learns together '
            f'({", ".join(sizes)}): with T frames in all it costs as much as agents of one '
            f'{one} cost together at T/N.'
        )
    if plan.finetune:
        symbols.append(
            f'M = {len(plan.finetune)} is the number of {several} that it is fine-tuned to: each '
            'bears T/M of the cost of pre-training.'
        )
    return [f'{question} {_agent(runs)}', ' '.join(symbols)]


def _agent(runs: Sequence[Run]) -> str:
    """The agent with its presets and the size of its networks, as far as the runs tell."""
    presets = dict.fromkeys(filter(None, map(_presets, runs)))
    words = 'The agent is DreamerV2, which learns a world model and acts as it has learned in it'
    if presets:
        words += f', with the preset {" or ".join(presets)}'
    config = runs[0].config
    sizes = [
        f'{words} {config[key]}'
        for key, words in (
            ('rssm.deter', 'recurrent state of'),
            ('encoder.cnn_depth', 'convolutions of depth'),
            ('actor.units', 'layers of'),
        )
        if config.get(key)
    ]
    return f'{words} ({", ".join(sizes)}).' if sizes else f'{words}.'


def _presets(run: Run) -> str:
    """The presets that a run's command names; empty where it is not recorded."""
    command = run.provenance.get('command')
    words = [str(word) for word in command] if isinstance(command, list) else []
    for i, word in enumerate(words):
        if word.startswith('--configs='):
            return ' '.join(filter(None, word.partition('=')[2].split(',')))
        if word == '--configs':
            return ' '.join(itertools.takewhile(lambda x: not x.startswith('--'), words[i + 1 :]))
    return ''
