"""What a user asks for, as functions: train, evaluate, predict, count, compare settings."""
