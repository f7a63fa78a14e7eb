"""Which of several formats each weight of a program is to have."""
