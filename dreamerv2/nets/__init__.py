"""Building blocks: layers, distributions, encoder, decoder, RSSM, optimizer."""
