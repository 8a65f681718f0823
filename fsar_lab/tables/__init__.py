"""Trained floats to integer tables: the only place where probabilities become frequencies."""
