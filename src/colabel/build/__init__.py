"""From configuration to objects: the only place where a name becomes a class or a function."""
