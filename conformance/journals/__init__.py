"""What is kept of a campaign: outcomes, their counts, and the journal with what is made of it."""
