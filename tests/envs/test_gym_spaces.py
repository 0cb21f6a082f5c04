"""What the agent sees and does for every kind of space."""

import gym
import numpy as np
import pytest
from gymnasium import spaces

from dreamerv2.envs.episodic import resize, shrink
from dreamerv2.envs.gym_spaces import action_space, box_value, view
from dreamerv2.errors import UsageError

Box = spaces.Box
INF = np.inf
MAX32 = np.finfo(np.float32).max
MAX64 = np.finfo(np.float64).max


def seen(space, size=(64, 64), grayscale=True):
    """name -> shape, of what the agent sees; a sample is converted on the way."""
    own = view(space, size, grayscale)
    space.seed(0)
    observation = own.convert(space.sample())
    for name, leaf in own.spaces.items():
        assert observation[name].shape == leaf.shape and observation[name].dtype == leaf.dtype
    return {name: leaf.shape for name, leaf in own.spaces.items()}


PICTURES = {
    'small': (Box(0, 255, (8, 8, 3), np.uint8), 1),
    'digits': (Box(0, 1, (28, 28)), 1),
    'gray': (Box(0, 255, (84, 84), np.uint8), 1),
    'gray with an axis': (Box(0, 255, (84, 84, 1), np.uint8), 1),
    'colour': (Box(0, 255, (240, 256, 3), np.uint8), 1),
    'four channels': (Box(0, 255, (84, 84, 4), np.uint8), 4),
    'five channels, of the size that is seen': (Box(0, 255, (64, 64, 5), np.uint8), 5),
    'colour first': (Box(0, 255, (3, 84, 84), np.uint8), 1),
    'gray first': (Box(0, 255, (1, 84, 84), np.uint8), 1),
    'stack of four first': (Box(0, 255, (4, 84, 84), np.uint8), 4),
    'stack of eight first': (Box(0, 255, (8, 84, 84), np.uint8), 8),
    'stack last': (Box(0, 255, (84, 84, 12), np.uint8), 12),
    'stack in colour': (Box(0, 255, (4, 84, 84, 3), np.uint8), 4),
    'stack in gray': (Box(0, 255, (4, 84, 84, 1), np.uint8), 4),
    'stack, colour first': (Box(0, 255, (4, 3, 84, 84), np.uint8), 4),
    'stack behind colour': (Box(0, 255, (84, 84, 3, 4), np.uint8), 4),
    'stacks of stacks': (Box(0, 255, (2, 4, 84, 84, 3), np.uint8), 8),
    'floats to 1': (Box(0, 1, (84, 84, 3), np.float32), 1),
    'floats to 255': (Box(0, 255, (84, 84, 3), np.float64), 1),
    'floats around 0': (Box(-1, 1, (84, 84), np.float32), 1),
    'a stack of floats': (Box(0, 1, (4, 84, 84), np.float32), 4),
    'int16': (Box(0, 255, (84, 84, 3), np.int16), 1),
    'int64': (Box(0, 255, (4, 84, 84), np.int64), 4),
    '16 bits of depth': (Box(0, 65535, (84, 84), np.uint16), 1),
    'of Gym': (gym.spaces.Box(0, 255, (84, 84, 3), np.uint8), 1),
}


@pytest.mark.parametrize('name', PICTURES)
def test_pictures(name):
    space, channels = PICTURES[name]
    assert seen(space) == {'image': (64, 64, channels)}
    (line,) = view(space, (64, 64), True).lines()
    assert line.startswith(f'The agent sees image: picture 64x64x{channels}, 0 to 255, of Box(')


NO_PICTURES = {
    'a board of layers': (Box(0, 1, (12, 12, 3), np.uint8), 'fewer than 256 values'),
    'a large board': (Box(0, 1, (64, 64, 3), np.uint8), 'fewer than 256 values'),
    'a board of booleans': (Box(0, 1, (10, 10, 4), bool), 'a side is shorter than 16'),
    'a large board of booleans': (Box(0, 1, (19, 19, 4), bool), 'fewer than 256 values'),
    'a small board': (Box(0, 11, (1, 4, 4), np.uint8), 'a side is shorter than 8'),
    'a view of cells': (Box(0, 255, (7, 7, 3), np.uint8), 'a side is shorter than 8'),
    'a table': (Box(-1, 1, (12, 20), np.float32), 'a side is shorter than 16'),
    'no bounds': (Box(-INF, INF, (84, 84, 3), np.float32), 'without bounds'),
    'the largest bounds': (Box(-MAX32, MAX32, (84, 84), np.float32), 'without bounds'),
    'the bounds of int16': (Box(-(2**15), 2**15 - 1, (84, 84, 3), np.int16), 'without bounds'),
}


@pytest.mark.parametrize('name', NO_PICTURES)
def test_what_is_no_picture_is_a_vector_of_all_its_numbers_and_says_why(name):
    space, reason = NO_PICTURES[name]
    count = int(np.prod(space.shape))
    assert seen(space) == {'vector': (count,)}
    own = view(space, (64, 64), True)
    value = space.sample()
    np.testing.assert_array_equal(own.convert(value)['vector'], np.float32(value).reshape(count))
    (line,) = own.lines()
    assert f'vector: vector [{count}]' in line and 'no picture: ' in line and reason in line


VECTORS = {
    'numbers': (Box(-1, 1, (3,)), 3),
    'a single number': (Box(-1, 1, ()), 1),
    'memory': (Box(0, 255, (128,), np.uint8), 128),
    'whole numbers': (Box(-(2**31), 2**31 - 1, (3,), np.int32), 3),
    'partly bounded': (Box(np.float32([0, -INF]), np.float32([1, INF])), 2),
    'switches': (spaces.MultiBinary(4), 4),
    'rows of switches': (spaces.MultiBinary((2, 3)), 6),
    'a choice': (spaces.Discrete(5), 5),
    'choices': (spaces.MultiDiscrete([2, 3], start=[1, 5]), 5),
    'rows of choices': (spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])), 14),
    'switches of Gym': (gym.spaces.MultiBinary(4), 4),
    'choices of Gym': (gym.spaces.MultiDiscrete([2, 3]), 5),
}


@pytest.mark.parametrize('name', VECTORS)
def test_vectors(name):
    space, count = VECTORS[name]
    assert seen(space) == {'vector': (count,)}


def test_discrete_spaces_become_one_hot():
    own = view(spaces.Discrete(4, start=-1), (64, 64), True)
    np.testing.assert_array_equal(own.convert(np.int64(1))['vector'], [0, 0, 1, 0])
    own = view(spaces.MultiDiscrete([2, 3], start=[1, 5]), (64, 64), True)
    np.testing.assert_array_equal(own.convert(np.array([2, 5]))['vector'], [0, 1, 1, 0, 0])


def test_stacks_keep_their_order_in_the_channels():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 40, 30, 3)).astype(np.uint8)
    expected = np.concatenate([shrink(picture, (16, 16), True) for picture in pictures], -1)
    for order in ((0, 1, 2, 3), (0, 3, 1, 2), (1, 2, 0, 3), (1, 2, 3, 0)):
        value = pictures.transpose(order)
        own = view(Box(0, 255, value.shape, np.uint8), (16, 16), True)
        np.testing.assert_array_equal(own.convert(value)['image'], expected)
    own = view(Box(0, 255, pictures.shape, np.uint8), (16, 16), False)
    coloured = np.concatenate([shrink(picture, (16, 16), False) for picture in pictures], -1)
    np.testing.assert_array_equal(own.convert(pictures)['image'], coloured)


def test_other_scales_become_bytes():
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    expected = shrink(picture, (16, 16), True)
    scales = {
        (0, 1): picture.astype(np.float64) / 255,
        (0, 255): picture.astype(np.float32),
        (-1, 1): picture.astype(np.float64) / 127.5 - 1,
    }
    for (low, high), value in scales.items():
        own = view(Box(low, high, value.shape, value.dtype), (16, 16), True)
        np.testing.assert_array_equal(own.convert(value)['image'], expected)
    deep = view(Box(0, 1000, (20, 24), np.int16), (20, 24), True)
    row = deep.convert(np.linspace(0, 1000, 480).astype(np.int16).reshape(20, 24))['image']
    assert row.min() == 0 and row.max() == 255 and (np.diff(row.reshape(-1).astype(int)) >= 0).all()


def test_many_channels_are_resized_as_few_are():
    image = np.random.default_rng(0).integers(0, 256, (84, 60, 13)).astype(np.uint8)
    small = resize(image, (16, 16))
    assert small.shape == (16, 16, 13)
    for channel in range(13):
        np.testing.assert_array_equal(
            small[:, :, channel], resize(image[:, :, channel], (16, 16))[:, :, 0]
        )


def test_dictionaries_and_tuples_of_anything():
    space = spaces.Dict(
        {
            'a/b': spaces.Discrete(2),
            'a': spaces.Dict({'b': spaces.Discrete(3)}),
            'a b': spaces.Discrete(4),
            '': Box(0, 1, (2,)),
            '../x': Box(0, 1, (5,)),
            'größe': Box(0, 1, (6,)),
            'reward': Box(0, 1, (7,)),
            'log_x': Box(0, 1, (8,)),
            'is_first': Box(0, 1, (9,)),
            'camera': Box(0, 1, (3, 40, 40)),
            'pair': spaces.Tuple((spaces.Discrete(10), spaces.MultiBinary(11))),
        }
    )
    shapes = seen(space)
    assert shapes.pop('camera') == (64, 64, 1)
    assert {name: count for name, (count,) in shapes.items()} == {
        'a_b': 4,
        'a_b_': 2,
        'a/b': 3,
        '_': 2,
        '___x': 5,
        'gr__e': 6,
        'obs_reward': 7,
        'obs_log_x': 8,
        'obs_is_first': 9,
        'pair/0': 10,
        'pair/1': 11,
    }
    own = view(space, (64, 64), True)
    value = space.sample()
    value['a/b'], value['a'] = 1, {'b': 2}
    assert own.convert(value)['a_b_'].tolist() == [0, 1]
    assert own.convert(value)['a/b'].tolist() == [0, 0, 1]


def test_what_cannot_be_seen_is_left_out_with_a_line():
    space = spaces.Dict(
        {
            'direction': spaces.Discrete(4),
            'mission': spaces.Text(9),
            'seen': spaces.Sequence(spaces.Discrete(2)),
            'map': spaces.Graph(Box(0, 1, (2,)), None),
            'nothing': Box(0, 1, (0,)),
            'much': spaces.Discrete(10**9),
        }
    )
    lines = view(space, (64, 64), True).lines()
    assert lines[0] == 'The agent sees direction: vector [4], one-hot, of Discrete(4).'
    assert lines[1:] == [
        'Left out: map, a Graph space cannot be seen.',
        'Left out: mission, a Text space cannot be seen.',
        'Left out: much, has 1000000000 values, too many for a one-hot vector.',
        'Left out: nothing, Box(0, 0, (0,), float32) is empty.',
        'Left out: seen, a Sequence space cannot be seen.',
    ]


@pytest.mark.parametrize(
    'space',
    [
        Box(0, 1, (0,)),
        Box(0, 255, (0, 64, 3), np.uint8),
        spaces.Text(3),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.Dict({}),
        spaces.Tuple([]),
        spaces.Dict({'mission': spaces.Text(3)}),
        spaces.Discrete(10**9),
        None,
    ],
)
def test_nothing_to_see_is_refused_in_one_line(space):
    with pytest.raises(UsageError, match='has nothing that the agent can see') as caught:
        view(space, (64, 64), True)
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    'space, value, words',
    [
        (Box(-1, 1, (3,)), np.zeros(4), r'has shape \(4,\), but its space has \(3,\)'),
        (Box(-1, 1, (2, 3)), np.zeros((3, 2)), r'has shape \(3, 2\)'),
        (Box(-1, 1, (3,)), None, 'is None'),
        (Box(-1, 1, (3,)), 'left', "is 'left'"),
        (Box(-1, 1, (2,)), [[1], [1, 2]], 'is '),
        (Box(-1, 1, (3,)), {'a': 1}, "is {'a': 1}"),
        (Box(0, 255, (40, 40, 3), np.uint8), np.zeros((3, 40, 40), np.uint8), 'has shape'),
        (Box(0, 255, (40, 40), np.uint8), np.full((40, 40), 0.5), 'holds fractions'),
        (Box(0, 255, (40, 40), np.uint8), np.full((40, 40), 300), 'holds 300 to 300'),
        (Box(0, 1, (40, 40)), np.full((40, 40), 255.0), 'holds 255 to 255'),
        (Box(0, 1, (40, 40)), np.full((40, 40), np.nan), 'holds nan to nan'),
        (spaces.Discrete(3), 3, 'is 3, but its space is Discrete'),
        (spaces.Discrete(3), 0.5, 'is 0.5'),
        (spaces.MultiDiscrete([2, 2]), np.array([0, 2]), 'is array'),
        (spaces.Dict({'vector': Box(0, 1, (2,))}), {'other': 1}, "is missing: there is .'other'"),
        (spaces.Dict({'vector': Box(0, 1, (2,))}), np.zeros(2), 'is missing: there is ndarray'),
    ],
)
def test_an_observation_that_does_not_match_its_space(space, value, words):
    own = view(space, (64, 64), True)
    with pytest.raises(
        UsageError, match=f"observation '(vector|image)' at step 7 .*{words}"
    ) as error:
        own.convert(value, step=7)
    assert '\n' not in str(error.value)


def test_axes_of_length_one_and_slight_overshoots_are_welcome():
    own = view(Box(0, 255, (40, 40, 1), np.uint8), (64, 64), True)
    assert own.convert(np.zeros((40, 40), np.uint8))['image'].shape == (64, 64, 1)
    own = view(Box(0, 1, (40, 40)), (64, 64), True)
    assert own.convert(np.full((40, 40), 1 + 1e-6, np.float32))['image'].max() == 255
    own = view(Box(-1, 1, (3,)), (64, 64), True)
    np.testing.assert_array_equal(own.convert(np.array([[2], [3], [4]]))['vector'], [2, 3, 4])


# Acting

COMBINATIONS = {
    'a choice that starts elsewhere': (spaces.Discrete(3, start=5), 3),
    'choices': (spaces.MultiDiscrete([3, 2, 2]), 12),
    'choices that start elsewhere': (spaces.MultiDiscrete([3, 2], start=[1, -1]), 6),
    'rows of choices': (spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])), 120),
    'switches': (spaces.MultiBinary(3), 8),
    'rows of switches': (spaces.MultiBinary((2, 2)), 16),
    'a pair': (spaces.Tuple((spaces.Discrete(2), spaces.MultiDiscrete([2, 3]))), 12),
    'names': (spaces.Dict({'b': spaces.Discrete(3, start=1), 'a': spaces.MultiBinary(2)}), 12),
    'nested': (spaces.Dict({'a': spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2)))}), 4),
    'choices of Gym': (gym.spaces.MultiDiscrete([2, 3]), 6),
    'a pair of Gym': (gym.spaces.Tuple((gym.spaces.Discrete(2), gym.spaces.Discrete(2))), 4),
}


@pytest.mark.parametrize('name', COMBINATIONS)
def test_few_combinations_become_one_choice(name):
    space, count = COMBINATIONS[name]
    own, convert = action_space(space)
    assert own.n == count
    actions = [convert(index) for index in range(count)]
    assert all(space.contains(action) for action in actions)
    assert len({repr(action) for action in actions}) == count


NUMBERS = {
    'bounded': (Box(-2, 5, (2,)), 2),
    'of two axes': (Box(-2, 5, (2, 3)), 6),
    'of no axis': (Box(0, 1, ()), 1),
    'without bounds': (Box(-INF, INF, (2,)), 2),
    'of the largest bounds': (Box(-MAX32, MAX32, (2,)), 2),
    'of the largest bounds of float64': (Box(-MAX64, MAX64, (2,), np.float64), 2),
    'bounded below': (Box(5, INF, (1,)), 1),
    'bounded above': (Box(-INF, -5, (1,)), 1),
    'of whole numbers': (Box(0, 3, (2,), np.int64), 2),
    'of bytes': (Box(0, 255, (3,), np.uint8), 3),
    'of booleans': (Box(0, 1, (2,), bool), 2),
    'of any whole number': (Box(-(2**31), 2**31 - 1, (2,), np.int32), 2),
    'many choices': (spaces.MultiDiscrete([3] * 20), 60),
    'many switches': (spaces.MultiBinary(30), 60),
    'a mixture': (spaces.Tuple((spaces.Discrete(3), Box(-2, 2, (2,)))), 5),
    'a mixture by name': (spaces.Dict({'a': Box(-2, 2, (2,)), 'b': spaces.Discrete(2)}), 4),
    'boxes by name': (spaces.Dict({'a': Box(-2, 2, (2,)), 'b': Box(0, 1, ())}), 3),
}


@pytest.mark.parametrize('name', NUMBERS)
def test_everything_else_becomes_a_box(name):
    space, count = NUMBERS[name]
    own, convert = action_space(space)
    assert own.shape == (count,) and (own.low == -1).all() and (own.high == 1).all()
    generator = np.random.default_rng(0)
    actions = [convert(generator.uniform(-1, 1, count).astype(np.float32)) for _ in range(20)]
    assert all(space.contains(action) for action in actions)
    assert len({repr(action) for action in actions}) > 1


def test_numbers_of_a_box():
    ends = np.array([-1, 0, 1])
    for space, expected in [
        (Box(-2, 4, (3,)), [-2, 1, 4]),
        (Box(-INF, INF, (3,)), [-1, 0, 1]),
        (Box(-MAX64, MAX64, (3,), np.float64), [-1, 0, 1]),
        (Box(0, INF, (3,)), [0, 1, 2]),
        (Box(-INF, -5, (3,)), [-7, -6, -5]),
        (Box(0, 2, (3,), np.int64), [0, 1, 2]),
        (Box(0, 1, (3,), bool), [False, True, True]),
    ]:
        value = box_value(space, ends)
        np.testing.assert_array_equal(value, expected)
        assert value.dtype == space.dtype
    evenly = box_value(Box(1, 4, (400,), np.int8), np.linspace(-1, 1, 401)[:-1])
    assert np.bincount(evenly).tolist() == [0, 100, 100, 100, 100]


def test_the_greatest_number_of_a_discrete_part_is_its_choice():
    _, convert = action_space(spaces.Tuple((spaces.Discrete(3, start=1), Box(-2, 2, (1,)))))
    choice, number = convert(np.array([-0.5, 0.2, 0.1, 0.5], np.float32))
    assert choice == 2 and number == 1


@pytest.mark.parametrize(
    'space, words',
    [
        (spaces.Text(3), 'holds a Text space'),
        (spaces.Dict({'say': spaces.Text(3), 'go': spaces.Discrete(2)}), 'holds a Text space'),
        (spaces.Sequence(spaces.Discrete(2)), 'holds a Sequence space'),
        (Box(-1, 1, (0,)), 'is empty'),
        (spaces.Tuple([]), 'is empty'),
        (spaces.Dict({}), 'is empty'),
        (spaces.Discrete(10**9), 'has 1000000000 values'),
        (None, 'holds a NoneType space'),
    ],
)
def test_actions_that_cannot_be_chosen_are_refused_with_a_hint(space, words):
    with pytest.raises(UsageError, match=f'{words}.*ActionWrapper') as caught:
        action_space(space)
    assert '\n' not in str(caught.value)
