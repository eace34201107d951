"""The engines that ship with the suite; `targets.shipped` has their names."""
