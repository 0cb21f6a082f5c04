"""Running an agent: training run, loop, driver, updater, batches, evaluation, devices."""
