"""Building blocks: layers, distributions, encoder, decoder, recurrent state-space model, optimizer."""
