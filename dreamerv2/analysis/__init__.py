"""From logdirs to numbers, figures and answers; reads files only and needs no TensorFlow."""
