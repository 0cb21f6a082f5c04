"""Every random stream of a run from its one seed."""

from dreamerv2.run import random_streams


def test_seeds_are_fixed_and_differ():
    seeds = {
        (seed, stream, index): random_streams.derive(seed, stream, index)
        for seed in (0, 1)
        for stream in random_streams.STREAMS
        for index in (0, 1)
    }
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds.values())
    assert random_streams.derive(1, 'agent') == 876514893  # Old runs must stay repeatable.
    first, second = (random_streams.generator(3, 'replay').random(4) for _ in range(2))
    assert (first == second).all()
    assert len(set(random_streams.STREAMS.values())) == len(random_streams.STREAMS)
