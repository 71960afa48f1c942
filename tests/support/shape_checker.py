"""The runtime type checker of the import hook: beartype, with an int accepted where a float is."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
