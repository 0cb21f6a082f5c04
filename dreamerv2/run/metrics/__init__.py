"""What is measured in a run, and where it is written: JSON lines, TensorBoard, terminal, videos."""
