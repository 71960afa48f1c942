"""A run's folder, and what its files hold."""
