"""What is measured beside peers, and how good the results are: see README.md."""
