"""The engines that ship with the suite; `implementations.registry` has their names."""
