"""The contract kit against each storage of our own, and against saboteurs."""
