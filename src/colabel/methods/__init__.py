"""The methods: one file each, to be read beside its paper."""
