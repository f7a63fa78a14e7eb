"""How far a result is from the original: weight by weight, output by output."""
