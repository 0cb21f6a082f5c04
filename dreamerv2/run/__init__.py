"""Running an agent: driver, training loop, checkpoints, logging, devices."""
