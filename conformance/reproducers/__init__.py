"""Scripts that show a finding without the suite."""
