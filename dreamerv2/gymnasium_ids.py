"""Names under which other libraries make our levels: `gymnasium.make('dreamerv2/Mario-1-1-v0')`.

They are registered when this module is imported, as `dreamerv2.api` does. A program that only has a
name imports it by the name: `dreamerv2.gymnasium_ids:dreamerv2/Mario-1-1-v0`.
"""

import gymnasium

for _level in [f'{world}-{stage}' for world in range(1, 9) for stage in range(1, 5)]:
    gymnasium.register(
        f'dreamerv2/Mario-{_level}-v0',
        entry_point='dreamerv2.envs.gymnasium_view:make_view',
        kwargs={'task': f'mario_{_level}'},
    )
