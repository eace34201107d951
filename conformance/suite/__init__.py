"""The suite as pytest tests: ``pytest --pyargs conformance.suite --conv-impl mylib:conv2d``."""
