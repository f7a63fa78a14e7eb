"""Arrays, without Core AI: quantizing them, and what that is made of."""
